"""The cluster and registry as the stack requests them from DigitalOcean."""

import json
from collections.abc import Callable

import pulumi
import pytest
from pulumi_kubernetes.core.v1.outputs import LoadBalancerIngress

from infra.config import versions
from infra.gateway import gateway
from infra.images.registry import not_empty
from tests.unit.configurations import PROJECT, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = {
    **shared("other registry", "preview", "sandbox"),
    "paid registry": {"stack": "dev", "config": {"kong-doks:registry": {"kind": "digitalocean", "tier": "basic"}}},
    "existing registry": {
        "stack": "dev",
        "config": {"kong-doks:registry": {"kind": "digitalocean", "name": "mine", "existing": True}},
    },
    "token in config": {
        "stack": "dev",
        "config": {"digitalocean:token": "planted-" + "token"},
        "secret_keys": ["digitalocean:token"],
    },
}

LOAD_BALANCER = "service.beta.kubernetes.io/do-loadbalancer"


def test_the_cluster_matches_the_tutorial(dev: Recording) -> None:
    cluster = dev.one("KubernetesCluster").inputs
    assert cluster["name"] == "mycluster"
    assert cluster["region"] == "nyc1"
    assert cluster["nodePool"] == {"name": "mycluster-default-pool", "size": "s-1vcpu-2gb", "nodeCount": 1}


def test_the_cluster_has_no_paid_extras_by_default(dev: Recording) -> None:
    cluster = dev.one("KubernetesCluster").inputs
    assert cluster["ha"] is False
    assert cluster["destroyAllAssociatedResources"] is True


def test_the_cluster_gets_the_newest_patch_and_later_patches_never_replace_it(dev: Recording) -> None:
    cluster = dev.one("KubernetesCluster")
    assert cluster.inputs["version"] == "1.35.7-do.1"
    assert cluster.ignore_changes == ["version", "region", "nodePool.size", "vpcUuid"]
    assert cluster.inputs["autoUpgrade"] is False


def test_an_upgrade_adds_nodes_before_it_drains_others(dev: Recording) -> None:
    assert dev.one("KubernetesCluster").inputs["surgeUpgrade"] is True


def test_the_create_timeout_covers_a_slow_cluster(dev: Recording) -> None:
    assert dev.one("KubernetesCluster").create_timeout == "45m"


def test_the_provider_survives_a_change_of_kubeconfig(dev: Recording) -> None:
    provider = dev.one("kubernetes")
    assert provider.inputs["clusterIdentifier"] == "cluster-id"
    assert provider.inputs["enableServerSideApply"] == "true"
    assert list(provider.inputs["kubeconfig"]) == ["secret"]


def test_the_kubeconfig_has_an_exec_credential_and_no_token(dev: Recording) -> None:
    kubeconfig = json.loads(dev.outputs["kubeconfig"]["secret"])
    assert kubeconfig["current-context"] == "do-nyc1-mycluster"
    (user,) = kubeconfig["users"]
    assert list(user["user"]) == ["exec"]
    command = user["user"]["exec"]
    assert command["command"] == "python3"
    assert command["args"][:2] == ["-I", "-c"]
    assert command["args"][3:] == ["cluster-id"]
    assert str(PROJECT) not in json.dumps(kubeconfig)


def test_a_token_in_the_stack_configuration_is_read_from_that_stack(run: Callable[[str], Recording]) -> None:
    kubeconfig = run("token in config").outputs["kubeconfig"]["secret"]
    assert json.loads(kubeconfig)["users"][0]["user"]["exec"]["args"][4:] == ["--stack", "dev"]
    assert "planted-token" not in kubeconfig


def test_another_endpoint_is_in_the_kubeconfig(run: Callable[[str], Recording]) -> None:
    kubeconfig = json.loads(run("sandbox").outputs["kubeconfig"]["secret"])
    assert kubeconfig["users"][0]["user"]["exec"]["args"][4:] == ["--api", "http://127.0.0.1:7070"]


def test_the_load_balancer_is_regional_with_proxy_protocol(dev: Recording) -> None:
    proxy = dev.one("Release").inputs["values"]["proxy"]
    assert proxy["annotations"] == {
        f"{LOAD_BALANCER}-type": "REGIONAL",
        f"{LOAD_BALANCER}-enable-proxy-protocol": "true",
    }
    assert "proxy_protocol" in proxy["http"]["parameters"]
    assert "proxy_protocol" in proxy["tls"]["parameters"]
    env = dev.one("Release").inputs["values"]["env"]
    assert env["real_ip_header"] == "proxy_protocol"
    assert "0.0.0.0/0" not in env["trusted_ips"]


def test_the_free_tier_uses_one_repository_with_a_tag_for_each_service(dev: Recording) -> None:
    registry = dev.one("ContainerRegistry").inputs
    assert registry == {"subscriptionTierSlug": "starter", "region": "nyc3"}
    endpoint = "registry.digitalocean.com/kong-doks-1a2b3c4"
    assert dev.one("Image", "foo").inputs["tags"] == [f"{endpoint}/microservices:foo"]
    assert dev.one("Image", "bar").inputs["tags"] == [f"{endpoint}/microservices:bar"]
    assert dev.outputs["registry"] == endpoint


