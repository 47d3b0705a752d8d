"""Order of operations: the speed of `up`, and the safety of `destroy`, which reverses it."""

from collections.abc import Callable

import pytest

from tests.unit.configurations import shared
from tests.unit.conftest import Recording
from tests.unit.record import KONG_KINDS

CONFIGURATIONS = {
    **shared("fleet of 300", "local", "own namespace", "preview", "several gateways"),
    "no token": {
        "stack": "dev",
        "refusal": "a call returned an error: GET https://api/v2/kubernetes/options: 401 Unable",
    },
    "only images": {
        "stack": "dev",
        "config": {"kong-doks:services": [{"name": "web", "path": "/", "image": "nginx:1.29.3", "port": 8080}]},
    },
    "retired version": {"stack": "dev", "config": {"kong-doks:kubernetesVersion": "1.30"}},
    "mistakes": {"stack": "dev", "config": {"kong-doks:nodeCount": "0", "kong-doks:nodSize": "s-1vcpu-2gb"}},
}

IN_CLUSTER = ["Namespace", "Secret", "Deployment", "Ingress"]


def test_images_are_built_beside_the_cluster(dev: Recording) -> None:
    for image in dev.of("Image"):
        needs = dev.before(image)
        assert "ContainerRegistry kong-doks" in needs
        assert "KubernetesCluster cluster" not in needs


@pytest.mark.parametrize("name", ["foo", "bar"])
def test_a_service_depends_on_its_image_and_not_on_kong(dev: Recording, name: str) -> None:
    needs = dev.before(dev.one("Deployment", name))
    assert {f"Image {name}", "Secret registry", "KubernetesCluster cluster"} <= needs
    assert "Release kong" not in needs
    assert "Release kong" not in dev.before(dev.one("Service", name))


@pytest.mark.parametrize("name", ["foo", "bar"])
def test_a_route_depends_on_its_pods_and_the_gateway(dev: Recording, name: str) -> None:
    needs = dev.before(dev.one("Ingress", name))
    assert {f"Service {name}", f"Deployment {name}", "Release kong"} <= needs
    other = "bar" if name == "foo" else "foo"
    assert not {f"Service {other}", f"Deployment {other}"} & needs


def test_service_objects_skip_await(
    run: Callable[[str], Recording],
) -> None:
    recording = run("several gateways")
    created = [service for service in recording.of("Service") if service.created]
    assert {"foo", "rate-limits"} <= {service.name for service in created}
    for service in created:
        assert service.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    # A plugin that counts there waits for the store's pod itself.
    plugin = recording.of("KongClusterPlugin")[0]
    assert "Deployment rate-limits" in recording.before(plugin)


def test_the_gateway_depends_only_on_the_cluster_and_its_isolated_namespace(dev: Recording) -> None:
    assert dev.before(dev.one("Release")) == {
        "KubernetesCluster cluster",
        "kubernetes kubernetes",
        "Namespace kong",
        "EndpointSlice kubernetes",
        "NetworkPolicy default.deny",
        "NetworkPolicy kong",
    }


def test_the_release_does_not_wait_behind_services(run: Callable[[str], Recording]) -> None:
    recording = run("fleet of 300")
    order = [f"{resource.type.rpartition(':')[2]} {resource.name}" for resource in recording.resources]
    services = {f"s{number:03}" for number in range(300)}
    policies = [resource for resource in recording.of("NetworkPolicy") if resource.name in services]
    assert len(policies) == len(services)
    for policy in policies:
        assert order.index("Release kong") < order.index(f"NetworkPolicy {policy.name}")
        # They only come later: a dependency would be three more URNs in the state of each service.
        assert "NetworkPolicy kong" not in recording.before(policy)


@pytest.mark.parametrize("name", ["dev", "fleet of 300", "local"])
def test_crds_are_registered_after_the_release_and_the_services(run: Callable[[str], Recording], name: str) -> None:
    recording = run(name)
    kinds = [resource.type.rpartition(":")[2] for resource in recording.resources]
    definition = recording.one("CustomResourceDefinition", KONG_KINDS[0])
    first = recording.resources.index(definition)
    assert "Release" in kinds[:first]
    assert "NetworkPolicy" not in kinds[first:]
    # They only go later, so that nothing has to wait for more when the stack is destroyed.
    assert not any("Policy" in need for need in recording.before(definition))


def test_kong_is_uninstalled_before_the_cluster_is_deleted(dev: Recording) -> None:
    release = dev.one("Release")
    assert "KubernetesCluster cluster" in dev.before(release)
    assert release.deleted_with == ""
    assert not release.inputs.get("skipAwait")


def test_other_objects_are_deleted_with_the_cluster(dev: Recording) -> None:
    cluster = dev.one("KubernetesCluster").urn
    objects = [resource for kind in IN_CLUSTER for resource in dev.of(kind)]
    services = [dev.one("Service", name) for name in ("foo", "bar")]
    assert len(objects) == 6
    assert {resource.deleted_with for resource in [*objects, *services]} == {cluster}


def test_the_address_is_looked_up_only_once_kong_is_there(run: Callable[[str], Recording], dev: Recording) -> None:
    proxy = dev.one("Service", "kong-proxy")
    assert not proxy.created
    assert proxy.id == "kong/kong-proxy"
    assert run("preview").one("Service", "kong-proxy").id == "(unknown)"


def test_a_namespace_is_created_before_its_objects(run: Callable[[str], Recording]) -> None:
    recording = run("own namespace")
    assert recording.one("Namespace", "services").inputs["metadata"]["name"] == "shop"
    for kind in ("Deployment", "Service", "Ingress", "Secret"):
        for resource in recording.of(kind):
            if resource.created:
                assert resource.inputs["metadata"]["namespace"] == "shop"
                assert "Namespace services" in recording.before(resource)


def test_an_invalid_configuration_registers_nothing(run: Callable[[str], Recording]) -> None:
    recording = run("mistakes")
    assert recording.resources == []
    assert recording.invoked == []
    assert recording.status != 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("retired version", 'kong-doks:kubernetesVersion: "1.30" is not on offer; allowed: 1.36, 1.35, 1.34; fix: '),
        (
            "no token",
            "DigitalOcean API call failed: GET https://api/v2/kubernetes/options: 401 Unable; ",
        ),
    ],
)
def test_api_errors_are_reported_before_the_first_resource(
    run: Callable[[str], Recording], name: str, said: str
) -> None:
    recording = run(name)
    assert recording.resources == []
    (error,) = recording.errors
    assert error.startswith(said)
    assert "fix: " in error
    assert recording.status != 0


def test_a_stack_that_builds_nothing_has_no_registry(run: Callable[[str], Recording]) -> None:
    recording = run("only images")
    assert recording.of("ContainerRegistry") == []
    assert recording.of("ContainerRegistryDockerCredentials") == []
    assert recording.one("Deployment", "web")
