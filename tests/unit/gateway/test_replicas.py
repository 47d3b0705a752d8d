"""Several pods of Kong: where they run, and how they count together."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.config import kong_plugins as policies
from infra.config import plugin_configs
from infra.config.gateway import GatewayPolicies
from infra.config.policies import RoutePolicies
from tests.unit.configurations import shared
from tests.unit.conftest import Recording

CONFIGURATIONS = {
    **shared("example rate-limit", "example replicas", "several gateways"),
    "autoscaled gateways": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"autoscale": {"min": 2, "max": 4, "memory": 150}, "rateLimit": {"second": 50}},
        },
    },
    "one gateway or more": {"stack": "dev", "config": {"kong-doks:gateway": {"autoscale": {"max": 3}}}},
    "a gateway with priority": {"stack": "dev", "config": {"kong-doks:gateway": {"priority": True}}},
    "several gateways without limits": {"stack": "dev", "config": {"kong-doks:gateway": {"replicas": 2}}},
}

BUDGET = {"enabled": True, "maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
LIMIT = {"rateLimit": {"minute": 60}}


@pytest.fixture(scope="session")
def several(run: Callable[[str], Recording]) -> Recording:
    return run("several gateways")


def test_kong_serves_soon_after_its_first_configuration(dev: Recording) -> None:
    values = dev.one("Release").inputs["values"]
    for probe in (values["readinessProbe"], values["ingressController"]["readinessProbe"]):
        assert probe["initialDelaySeconds"] <= 1
        assert probe["periodSeconds"] <= 2
        # As long as by the chart's own values.
        assert probe["periodSeconds"] * probe["failureThreshold"] == 30
    # A controller that is restarted shall not take Kong's pod out.
    assert values["ingressController"]["readinessProbe"]["httpGet"]["path"] == "/healthz"


def test_a_single_replica_counts_locally(dev: Recording, run: Callable[[str], Recording]) -> None:
    values = dev.one("Release").inputs["values"]
    assert not {"replicaCount", "podDisruptionBudget", "topologySpreadConstraints", "tolerations"} & set(values)
    alone = run("example rate-limit")
    assert {resource.name for resource in alone.of("Deployment")} == {"foo", "bar"}
    assert alone.one("KongPlugin", "foo.rate-limiting").inputs["config"]["policy"] == "local"


def test_without_rate_limits_there_is_no_store(run: Callable[[str], Recording]) -> None:
    recording = run("several gateways without limits")
    assert recording.one("Release").inputs["values"]["replicaCount"] == 2
    assert {resource.name for resource in recording.of("Deployment")} == {"foo", "bar"}


def test_replicas_of_kong_prefer_different_nodes_and_have_a_disruption_budget(several: Recording) -> None:
    values = several.one("Release").inputs["values"]
    assert values["replicaCount"] == 2
    assert values["podDisruptionBudget"] == BUDGET
    (spread,) = values["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    for tolerations in (values["tolerations"], several.pod("rate-limits")["tolerations"]):
        assert {toleration["tolerationSeconds"] for toleration in tolerations} == {30}


def test_the_charts_autoscaler_owns_the_replicas(run: Callable[[str], Recording]) -> None:
    recording = run("autoscaled gateways")
    values = recording.one("Release", "kong").inputs["values"]
    assert "replicaCount" not in values
    target = {"type": "Utilization", "averageUtilization": 150}
    assert values["autoscaling"] == {
        "enabled": True,
        "minReplicas": 2,
        "maxReplicas": 4,
        "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": target}}],
    }
    assert values["podDisruptionBudget"] == BUDGET
    assert values["topologySpreadConstraints"]
    # Its pods count together, as those of `replicas` do, and the store gets a node when they do.
    priority = recording.one("PriorityClass").inputs["metadata"]["name"]
    assert recording.pod("rate-limits")["priorityClassName"] == values["priorityClassName"] == priority


def test_a_gateway_with_a_minimum_of_one_has_no_disruption_budget(run: Callable[[str], Recording]) -> None:
    values = run("one gateway or more").one("Release", "kong").inputs["values"]
    assert "podDisruptionBudget" not in values
    assert values["topologySpreadConstraints"]
    (metric,) = values["autoscaling"]["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 500}}


def test_priority_is_available_without_autoscale(run: Callable[[str], Recording]) -> None:
    recording = run("a gateway with priority")
    assert recording.one("Release").inputs["values"]["priorityClassName"] == "kong-doks-dev-gateway"
    assert recording.of("HorizontalPodAutoscaler") == []


def test_replicas_share_a_store_whose_password_is_not_in_the_plugin(several: Recording) -> None:
    plugin = several.one("KongPlugin", "foo.rate-limiting").inputs
    assert plugin["config"] == {
        "minute": 60,
        "limit_by": "ip",
        "policy": "redis",
        "fault_tolerant": True,
        "redis": {"host": "rate-limits.kong.svc", "timeout": 500},
    }
    reference = {"name": "kong-doks-rate-limits", "key": "password"}
    assert plugin["configPatches"] == [{"path": "/redis/password", "valueFrom": {"secretKeyRef": reference}}]
    for_all = several.one("KongClusterPlugin", "gateway.rate-limiting").inputs
    assert for_all["configPatches"][0]["valueFrom"]["secretKeyRef"] == reference | {"namespace": "kong"}
    assert "configPatches" not in several.one("KongPlugin", "foo.bot-detection").inputs


def test_store_and_plugins_have_the_same_password(several: Recording) -> None:
    made, copy = several.one("Secret", "rate-limits"), several.one("Secret", "rate-limits-services")
    assert (made.inputs["metadata"]["namespace"], copy.inputs["metadata"]["namespace"]) == ("kong", "default")
    data = made.inputs["data"]["secret"]
    password = json.loads(base64.b64decode(data["password"]))
    assert len(password) == 64
    assert base64.b64decode(data["valkey.conf"]).decode() == f"requirepass {password}\n"
    assert copy.inputs["data"] == {"secret": {"password": data["password"]}}


def test_the_password_of_the_first_run_stays(several: Recording) -> None:
    assert several.one("Secret", "rate-limits").ignore_changes == ["data"]


def test_a_rate_limit_depends_on_the_store(several: Recording, run: Callable[[str], Recording]) -> None:
    needed = {"Deployment rate-limits", "Service rate-limits", "Secret rate-limits-services"}
    for kind, name in (
        ("KongPlugin", "foo.rate-limiting"),
        ("KongClusterPlugin", "gateway.rate-limiting"),
        ("Ingress", "foo"),
    ):
        assert needed <= several.before(several.one(kind, name)), name
    of_a_route_only = run("example replicas")
    assert needed <= of_a_route_only.before(of_a_route_only.one("KongPlugin", "foo.rate-limiting"))


def test_the_store_is_restricted_and_deleted_with_the_cluster(several: Recording) -> None:
    counters = several.one("Deployment", "rate-limits")
    assert counters.deleted_with == several.one("KubernetesCluster").urn
    spec: dict[str, Any] = counters.inputs["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["image"] == "valkey/valkey:8.1.4"
    assert container["resources"]["limits"]["memory"] == "64Mi"
    # A full store that refused to count would refuse requests, or let all of them through.
    assert container["args"][-2:] == ["--maxmemory-policy", "volatile-ttl"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert counters.inputs["spec"]["strategy"] == {"type": "Recreate"}


def test_only_generated_rate_limits_get_the_stores_password() -> None:
    store, gateway = plugin_configs.Context(rate_limit_store="store"), GatewayPolicies()
    own = RoutePolicies.model_validate({"plugins": {"rate-limiting": {"minute": 1}}})
    assert policies.route_rules(own, gateway, store).plugins == [policies.Plugin("rate-limiting", {"minute": 1})]
    limited = RoutePolicies.model_validate(LIMIT)
    (plugin,) = policies.route_rules(limited, gateway, store).plugins
    assert plugin.store_password_paths == ("/redis/password",)
    everywhere = policies.gateway_plugins(GatewayPolicies.model_validate(LIMIT), store)
    assert {made.name: made.store_password_paths for made in everywhere if made.store_password_paths} == {
        "rate-limiting": ("/redis/password",)
    }
    (plugin,) = policies.route_rules(limited, gateway, plugin_configs.Context()).plugins
    assert not plugin.store_password_paths


def test_with_several_replicas_the_load_balancer_checks_health_quickly(several: Recording, dev: Recording) -> None:
    prefix = "service.beta.kubernetes.io/do-loadbalancer-healthcheck-"
    alone, annotations = (
        recording.one("Release").inputs["values"]["proxy"]["annotations"] for recording in (dev, several)
    )
    assert not [name for name in alone if name.startswith(prefix)]
    checks = {name.removeprefix(prefix): value for name, value in annotations.items() if name.startswith(prefix)}
    # An interval, a time-out of 3 seconds each, at most twice: 12 seconds instead of 24.
    assert checks == {
        "check-interval-seconds": "3",
        "response-timeout-seconds": "3",
        "unhealthy-threshold": "2",
        "healthy-threshold": "2",
    }


@pytest.mark.parametrize(
    ("name", "policy"),
    [("several gateways", "Local"), ("autoscaled gateways", "Local"), ("one gateway or more", None), ("dev", None)],
)
def test_external_traffic_policy_is_local_with_several_replicas(
    run: Callable[[str], Recording], name: str, policy: str | None
) -> None:
    assert run(name).one("Release", "kong").inputs["values"]["proxy"].get("externalTrafficPolicy") == policy
