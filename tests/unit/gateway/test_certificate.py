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


def test_without_a_domain_there_is_no_record_or_certificate(run: Run) -> None:
    recording = run("dev")
    assert "digitalocean:index/getDomains:getDomains" not in recording.invoked
    assert not [r for r in recording.resources if "cert" in r.type.lower() or "dns" in r.type.lower()]
    assert [r.name for r in recording.of("Release")] == ["kong"]
    assert HOSTNAME not in json.dumps(recording.one("Release").inputs)
    assert "tls" not in recording.one("Ingress", "foo").inputs["spec"]


def test_a_domain_in_the_accounts_zone_gets_an_a_record(run: Run) -> None:
    record = run("domain").one("DnsRecord")
    assert record.inputs == {"domain": "example.com", "type": "A", "name": "api", "value": "198.51.100.7", "ttl": 300}
    # It isn't deleted with the cluster.
    assert not record.deleted_with
    assert "Release kong" in run("domain").before(record)


def test_the_longest_matching_zone_is_used(run: Run) -> None:
    assert run("domain itself").one("DnsRecord").inputs | {"value": ""} == {
        "domain": "shop.example.com",
        "type": "A",
        "name": "@",
        "value": "",
        "ttl": 300,
    }


def test_for_a_zone_elsewhere_an_output_has_the_missing_record(run: Run) -> None:
    recording = run("domain kept elsewhere")
    assert recording.of("DnsRecord") == []
    assert recording.outputs["dns_record"] == "api.example.org. A 198.51.100.7"
    # The time of that is unknown, so routes don't wait for it.
    assert recording.one("Certificate").annotations == {}


def test_up_waits_for_a_route_unless_its_certificate_is_issued_later(run: Run) -> None:
    unawaited = {"pulumi.com/skipAwait": "true"}
    for name, waits in (("domain kept elsewhere", False), ("domain", True)):
        annotations = run(name).one("Ingress", "foo").inputs["metadata"].get("annotations", {})
        assert (unawaited.items() <= annotations.items()) is not waits


def test_zones_are_looked_up_before_the_first_resource(run: Run) -> None:
    assert "digitalocean:index/getDomains:getDomains" in run("domain in preview").invoked
    assert run("domain in preview").outputs["proxy_url"] == "https://api.example.com"


def test_a_canary_is_served_at_the_domain_with_the_certificate_of_an_ingress(run: Run) -> None:
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


def test_outputs_have_the_domain_and_the_load_balancers_address(run: Run) -> None:
    outputs = run("domain").outputs
    assert outputs["proxy_ip"] == "198.51.100.7"
    assert outputs["proxy_url"] == "https://api.example.com"
    assert outputs["foo_url"] == "https://api.example.com/foo"
    assert "dns_record" not in outputs


def test_the_certificate_is_created_after_its_dependencies_and_before_the_routes(run: Run) -> None:
    recording = run("domain")
    certificate = recording.one("Certificate")
    assert certificate.annotations == {"pulumi.com/waitFor": "condition=Ready"}
    assert {"Release cert-manager", "Release kong", "Issuer acme", "DnsRecord domain"} <= recording.before(certificate)
    assert "Release cert-manager" in recording.before(recording.one("Issuer"))
    assert "Certificate certificate" in recording.before(recording.one("Ingress", "foo"))
    # Without a record of the stack's own, too.
    elsewhere = run("domain kept elsewhere")
    assert {"Release kong", "Issuer acme"} <= elsewhere.before(elsewhere.one("Certificate"))


def test_routes_serve_the_domain_over_https_and_redirect_http(run: Run) -> None:
    ingress = run("domain").one("Ingress", "foo").inputs
    assert ingress["spec"]["rules"][0]["host"] == "api.example.com"
    assert ingress["spec"]["tls"] == [{"hosts": ["api.example.com"], "secretName": "gateway-tls"}]
    annotations = ingress["metadata"]["annotations"]
    assert annotations["konghq.com/protocols"] == "https"
    assert annotations["konghq.com/https-redirect-status-code"] == "308"
    grpc = run("domain").one("Ingress", "bar").inputs["metadata"]["annotations"]
    assert grpc["konghq.com/protocols"] == "grpcs"


def test_a_domain_sets_strict_transport_security(run: Run) -> None:
    def added(name: str) -> list[str]:
        plugins = [p for p in run(name).of("KongPlugin") if p.inputs["plugin"] == "response-transformer"]
        return [header for p in plugins for header in p.inputs["config"]["add"]["headers"]]

    assert "Strict-Transport-Security:max-age=63072000" in added("domain")
    assert not [header for header in added("example protection") if header.startswith("Strict-Transport")]


def test_the_load_balancer_has_a_hostname_so_that_pods_reach_it(run: Run) -> None:
    values = run("domain").one("Release", "kong").inputs["values"]
    assert values["proxy"]["annotations"][HOSTNAME] == "api.example.com"
    local = run("domain on an own cluster")
    assert "annotations" not in local.one("Release", "kong").inputs["values"]["proxy"]
    assert local.invoked == []
    assert local.outputs["dns_record"] == "api.example.com. A 203.0.113.10"


def test_another_acme_server_is_another_issuer_and_certificate(run: Run) -> None:
    staging, production = (run(name).one("Issuer").inputs for name in ("domain", "production"))
    assert staging["spec"]["acme"]["server"] == "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert production["spec"]["acme"]["server"] == "https://acme-v02.api.letsencrypt.org/directory"
    assert staging["metadata"]["name"] != production["metadata"]["name"]
    used = run("production").one("Certificate").inputs["spec"]["issuerRef"]["name"]
    assert used == production["metadata"]["name"]


def test_a_custom_acme_server_has_a_ca_bundle(run: Run) -> None:
    acme = run("own authority").one("Issuer").inputs["spec"]["acme"]
    assert acme["server"] == "https://ca.example/acme/directory"
    assert base64.b64decode(acme["caBundle"]).decode() == AUTHORITY
    assert acme["profile"] == "short"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"domain": "API.example.com"}, 'domain: "API.example.com" is not allowed'),
        ({"domain": "*.example.com"}, "without a wildcard"),
        ({"domain": "api.example.com"}, "email: is not allowed; allowed: an address with domain"),
        ({"email": "ops@example.com"}, "only with domain"),
        ({"acme": {"server": "production"}}, "acme: is not allowed; allowed: only with domain"),
        ({"acme": {"server": "prod"}}, "staging or production"),
        ({"acme": {"server": "http://ca.example/dir"}}, "the URL of an ACME directory"),
        ({"namespace": "cert-manager"}, "any namespace except kong, monitoring, cert-manager and kube-*"),
    ],
)
def test_an_error_has_a_fix(config: dict[str, object], said: str) -> None:
    assert said in complaint(**config)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"proxyServiceType": "ClusterIP"}, "LoadBalancer with domain"),
        ({"gateway": {"allowIps": ["10.0.0.0/8"]}}, "fix: set allowIps on the services"),
        ({"gateway": {"terminate": {}}}, "fix: set terminate on the services"),
        ({"gateway": {"plugins": {"request-termination": {}}}}, "fix: move request-termination to the services"),
        ({"acme": {"ca": AUTHORITY}}, "only with the URL of a custom ACME server"),
    ],
)
def test_policies_that_block_the_acme_challenge_are_refused(config: dict[str, object], said: str) -> None:
    assert said in complaint(domain="api.example.com", email="ops@example.com", **config)
