"""Node pools as requested from DigitalOcean, and the pods that run on them."""

from collections.abc import Callable
from typing import Any

from tests.unit.configurations import BAR, FOO
from tests.unit.conftest import Recording

POOLS: dict[str, Any] = {
    "batch": {"size": "s-2vcpu-4gb", "autoscale": {"min": 0, "max": 3}, "labels": {"tier": "batch"}}
    | {"taints": [{"key": "batch", "value": "only"}, {"key": "slow", "effect": "PreferNoSchedule"}]},
    "large": {"size": "s-4vcpu-8gb", "count": 2},
}
STACK: dict[str, Any] = {
    "kong-doks:nodePools": POOLS,
    "kong-doks:services": [FOO | {"pool": "batch", "canary": {"image": "user/foo:2"}}, BAR | {"pool": "large"}],
    "kong-doks:aggregates": [{"name": "all", "path": "/all", "backends": {"foo": "/foo"}, "pool": "large"}],
}
CONFIGURATIONS = {
    "pools": {"stack": "dev", "config": STACK},
    "preview of pools": {"stack": "dev", "config": STACK, "preview": True},
    "autoscaled default pool": {"stack": "dev", "config": {"kong-doks:nodeAutoscale": {"min": 1, "max": 4}}},
}


def test_an_autoscaled_pool_has_bounds_and_no_count(run: Callable[[str], Recording]) -> None:
    assert run("pools").one("KubernetesNodePool", "batch").inputs == {
        "clusterId": "cluster-id",
        "name": "batch-s-2vcpu-4gb",
        "size": "s-2vcpu-4gb",
        "autoScale": True,
        "minNodes": 0,
        "maxNodes": 3,
        "labels": {"tier": "batch"},
        "taints": [
            {"key": "batch", "value": "only", "effect": "NoSchedule"},
            {"key": "slow", "value": "", "effect": "PreferNoSchedule"},
        ],
    }


def test_a_pool_of_fixed_size_has_a_count_alone(run: Callable[[str], Recording]) -> None:
    assert run("pools").one("KubernetesNodePool", "large").inputs == {
        "clusterId": "cluster-id",
        "name": "large-s-4vcpu-8gb",
        "size": "s-4vcpu-8gb",
        "nodeCount": 2,
    }


def test_a_label_that_the_provider_cannot_remove_is_no_change(run: Callable[[str], Recording]) -> None:
    batch, large = (run("pools").one("KubernetesNodePool", name) for name in ("batch", "large"))
    assert (batch.ignore_changes, large.ignore_changes) == ([], ["labels"])


def test_a_resized_pool_is_created_before_the_old_one_is_deleted(run: Callable[[str], Recording]) -> None:
    for pool in run("pools").of("KubernetesNodePool"):
        # The engine's word for an explicit false: without it the provider's default counts, which is the reverse.
        assert pool.options.get("deleteBeforeReplace", False) is False
        assert pool.options["deleteBeforeReplaceDefined"] is True
        assert str(pool.inputs["name"]).endswith(str(pool.inputs["size"]))
        # A drain waits for disruption budgets.
        assert pool.options["customTimeouts"] == {"create": "45m", "delete": "60m"}


def test_a_pool_is_deleted_with_its_cluster(run: Callable[[str], Recording]) -> None:
    recording = run("pools")
    cluster = recording.one("KubernetesCluster")
    for pool in recording.of("KubernetesNodePool"):
        assert pool.deleted_with == cluster.urn
        assert pool.parent == cluster.parent


def test_every_version_of_a_service_runs_on_its_pool_and_tolerates_its_taints(run: Callable[[str], Recording]) -> None:
    for name in ("pools", "preview of pools"):
        recording = run(name)
        for deployment in ("foo", "foo-canary"):
            pod = recording.pod(deployment)
            assert pod["nodeSelector"] == {"doks.digitalocean.com/node-pool": "batch-s-2vcpu-4gb"}
            assert pod["tolerations"] == [
                {"key": "batch", "operator": "Equal", "value": "only", "effect": "NoSchedule"},
                {"key": "slow", "operator": "Equal", "value": "", "effect": "PreferNoSchedule"},
            ]
        for deployment in ("bar", "all"):
            pod = recording.pod(deployment)
            assert pod["nodeSelector"] == {"doks.digitalocean.com/node-pool": "large-s-4vcpu-8gb"}
            assert "tolerations" not in pod


def test_pods_start_after_their_pool_and_are_deleted_before_it(run: Callable[[str], Recording]) -> None:
    recording = run("pools")
    assert "KubernetesNodePool batch" in recording.before(recording.one("Deployment", "foo"))
    assert "KubernetesNodePool batch" not in recording.before(recording.one("Deployment", "bar"))
    assert "KubernetesNodePool batch" not in recording.before(recording.one("Release"))


def test_a_service_without_a_pool_has_no_node_selector(dev: Recording) -> None:
    assert "nodeSelector" not in dev.pod("foo")
    assert "tolerations" not in dev.pod("foo")


def test_the_default_pool_may_be_autoscaled(run: Callable[[str], Recording]) -> None:
    pool = run("autoscaled default pool").one("KubernetesCluster").inputs["nodePool"]
    assert pool == {
        "name": "mycluster-default-pool",
        "size": "s-1vcpu-2gb",
        "autoScale": True,
        "minNodes": 1,
        "maxNodes": 4,
    }
