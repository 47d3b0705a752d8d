"""Node pools: their keys in a stack file, and the room on their nodes."""

from typing import Any

import pytest

from infra.config.capacity import NodeSize, shortage
from infra.config.settings import Settings
from tests.unit.configurations import FOO
from tests.unit.loading import loaded, refused

BATCH: dict[str, Any] = {"size": "s-2vcpu-4gb", "count": 2}


def test_every_pool_has_a_minimum_and_a_maximum() -> None:
    pools = {"fixed": BATCH, "one": {"size": "c-2"}, "scaled": {"size": "c-2", "autoscale": {"min": 0, "max": 4}}}
    config = loaded({"nodePools": pools, "nodeAutoscale": {"min": 1, "max": 3}})
    bounds = {key: (pool.least, pool.most) for key, pool in config.all_pools.items()}
    assert bounds == {"default": (1, 3), "fixed": (2, 2), "one": (1, 1), "scaled": (0, 4)}


def test_the_default_pool_has_the_configured_node_count() -> None:
    assert loaded({"nodeCount": "3", "nodeAutoscale": "{}"}).default_pool.most == 3


def test_a_label_with_a_custom_prefix_is_allowed() -> None:
    labels = {"example.com/tier": "batch", "tier": ""}
    assert loaded({"nodePools": {"batch": BATCH | {"labels": labels}}}).node_pools["batch"].labels == labels


@pytest.mark.parametrize(
    ("key", "is_allowed"),
    [
        # As Kubernetes' API server decides; see tests/e2e/test_nodes.py.
        *(("a..b", True), ("a_b-c.D9", True), ("a" * 63, True), (f"{'a' * 70}.b/tier", True), ("a/b", True)),
        *((f"{'a.' * 126}a/{'b' * 63}", True), (f"{'a.' * 126}aa/b", False), ("a" * 64, False), ("-a", False)),
        *(("a..b/tier", False), ("a.-b/tier", False), (".a/tier", False), ("/tier", False), ("a/", False)),
        *(("A.b/tier", False), ("a_b/tier", False), ("a/b/c", False), ("", False), ("a b", False), ("ä", False)),
    ],
)
def test_label_and_taint_keys_are_those_of_kubernetes(key: str, is_allowed: bool) -> None:
    for keys in ({"labels": {key: "x"}}, {"taints": [{"key": key}]}):
        config = {"nodePools": {"batch": BATCH | keys}}
        if is_allowed:
            loaded(config)
        else:
            assert len(refused(config)) == 1


def test_the_name_of_a_pool_is_one_for_nodes() -> None:
    pools = loaded({"nodePools": {"disk": {"size": "so1_5-2vcpu-16gb"}}}).node_pools
    assert pools["disk"].full_name("disk") == "disk-so1-5-2vcpu-16gb"


def test_a_taint_may_have_several_effects() -> None:
    taints = [{"key": "a"}, {"key": "a", "effect": "NoExecute"}]
    assert len(loaded({"nodePools": {"batch": BATCH | {"taints": taints}}}).node_pools["batch"].taints) == 2


