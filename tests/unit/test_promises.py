"""Promises of the documentation that no other test covers."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.configurations import FOO, shared
from tests.unit.conftest import Recording
from tests.unit.loading import refused

CONFIGURATIONS = {
    **shared(
        "domain",
        "domain on an own cluster",
        "example autoscale",
        "example everything",
        "example monitoring",
        "example replicas",
        "local",
        "other registry",
        "policies",
        "several gateways",
    ),
}

Run = Callable[[str], Recording]
KEY = "planted-key-of-20-ch"


def test_namespaces_are_retained_in_an_existing_cluster(run: Run, dev: Recording) -> None:
    for name in ("local", "domain on an own cluster"):
        for namespace in run(name).of("Namespace"):
            assert (namespace.retained, namespace.deleted_with) == (True, "")
    for namespace in dev.of("Namespace"):
        assert (namespace.retained, namespace.deleted_with) == (False, dev.one("KubernetesCluster").urn)


def test_an_aggregate_does_not_widen_access_to_a_service() -> None:
    consumers = [{"name": "alice", "groups": ["team-a", "team-b"], "apiKey": KEY}]
    aggregate = {"name": "all", "path": "/all", "backends": {"foo": "/foo"}, "auth": "key-auth"}
    config: dict[str, Any] = {
        "consumers": consumers,
        "services": [FOO | {"auth": "key-auth", "allow": ["team-a"]}],
        "aggregates": [aggregate | {"allow": ["team-a", "team-b"]}],
    }
    (line,) = refused(config, ["consumers"])
    assert line.startswith("kong-doks:aggregates[0].allow: ")


def test_credentials_are_not_in_urls_and_hidden_from_services(run: Run) -> None:
    jwt = run("policies").one("KongPlugin", "foo.jwt").inputs["config"]
    assert jwt == {"claims_to_verify": ["exp"], "uri_param_names": []}
    key_auth = run("policies").one("KongPlugin", "foo.key-auth").inputs["config"]
    assert key_auth == {"key_names": ["apikey"], "key_in_query": False, "hide_credentials": True}


def test_the_kubeconfig_trusts_only_the_clusters_ca(dev: Recording) -> None:
    (cluster,) = json.loads(dev.outputs["kubeconfig"]["secret"])["clusters"]
    assert cluster["cluster"] == {"server": "https://api.example", "certificate-authority-data": "Q0E="}


def test_nodes_pull_from_another_registry_as_its_user(run: Run) -> None:
    text = run("other registry").one("Secret", "registry").inputs["stringData"]
    docker_config = json.loads(text["secret"][".dockerconfigjson"] if "secret" in text else text[".dockerconfigjson"])
    assert base64.b64decode(docker_config["auths"]["ghcr.io"]["auth"]) == b"user:planted-word"


def test_images_are_for_amd64_and_never_deleted(dev: Recording) -> None:
    for image in dev.of("Image"):
        assert image.inputs["platforms"] == ["linux/amd64"]
        assert image.retained


def test_cert_managers_crds_are_kept_and_renewals_rotate_the_key(run: Run) -> None:
    recording = run("domain")
    assert recording.one("Release", "cert-manager").inputs["values"]["crds"] == {"enabled": True, "keep": True}
    assert recording.one("Certificate").inputs["spec"]["privateKey"]["rotationPolicy"] == "Always"


def test_kong_trusts_only_the_private_network_for_client_addresses(dev: Recording) -> None:
    trusted = dev.one("Release").inputs["values"]["env"]["trusted_ips"]
    assert trusted == "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def test_acme_solver_pods_are_reached_by_kong_only(run: Run) -> None:
    recording = run("domain")
    solver = recording.one("NetworkPolicy", "acme.solver").inputs["spec"]
    (rule,) = solver["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kong"}
    assert peer["podSelector"] == recording.one("NetworkPolicy", "kong").inputs["spec"]["podSelector"]


def test_each_rate_limit_store_has_its_own_password(run: Run) -> None:
    passwords = [
        json.dumps(run(name).one("Secret", "rate-limits").inputs["data"])
        for name in ("several gateways", "example replicas")
    ]
    assert passwords[0] != passwords[1]
    assert all(len(text) > 2 * 64 for text in passwords)


@pytest.mark.parametrize(
    ("plugin", "plugin_config"),
    [
        ("acl", {"allow": ["team-a"]}),
        ("ip-restriction", {"allow": ["10.0.0.0/8"]}),
        ("ldap-auth", {"ldap_host": "ldap.example.com", "base_dn": "dc=example", "attribute": "uid"}),
        *((name, {}) for name in ("basic-auth", "hmac-auth", "jwt", "key-auth", "session")),
    ],
)
def test_access_control_is_never_a_global_plugin(plugin: str, plugin_config: dict[str, Any]) -> None:
    lines = refused({"gateway": {"plugins": {plugin: plugin_config}}, "services": [FOO]})
    assert any(
        line.startswith(f"kong-doks:gateway.plugins.{plugin}: ") and "allowed: only on services" in line
        for line in lines
    )


@pytest.mark.parametrize("header", ["Host", "Connection", "Content-Length", "transfer-encoding", "TE", "Upgrade"])
def test_an_aggregate_forwards_no_hop_by_hop_headers(header: str) -> None:
    aggregate = {"name": "all", "path": "/all", "backends": {"foo": "/foo"}, "headers": [header]}
    (line,) = refused({"services": [FOO], "aggregates": [aggregate]})
    assert line.startswith("kong-doks:aggregates[0].headers[0]: ")


def test_grafana_has_no_api_token(run: Run) -> None:
    assert run("example monitoring").one("Release", "grafana").inputs["values"]["automountServiceAccountToken"] is False


def amounts(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 -- JSON
    """Yields every mapping of requests or limits, of objects and of charts' values."""
    if isinstance(part, list):
        for item in part:
            yield from amounts(item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in ("requests", "limits") and isinstance(value, dict):
                yield value
            else:
                yield from amounts(value)


@pytest.mark.parametrize("name", ["dev", "example everything", "example autoscale", "domain"])
def test_requests_and_limits_are_valid_quantities(run: Run, name: str) -> None:
    declared = [amount for resource in run(name).resources for amount in amounts(resource.inputs)]
    assert len(declared) >= 4
    for amount in declared:
        assert {*amount} <= {"cpu", "memory"}
        assert re.fullmatch(r"[0-9]+m?", amount.get("cpu", "1"))
        assert re.fullmatch(r"[0-9]+[MG]i", amount.get("memory", "1Mi"))


def test_every_container_has_a_memory_limit(run: Run) -> None:
    for pods in [*run("example everything").of("Deployment"), *run("domain").of("Deployment")]:
        for container in pods.inputs["spec"]["template"]["spec"]["containers"]:
            assert "memory" in container["resources"]["limits"], pods.name


@pytest.mark.parametrize("name", ["dev", "local", "example everything", "domain on an own cluster"])
def test_every_object_is_in_the_stacks_cluster_and_no_other(run: Run, name: str) -> None:
    # Without the provider, Pulumi takes the one of the user's kubeconfig.
    objects = [resource for resource in run(name).resources if resource.type.startswith("kubernetes:")]
    assert objects
    for resource in objects:
        assert [need for need in resource.needs if "pulumi:providers:kubernetes::kubernetes" in need], resource.urn


@pytest.mark.parametrize("name", ["dev", "example everything"])
def test_every_object_has_a_name_of_its_own(run: Run, name: str) -> None:
    # Pulumi would add random characters, and Kong finds a plugin by its name.
    objects = [resource for resource in run(name).resources if resource.created and "metadata" in resource.inputs]
    assert objects
    assert [resource.urn for resource in objects if not resource.inputs["metadata"].get("name")] == []


@pytest.mark.parametrize("name", sorted(CONFIGURATIONS))
def test_every_component_registers_its_outputs(run: Run, name: str) -> None:
    """Until it has, Pulumi shows it as being created."""
    recording = run(name)
    components = {resource.urn for resource in recording.resources if resource.type.startswith("kong-doks:")}
    assert components == {urn for urn in recording.finished if "::pulumi:pulumi:Stack::" not in urn}
