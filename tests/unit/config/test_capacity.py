"""Room for the pods on the nodes: the arithmetic, and that it counts what the program requests."""

from typing import Any

import pytest

from infra.config.capacity import DOKS_CLUSTER, DOKS_NODE, Amount, NodeSize, node_size, pod_kinds, shortage
from infra.config.settings import Settings
from infra.config.types import quantity
from tests.unit.configurations import shared
from tests.unit.conftest import Recording

CONFIGURATIONS = {
    **shared("domain", "example autoscale", "example monitoring"),
}

SMALLEST = NodeSize(1, 2048)


def settings(services: int = 2, /, **values: Any) -> Settings:  # noqa: ANN401 -- any key
    built = [{"name": f"s{number}", "path": f"/s{number}", "image": "a:1"} for number in range(services)]
    return Settings.model_validate({"services": built} | values)


DOMAIN: dict[str, Any] = {"domain": "api.example.com", "email": "ops@example.com"}
MONITORING: dict[str, Any] = {"gateway": {"monitoring": True}}


@pytest.mark.parametrize(
    "config", [{}, {"services": 3}, DOMAIN, MONITORING], ids=["dev", "three", "domain", "monitoring"]
)
def test_the_documented_stack_fits_and_rolls_on_the_smallest_node(config: dict[str, Any]) -> None:
    values = {"services": 2} | config
    count = values.pop("services")
    assert shortage(settings(count, **values), lambda _: SMALLEST) is None


def test_too_many_services_are_reported_with_a_sufficient_node_count() -> None:
    # Kong and its new pod take 50m each, 40 pods of services 15m each.
    many = settings(20)
    many = many.model_copy(
        update={"services": [service.model_copy(update={"replicas": 2}) for service in many.services]}
    )
    assert str(shortage(many, lambda _: SMALLEST)) == (
        "the pods request 700m CPU and 1408 MiB while one of them is updated, and 1 node s-1vcpu-2gb offer 188m CPU "
        "and 823 MiB beside DigitalOcean's own pods; fix: pulumi config set nodeCount 3"
    )
    assert shortage(many.model_copy(update={"node_count": 3}), lambda _: SMALLEST) is None
    assert shortage(many.model_copy(update={"node_count": 2}), lambda _: SMALLEST) is not None


def test_an_autoscaler_counts_with_its_maximum_and_metrics_server() -> None:
    # 50m for Kong, 50m for its new pod, 20m for metrics-server and 15m for each pod of the service: four fit.
    def scaled(most: int) -> Settings:
        service = {"name": "foo", "path": "/foo", "image": "a:1", "autoscale": {"min": 1, "max": most}}
        return Settings.model_validate({"services": [service]})

    assert shortage(scaled(4)) is None
    assert str(shortage(scaled(5))).startswith("the pods, at the max of autoscale, request 195m CPU and ")
    existing = scaled(5).model_copy(update={"metrics_server": "existing"})
    assert shortage(existing) is None
    gateway = {"gateway": {"autoscale": {"max": 3}}}
    assert {kind.name: kind.most for kind in pod_kinds(Settings.model_validate(gateway))} == {
        "Kong": 3,
        "metrics-server": 1,
    }


def test_the_surge_pod_of_a_rollout_is_counted() -> None:
    # 188m are free: 50m for Kong, 50m for its new pod, and 88m for the services, of which each requests 15m.
    assert shortage(settings(5), lambda _: SMALLEST) is None
    assert shortage(settings(6), lambda _: SMALLEST) is not None


def test_a_pod_larger_than_a_node_is_reported() -> None:
    resources = {"requests": {"cpu": "2", "memory": "64Mi"}, "limits": {"cpu": "2"}}
    services = [{"name": "foo", "path": "/foo", "image": "a:1", "resources": resources}]
    large = Settings.model_validate({"services": services})
    assert str(shortage(large, lambda _: SMALLEST)).endswith("fix: a larger nodeSize, or smaller resources.requests")
    assert shortage(large, lambda _: NodeSize(8, 16384)) is None


def test_insufficient_memory_alone_is_reported() -> None:
    resources = {"requests": {"memory": "400Mi"}, "limits": {"memory": "1Gi"}}
    services = [{"name": "foo", "path": "/foo", "image": "a:1", "resources": resources}]
    config = Settings.model_validate({"services": services})
    # 823 MiB are free; Kong takes 96, and the service's new pod 400 beside its old one.
    assert "fix: pulumi config set nodeCount 2" in str(shortage(config, lambda _: SMALLEST))


@pytest.mark.parametrize(
    ("slug", "size"),
    [
        ("s-1vcpu-2gb", SMALLEST),
        ("s-4vcpu-8gb-intel", NodeSize(4, 8192)),
        ("c-2", None),
        ("m-8vcpu-64gb", NodeSize(8, 65536)),
    ],
)
def test_a_size_slug_contains_vcpus_and_memory(slug: str, size: NodeSize | None) -> None:
    assert node_size(slug) == size


def test_the_smallest_nodes_capacity_is_the_measured_one() -> None:
    assert SMALLEST.allocatable == Amount(900, 1574)
    assert SMALLEST.allocatable.minus(DOKS_NODE).minus(DOKS_CLUSTER) == Amount(188, 823)


def test_the_counted_requests_are_those_of_the_program(recordings: dict[str, Recording]) -> None:
    def found(values: Any) -> list[tuple[float, float]]:  # noqa: ANN401 -- values of a chart
        """CPU and memory of every `requests` in there."""
        if isinstance(values, list):
            return [request for value in values for request in found(value)]
        if not isinstance(values, dict):
            return []
        here = values.get("requests")
        own = (
            [(quantity(here["cpu"]) * 1000, quantity(here["memory"]))]
            if isinstance(here, dict) and "cpu" in here
            else []
        )
        return own + [
            request for name, value in values.items() if name != "startupapicheck" for request in found(value)
        ]

    counted = settings(**DOMAIN, **MONITORING, metricsServer="install")
    own = [kind.pod.amount for kind in pod_kinds(counted) if not kind.name.startswith("service ")]
    charts = {
        resource.inputs["name"]: resource.inputs["values"]
        for run in recordings.values()
        for resource in run.of("Release")
    }
    assert set(charts) == {"kong", "prometheus", "grafana", "cert-manager", "metrics-server"}
    total = [round(sum(values)) for values in zip(*found(list(charts.values())), strict=True)]
    assert total == [sum(amount.cpu for amount in own), sum(amount.memory for amount in own) * 2**20]