def test_a_paid_tier_uses_a_repository_for_each_service(run: Callable[[str], Recording]) -> None:
    (tag,) = run("paid registry").one("Image", "foo").inputs["tags"]
    assert tag == "registry.digitalocean.com/kong-doks-1a2b3c4/foo-microservice:latest"


def test_an_existing_registry_is_neither_created_nor_deleted(run: Callable[[str], Recording]) -> None:
    recording = run("existing registry")
    registry = recording.one("ContainerRegistry")
    assert (registry.created, registry.id, registry.name) == (False, "mine", "registry.name")
    # The provider's look-up function answers nothing.
    assert not any("ContainerRegistry" in function for function in recording.invoked)
    (tag,) = recording.one("Image", "foo").inputs["tags"]
    assert tag == "registry.digitalocean.com/mine/foo-microservice:latest"


def test_a_replaced_registry_is_deleted_first(dev: Recording) -> None:
    assert dev.one("ContainerRegistry").options["deleteBeforeReplace"] is True


@pytest.mark.parametrize("empty", [None, ""])
def test_missing_registry_credentials_are_reported_in_one_line(empty: str | None) -> None:
    with pytest.raises(pulumi.RunError, match=r"^registry: the state's credentials to pull are empty; .*; fix: .*$"):
        not_empty(empty, "pull")
    assert not_empty("{}", "pull") == "{}"


def test_pull_credentials_cannot_push(dev: Recording) -> None:
    credentials = "ContainerRegistryDockerCredentials"
    assert dev.one(credentials, "push").inputs["write"] is True
    assert dev.one(credentials, "pull").inputs["write"] is False
    assert f"{credentials} push" not in dev.before(dev.one("Secret", "registry"))
    assert f"{credentials} pull" not in dev.before(dev.one("Image", "foo"))


def test_registry_credentials_are_secret_everywhere(dev: Recording, run: Callable[[str], Recording]) -> None:
    (login,) = dev.one("Image", "foo").inputs["registries"]
    assert login["password"] == {"secret": "pass-word"}
    assert list(dev.one("Secret", "registry").inputs["stringData"]) == ["secret"]
    other = run("other registry")
    assert other.one("Image", "foo").inputs["registries"] == [
        {"address": "ghcr.io", "username": "user", "password": {"secret": "planted-word"}}
    ]


def test_another_registry_gets_a_pull_secret_for_its_host(run: Callable[[str], Recording]) -> None:
    recording = run("other registry")
    assert recording.one("Image", "foo").inputs["tags"] == ["ghcr.io/user/foo-microservice:latest"]
    text = json.dumps(recording.one("Secret", "registry").inputs["stringData"])
    assert "ghcr.io" in text
    assert recording.of("ContainerRegistry") == []


@pytest.mark.parametrize("name", ["dev", "sandbox", "preview"])
def test_a_preview_builds_nothing(run: Callable[[str], Recording], name: str) -> None:
    assert {image.inputs["buildOnPreview"] for image in run(name).of("Image")} == {False}


def test_kongs_chart_is_pinned(dev: Recording) -> None:
    release = dev.one("Release").inputs
    assert (release["chart"], release["version"]) == ("kong", versions.KONG_CHART)
    assert release["repositoryOpts"] == {"repo": "https://charts.konghq.com"}
    assert release["values"]["image"] == {"repository": "kong", "tag": "3.9.3"}
    controller = release["values"]["ingressController"]["image"]
    assert controller == {"repository": "kong/kubernetes-ingress-controller", "tag": "3.5.13"}


def test_the_sandbox_stack_differs_only_in_addresses(dev: Recording, run: Callable[[str], Recording]) -> None:
    other = run("sandbox")
    assert other.one("Release").inputs["repositoryOpts"] == {"repo": "http://127.0.0.1:7071"}
    same = ["KubernetesCluster", "ContainerRegistry", "Image", "Deployment", "Service", "Ingress"]
    for kind in same:
        of_dev = sorted(json.dumps(resource.inputs, sort_keys=True) for resource in dev.of(kind))
        of_sandbox = sorted(json.dumps(resource.inputs, sort_keys=True) for resource in other.of(kind))
        assert of_dev == of_sandbox


def test_the_address_is_ipv4_and_looked_up_if_the_service_has_only_a_hostname() -> None:
    addresses = [LoadBalancerIngress(ip="2604:a880::1"), LoadBalancerIngress(ip="203.0.113.10")]
    assert gateway.ipv4_address(addresses) == gateway.ipv4_address(addresses, lambda: "198.51.100.7") == "203.0.113.10"
    # Also for a moment after a domain was taken away.
    assert (
        gateway.ipv4_address([LoadBalancerIngress(hostname="api.example.com")], lambda: "198.51.100.7")
        == "198.51.100.7"
    )
    with pytest.raises(pulumi.RunError, match=r"^project:proxyServiceType: .* fix: "):
        gateway.ipv4_address([LoadBalancerIngress(hostname="api.example.com")])
