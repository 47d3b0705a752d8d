"""A domain: its record, its certificate, and routes that answer over HTTPS alone."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.unit.configurations import AUTHORITY, DOMAIN, OWN_AUTHORITY, shared
from tests.unit.conftest import Recording
from tests.unit.loading import refused

CONFIGURATIONS = {
    **shared("domain", "domain on an own cluster", "domain, canary", "example protection"),
    "domain in preview": {"stack": "dev", "config": DOMAIN, "preview": True},
    "domain kept elsewhere": {"stack": "dev", "config": DOMAIN | {"kong-doks:domain": "api.example.org"}},
    "domain itself": {"stack": "dev", "config": DOMAIN | {"kong-doks:domain": "shop.example.com"}},
    "production": {"stack": "dev", "config": DOMAIN | {"kong-doks:acme": {"server": "production"}}},
    "own authority": {"stack": "dev", "config": DOMAIN | {"kong-doks:acme": OWN_AUTHORITY}},
}

Run = Callable[[str], Recording]
HOSTNAME = "service.beta.kubernetes.io/do-loadbalancer-hostname"


def complaint(**config: object) -> str:
    """The lines that a configuration is refused with."""
    return "\n".join(line.removeprefix("kong-doks:") for line in refused(config))


def test_without_a_domain_nothing_is_asked_or_made(run: Run) -> None:
    recording = run("dev")
    assert "digitalocean:index/getDomains:getDomains" not in recording.invoked
    assert not [r for r in recording.resources if "cert" in r.type.lower() or "dns" in r.type.lower()]
    assert [r.name for r in recording.of("Release")] == ["kong"]
    assert HOSTNAME not in json.dumps(recording.one("Release").inputs)
    assert "tls" not in recording.one("Ingress", "foo").inputs["spec"]


def test_a_domain_in_the_accounts_zone_gets_its_record_and_the_stack_takes_it_down_again(run: Run) -> None:
    record = run("domain").one("DnsRecord")
    assert record.inputs == {"domain": "example.com", "type": "A", "name": "api", "value": "198.51.100.7", "ttl": 300}
    # It isn't part of the cluster: nobody else would remove it.
    assert not record.deleted_with
    assert "Release kong" in run("domain").before(record)


def test_the_longest_zone_is_the_domains_own(run: Run) -> None:
    assert run("domain itself").one("DnsRecord").inputs | {"value": ""} == {
        "domain": "shop.example.com",
        "type": "A",
        "name": "@",
        "value": "",
        "ttl": 300,
    }


def test_where_the_zone_is_kept_elsewhere_an_output_says_which_record_to_make(run: Run) -> None:
    recording = run("domain kept elsewhere")
    assert recording.of("DnsRecord") == []
    assert recording.outputs["dns_record"] == "api.example.org. A 198.51.100.7"
    # Nobody knows when that is done, so routes don't wait for it.
    assert recording.one("Certificate").annotations == {}


def test_a_route_is_waited_for_unless_its_certificate_may_come_later(run: Run) -> None:
    unawaited = {"pulumi.com/skipAwait": "true"}
    for name, waits in (("domain kept elsewhere", False), ("domain", True)):
        annotations = run(name).one("Ingress", "foo").inputs["metadata"].get("annotations", {})
        assert (unawaited.items() <= annotations.items()) is not waits


def test_zones_are_asked_for_before_anything_is_made(run: Run) -> None:
    assert "digitalocean:index/getDomains:getDomains" in run("domain in preview").invoked
    assert run("domain in preview").outputs["proxy_url"] == "https://api.example.com"


def test_a_canary_answers_for_the_domain_with_the_certificate_that_an_ingress_names(run: Run) -> None:
    recording = run("domain, canary")
    (ingress,) = recording.of("Ingress")
    assert ingress.annotations == {"pulumi.com/skipAwait": "true"}
    assert ingress.inputs["spec"] == {
        "ingressClassName": "kong",
        "rules": [{"host": "api.example.com"}],
        "tls": [{"hosts": ["api.example.com"], "secretName": "gateway-tls"}],
    }
    route = recording.one("HTTPRoute")
    assert route.inputs["spec"]["hostnames"] == ["api.example.com"]
    annotations = route.inputs["metadata"]["annotations"]
    assert annotations["konghq.com/protocols"] == "https"
    assert annotations["konghq.com/https-redirect-status-code"] == "308"
    assert {"Certificate certificate", "Ingress certificate"} <= recording.before(route)


def test_outputs_name_the_domain_and_the_load_balancers_own_address(run: Run) -> None:
    outputs = run("domain").outputs
    assert outputs["proxy_ip"] == "198.51.100.7"
    assert outputs["proxy_url"] == "https://api.example.com"
    assert outputs["foo_url"] == "https://api.example.com/foo"
    assert "dns_record" not in outputs


def test_the_certificate_comes_after_what_it_takes_and_before_the_routes(run: Run) -> None:
    recording = run("domain")
    certificate = recording.one("Certificate")
    assert certificate.annotations == {"pulumi.com/waitFor": "condition=Ready"}
    assert {"Release cert-manager", "Release kong", "Issuer acme", "DnsRecord domain"} <= recording.before(certificate)
    assert "Release cert-manager" in recording.before(recording.one("Issuer"))
    assert "Certificate certificate" in recording.before(recording.one("Ingress", "foo"))


def test_routes_answer_for_the_domain_over_https_and_send_everyone_else_there(run: Run) -> None:
    ingress = run("domain").one("Ingress", "foo").inputs
    assert ingress["spec"]["rules"][0]["host"] == "api.example.com"
    assert ingress["spec"]["tls"] == [{"hosts": ["api.example.com"], "secretName": "gateway-tls"}]
    annotations = ingress["metadata"]["annotations"]
    assert annotations["konghq.com/protocols"] == "https"
    assert annotations["konghq.com/https-redirect-status-code"] == "308"
    grpc = run("domain").one("Ingress", "bar").inputs["metadata"]["annotations"]
    assert grpc["konghq.com/protocols"] == "grpcs"


def test_browsers_are_told_to_stay_with_https(run: Run) -> None:
    def added(name: str) -> list[str]:
        plugins = [p for p in run(name).of("KongPlugin") if p.inputs["plugin"] == "response-transformer"]
        return [header for p in plugins for header in p.inputs["config"]["add"]["headers"]]

    assert "Strict-Transport-Security:max-age=63072000" in added("domain")
    assert not [header for header in added("example protection") if header.startswith("Strict-Transport")]


def test_the_cluster_knows_the_load_balancer_by_name_so_that_it_can_be_asked_from_inside(run: Run) -> None:
    values = run("domain").one("Release", "kong").inputs["values"]
    assert values["proxy"]["annotations"][HOSTNAME] == "api.example.com"
    local = run("domain on an own cluster")
    assert "annotations" not in local.one("Release", "kong").inputs["values"]["proxy"]
    assert local.invoked == []
    assert local.outputs["dns_record"] == "api.example.com. A 203.0.113.10"


def test_another_authority_is_another_issuer_so_that_there_is_another_certificate(run: Run) -> None:
    staging, production = (run(name).one("Issuer").inputs for name in ("domain", "production"))
    assert staging["spec"]["acme"]["server"] == "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert production["spec"]["acme"]["server"] == "https://acme-v02.api.letsencrypt.org/directory"
    assert staging["metadata"]["name"] != production["metadata"]["name"]
    used = run("production").one("Certificate").inputs["spec"]["issuerRef"]["name"]
    assert used == production["metadata"]["name"]


def test_an_authority_of_ones_own_is_known_by_its_certificate(run: Run) -> None:
    acme = run("own authority").one("Issuer").inputs["spec"]["acme"]
    assert acme["server"] == "https://ca.example/acme/directory"
    assert base64.b64decode(acme["caBundle"]).decode() == AUTHORITY
    assert acme["profile"] == "short"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"domain": "API.example.com"}, 'domain: "API.example.com" is not allowed'),
        ({"domain": "*.example.com"}, "without a wildcard"),
        ({"domain": "api.example.com"}, "email: is not allowed; allowed: beside domain, an address"),
        ({"email": "ops@example.com"}, "only beside domain"),
        ({"acme": {"server": "production"}}, "acme: is not allowed; allowed: only beside domain"),
        ({"acme": {"server": "prod"}}, "staging or production"),
        ({"acme": {"server": "http://ca.example/dir"}}, "the URL of an ACME directory"),
        ({"namespace": "cert-manager"}, "any namespace except kong, monitoring, cert-manager and kube-*"),
    ],
)
def test_a_mistake_is_told_with_its_fix(config: dict[str, object], said: str) -> None:
    assert said in complaint(**config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"proxyServiceType": "ClusterIP"}, "LoadBalancer beside domain"),
        ({"gateway": {"allowIps": ["10.0.0.0/8"]}}, "fix: set allowIps on the services"),
        ({"gateway": {"terminate": {}}}, "fix: set terminate on the services"),
        ({"gateway": {"plugins": {"request-termination": {}}}}, "fix: move request-termination to the services"),
        ({"acme": {"ca": AUTHORITY}}, "only with a server of your own"),
    ],
)
def test_what_would_keep_the_authority_from_asking_is_told(config: dict[str, object], said: str) -> None:
    assert said in complaint(domain="api.example.com", email="ops@example.com", **config)