SERVICE = {"name": "foo", "path": "/foo", "image": "a:1"}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "a count beside autoscaling": (
        {"nodePools": {"batch": BATCH | {"autoscale": {"max": 2}}}},
        "nodePools.batch.count: 2 is not allowed; allowed: unset with autoscale; fix: remove count",
    ),
    "a count beside autoscaling of the default pool": (
        {"nodeCount": "2", "nodeAutoscale": {"min": 1, "max": 3}},
        "nodeCount: 2 is not allowed; allowed: unset with nodeAutoscale; fix: pulumi config rm nodeCount",
    ),
    "more than the most": (
        {"nodeAutoscale": {"min": 3, "max": 2}},
        "nodeAutoscale.min: 3 is not allowed; allowed: at most max, which is 2; fix: write min: 2",
    ),
    "no node for DigitalOcean's own pods": (
        {"nodeAutoscale": {"min": 0, "max": 2}},
        "nodeAutoscale.min: 0 is not allowed; allowed: at least 1",
    ),
    "no bound": ({"nodeAutoscale": {"min": 1}}, "nodeAutoscale.max: is missing"),
    "no size": ({"nodePools": {"batch": {"count": 1}}}, "nodePools.batch.size: is missing; allowed: a Droplet size"),
    "no nodes": ({"nodePools": {"batch": BATCH | {"count": 0}}}, "nodePools.batch.count: 0 is not allowed"),
    "the default pool's name": (
        {"nodePools": {"default": BATCH}},
        "nodePools.default: is not allowed; allowed: any other name",
    ),
    "a name that is no label": (
        {"nodePools": {"Batch": BATCH}},
        'nodePools.Batch: "Batch" is not allowed; allowed: lower-case letters, digits and hyphens, from a letter, ',
    ),
    "the same taint twice": (
        {"nodePools": {"batch": BATCH | {"taints": [{"key": "a"}, {"key": "b"}, {"key": "a", "value": "x"}]}}},
        "nodePools.batch.taints[2]: is not allowed; allowed: each key once with an effect",
    ),
    "a pool of somebody else's cluster": (
        {"kubeContext": "kind-kind", "registry": {"kind": "none"}, "services": [SERVICE | {"pool": "batch"}]},
        'services[0].pool: "batch" is not allowed; allowed: unset with kubeContext',
    ),
    "a label of DigitalOcean's": (
        {"nodePools": {"batch": BATCH | {"labels": {"doks.digitalocean.com/node-pool": "x"}}}},
        "nodePools.batch.labels.doks.digitalocean.com/node-pool: is not allowed; allowed: labels of your own",
    ),
    "a label of Kubernetes'": (
        {"nodePools": {"batch": BATCH | {"labels": {"node.kubernetes.io/x": "y"}}}},
        "nodePools.batch.labels.node.kubernetes.io/x: is not allowed",
    ),
    "an unknown effect": (
        {"nodePools": {"batch": BATCH | {"taints": [{"key": "batch", "effect": "Never"}]}}},
        'nodePools.batch.taints[0].effect: "Never" is not allowed; allowed: NoSchedule, PreferNoSchedule or NoExecute',
    ),
    "a pool that isn't there": (
        {"nodePools": {"batch": BATCH}, "services": [FOO | {"pool": "bach"}]},
        'services[0].pool: "bach" is not allowed; allowed: a key of nodePools, which are batch; fix: add nodePools: ',
    ),
    "pools of somebody else's cluster": (
        {"kubeContext": "kind-kind", "registry": {"kind": "none"}, "nodePools": {"batch": BATCH}},
        "nodePools: is not allowed; allowed: unset with kubeContext, an existing cluster; fix: remove nodePools",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_invalid_value_is_reported_in_one_line(mistake: str) -> None:
    config, expected = MISTAKES[mistake]
    (line,) = refused(config)
    assert line.startswith(f"kong-doks:{expected}")
    assert "; fix: " in line


def settings(cpu: str, **values: Any) -> Settings:  # noqa: ANN401 -- any key
    resources = {"requests": {"cpu": cpu}, "limits": {"cpu": "4"}}
    services = [{"name": "foo", "path": "/foo", "image": "a:1", "pool": "batch", "resources": resources}]
    return Settings.model_validate({"services": services} | values)


def test_a_service_must_fit_in_its_pool() -> None:
    # 1388m of a node's 2 CPUs are free for pods; a rollout needs 700m twice.
    assert shortage(settings("690m", nodePools={"batch": {"size": "s-2vcpu-4gb"}})) is None
    assert str(shortage(settings("700m", nodePools={"batch": {"size": "s-2vcpu-4gb"}}))) == (
        "the pods request 1400m CPU and 48 MiB while one of them is updated, and 1 node s-2vcpu-4gb offer 1388m CPU "
        "and 2095 MiB beside DigitalOcean's own pods; fix: pulumi config set --path nodePools.batch.count 2"
    )


def test_an_autoscaled_pool_counts_with_its_largest_number_of_nodes() -> None:
    scaled = {"size": "s-2vcpu-4gb", "autoscale": {"min": 0, "max": 2}}
    assert shortage(settings("700m", nodePools={"batch": scaled})) is None
    short = shortage(settings("700m", nodePools={"batch": scaled | {"autoscale": {"min": 0, "max": 1}}}))
    assert str(short).endswith("fix: pulumi config set --path nodePools.batch.autoscale.max 2")
    many = [{"name": f"s{n}", "path": f"/s{n}", "image": "a:1"} for n in range(20)]
    default = Settings.model_validate({"services": many, "nodeAutoscale": {"min": 1, "max": 1}})
    assert str(shortage(default)).endswith("fix: pulumi config set --path nodeAutoscale.max 2")


def test_other_pods_may_run_in_a_pool_without_taints() -> None:
    many = [{"name": f"s{n}", "path": f"/s{n}", "image": "a:1"} for n in range(20)]
    pool: dict[str, Any] = {"size": "s-2vcpu-4gb"}
    assert shortage(Settings.model_validate({"services": many, "nodePools": {"batch": pool}})) is None
    pool["taints"] = [{"key": "batch", "effect": "PreferNoSchedule"}]
    assert shortage(Settings.model_validate({"services": many, "nodePools": {"batch": pool}})) is None
    for effect in ("NoSchedule", "NoExecute"):
        pool["taints"] = [{"key": "batch", "effect": effect}]
        assert "nodeCount 2" in str(shortage(Settings.model_validate({"services": many, "nodePools": {"batch": pool}})))


def test_a_pool_of_unknown_size_is_not_checked() -> None:
    assert shortage(settings("3", nodePools={"batch": {"size": "c-2"}})) is None


SIZES = {"c-2": NodeSize(2, 4096), "s-1vcpu-2gb": NodeSize(1, 2048)}
SCALED = {"size": "c-2", "autoscale": {"max": 1}}
MANY = [{"name": f"s{n}", "path": f"/s{n}", "image": "a:1"} for n in range(20)]
LARGE = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (settings("700m", nodePools={"batch": {"size": "c-2"}}), "nodePools.batch.count"),
        (settings("700m", nodePools={"batch": SCALED}), "nodePools.batch.autoscale.max"),
        (settings("3", nodePools={"batch": {"size": "c-2"}}), "nodePools.batch.size"),
        (Settings.model_validate({"services": MANY}), "nodeCount"),
        (Settings.model_validate({"services": MANY, "nodeAutoscale": {"max": 1}}), "nodeAutoscale.max"),
        (Settings.model_validate({"services": [MANY[0] | {"resources": LARGE}]}), "nodeSize"),
    ],
)
def test_a_shortage_names_the_pools_key(config: Settings, key: str) -> None:
    problem = shortage(config, SIZES.get)
    assert problem
    assert problem.key == key
    assert key in problem.fix
