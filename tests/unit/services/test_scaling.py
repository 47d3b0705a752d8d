"""The number of a service's pods, their places, their start and their end."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.configurations import BAR, FOO
from tests.unit.conftest import Recording

AUTOSCALE = {"autoscale": {"min": 2, "max": 5, "cpu": 70, "memory": 90}}
VERSION = {"image": "user/foo:2"}


def stack(*services: dict[str, Any], **config: Any) -> dict[str, Any]:  # noqa: ANN401 -- YAML
    return {"stack": "dev", "config": {"kong-doks:services": list(services), **config}}


CONFIGURATIONS = {
    "an autoscaled service": stack(FOO | AUTOSCALE | {"canary": VERSION}, BAR),
    "an autoscaled service with a fixed canary": stack(FOO | AUTOSCALE | {"canary": VERSION | {"replicas": 1}}),
    "an autoscaler without a target": stack(FOO | {"autoscale": {"max": 3}}),
    "two pods of a service": stack(FOO | {"replicas": 2}, BAR),
    "two pods with little time": stack(FOO | {"replicas": 2, "gracePeriod": 10}, BAR),
    "two pods that answer gRPC": stack(FOO | {"replicas": 2, "protocol": "grpc"}, BAR),
    "two pods without a probe's path": stack({"name": "foo", "path": "/foo", "replicas": 2} | VERSION, BAR),
    "two pods that Kong doesn't check": stack(FOO | {"replicas": 2, "activeChecks": False}, BAR),
    "two pods of two versions": stack(FOO | {"replicas": 2, "health": "/up", "canary": VERSION}, BAR),
    "nodes that come and go": stack(
        FOO,
        BAR,
        **{"kong-doks:nodeAutoscale": {"min": 1, "max": 3}, "kong-doks:metricsServer": "install"},
        **{"kong-doks:gateway": {"replicas": 2, "rateLimit": {"second": 50}}},
    ),
    "a slow service": stack(FOO | {"startupSeconds": 62, "gracePeriod": 90, "preStop": 15}, BAR | {"preStop": 0}),
    "autoscale with a metrics-server": stack(FOO | AUTOSCALE, **{"kong-doks:metricsServer": "existing"}),
    "a metrics-server alone": stack(FOO, **{"kong-doks:metricsServer": "install"}),
}

Run = Callable[[str], Recording]


def test_each_version_has_an_autoscaler_with_its_bounds(run: Run) -> None:
    recording = run("an autoscaled service")
    for name in ("foo", "foo-canary"):
        scaler = recording.one("HorizontalPodAutoscaler", name).inputs
        assert scaler["metadata"]["name"] == f"{name}-autoscaler"
        assert scaler["spec"]["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": f"{name}-deployment",
        }
        assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 5)
        targets = {metric["resource"]["name"]: metric["resource"]["target"] for metric in scaler["spec"]["metrics"]}
        assert targets == {
            "cpu": {"type": "Utilization", "averageUtilization": 70},
            "memory": {"type": "Utilization", "averageUtilization": 90},
        }
    assert {resource.name for resource in recording.of("HorizontalPodAutoscaler")} == {"foo", "foo-canary"}


def test_the_autoscaler_owns_the_replicas_from_its_minimum(run: Run) -> None:
    recording = run("an autoscaled service")
    foo, bar = (recording.one("Deployment", name) for name in ("foo", "bar"))
    assert (foo.inputs["spec"]["replicas"], foo.ignore_changes) == (2, ["spec.replicas"])
    assert (bar.inputs["spec"]["replicas"], bar.ignore_changes) == (1, [])
    assert foo.update_timeout == f"{180 + 4 * 30}s"


def test_a_version_with_its_own_replicas_has_no_autoscaler(run: Run) -> None:
    recording = run("an autoscaled service with a fixed canary")
    assert [resource.name for resource in recording.of("HorizontalPodAutoscaler")] == ["foo"]
    canary = recording.one("Deployment", "foo-canary")
    assert (canary.inputs["spec"]["replicas"], canary.ignore_changes) == (1, [])


def test_an_autoscaler_defaults_to_kubernetes_target(run: Run) -> None:
    spec = run("an autoscaler without a target").one("HorizontalPodAutoscaler").inputs["spec"]
    (metric,) = spec["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert spec["minReplicas"] == 1


@pytest.mark.parametrize("name", ["two pods of a service", "an autoscaled service"])
def test_several_replicas_have_a_disruption_budget_and_prefer_different_nodes(run: Run, name: str) -> None:
    recording = run(name)
    budget = recording.one("PodDisruptionBudget", "foo").inputs
    labels = recording.one("Deployment", "foo").inputs["spec"]["selector"]
    assert budget["metadata"]["name"] == "foo-budget"
    assert budget["spec"] == {
        "maxUnavailable": 1,
        "selector": labels,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    (spread,) = recording.pod("foo")["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert spread["labelSelector"] == labels


def test_a_single_pod_may_always_be_evicted(dev: Recording, run: Run) -> None:
    assert dev.of("PodDisruptionBudget") == []
    assert "topologySpreadConstraints" not in dev.pod("foo")
    assert [resource.name for resource in run("two pods of a service").of("PodDisruptionBudget")] == ["foo"]


def test_a_service_can_set_its_startup_and_grace_periods(dev: Recording, run: Run) -> None:
    recording = run("a slow service")
    (foo,), (bar,) = (recording.pod(name)["containers"] for name in ("foo", "bar"))
    probe = foo["startupProbe"]
    assert probe["httpGet"] == foo["readinessProbe"]["httpGet"]
    assert 62 <= probe["periodSeconds"] * probe["failureThreshold"] < 62 + probe["periodSeconds"]
    assert recording.one("Deployment", "foo").create_timeout == f"{180 + 62}s"
    assert recording.pod("foo")["terminationGracePeriodSeconds"] == 90
    assert foo["lifecycle"] == {"preStop": {"sleep": {"seconds": 15}}}
    # Kubernetes 1.33 accepts no sleep of 0.
    assert "lifecycle" not in bar
    for container in (bar, *dev.pod("foo")["containers"]):
        assert "startupProbe" not in container


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("an autoscaled service", True),
        ("autoscale with a metrics-server", False),
        ("a metrics-server alone", True),
        ("two pods of a service", False),
    ],
)
def test_metrics_server_is_installed_if_autoscale_is_used(run: Run, name: str, *, installed: bool) -> None:
    releases = [resource for resource in run(name).of("Release") if resource.name == "metrics-server"]
    assert len(releases) == installed
    for release in releases:
        assert release.inputs["namespace"] == "kube-system"
        # With the stack's cluster it goes without a call.
        assert release.deleted_with


def test_kong_has_priority_over_services_with_autoscale(dev: Recording, run: Run) -> None:
    recording = run("an autoscaled service")
    (priority,) = recording.of("PriorityClass")
    assert priority.inputs["metadata"]["name"] == "kong-doks-dev-gateway"
    assert priority.inputs["value"] > 0
    assert recording.one("Release", "kong").inputs["values"]["priorityClassName"] == "kong-doks-dev-gateway"
    for name in ("foo", "bar", "foo-canary"):
        assert "priorityClassName" not in recording.pod(name)
    assert dev.of("PriorityClass") == []
    assert "priorityClassName" not in dev.one("Release", "kong").inputs["values"]


def test_kong_checks_the_pods_of_a_service_that_has_several(run: Run) -> None:
    recording = run("two pods of a service")
    (policy,) = recording.of("KongUpstreamPolicy")
    assert (policy.inputs["metadata"]["name"], policy.inputs["metadata"]["namespace"]) == ("foo", "default")
    (active,) = policy.inputs["spec"]["healthchecks"].values()
    # Kong checks over HTTP only, and a pod that answers at all has passed: readiness says the rest.
    assert (active["type"], active["httpPath"]) == ("http", "/healthz")
    assert {200, 404, 503} <= set(active["healthy"]["httpStatuses"])
    assert "httpFailures" not in active["unhealthy"]
    assert recording.one("Service", "foo").annotations["konghq.com/upstream-policy"] == "foo"
    assert "konghq.com/upstream-policy" not in recording.one("Service", "bar").annotations
    for kind in ("Ingress", "Service"):
        assert "KongUpstreamPolicy foo.upstream" in recording.before(recording.one(kind, "foo"))


def test_all_versions_share_one_upstream_policy(run: Run) -> None:
    recording = run("two pods of two versions")
    (policy,) = recording.of("KongUpstreamPolicy")
    assert policy.inputs["spec"]["healthchecks"]["active"]["httpPath"] == "/up"
    for name in ("foo", "foo-canary"):
        assert recording.one("Service", name).annotations["konghq.com/upstream-policy"] == "foo"


@pytest.mark.parametrize(
    "name", ["two pods that answer gRPC", "two pods without a probe's path", "two pods that Kong doesn't check"]
)
def test_a_service_without_a_probe_path_or_with_active_checks_off_has_no_kong_health_checks(
    run: Run, name: str
) -> None:
    recording = run(name)
    assert recording.of("KongUpstreamPolicy") == []
    assert "konghq.com/upstream-policy" not in recording.one("Service", "foo").annotations


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("two pods of a service", 10), ("two pods with little time", 5), ("an autoscaled service", 10)],
)
def test_one_of_several_pods_serves_on_until_the_load_balancer_has_left_its_node(
    run: Run, name: str, seconds: int
) -> None:
    recording = run(name)
    (container,) = recording.pod("foo")["containers"]
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": seconds}}}


def test_one_of_several_pods_leaves_a_lost_node_early(run: Run) -> None:
    recording = run("two pods of a service")
    tolerations = recording.pod("foo")["tolerations"]
    assert {
        (toleration["key"], toleration["effect"], toleration["tolerationSeconds"]) for toleration in tolerations
    } == {
        ("node.kubernetes.io/not-ready", "NoExecute", 30),
        ("node.kubernetes.io/unreachable", "NoExecute", 30),
    }
    assert "tolerations" not in recording.pod("bar")


def test_a_rollout_waits_for_a_node_that_the_cluster_autoscaler_adds(dev: Recording, run: Run) -> None:
    for name in ("foo", "rate-limits"):
        waiting = run("nodes that come and go").one("Deployment", name)
        assert (waiting.create_timeout, waiting.update_timeout) == ("780s", "780s")
    assert dev.one("Deployment", "foo").create_timeout == "180s"


def test_pods_do_not_block_the_cluster_autoscaler(run: Run) -> None:
    safe = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    for name, expected in (("nodes that come and go", safe), ("two pods of a service", {})):
        recording = run(name)
        metadata = recording.one("Deployment", "foo").inputs["spec"]["template"]["metadata"]
        assert safe.items() & metadata.get("annotations", {}).items() == expected.items()
        for release in recording.of("Release"):
            assert release.inputs["values"].get("podAnnotations", {}) == expected
