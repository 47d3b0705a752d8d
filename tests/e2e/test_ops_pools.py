"""Node pools in the commands beside Pulumi: their price, the quota, drift, and the resize of the default one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.digitalocean import Api
from ops.errors import OpsError
from tests.e2e.api_server import ApiServer, pod
from tests.e2e.terminal import Done, Terminal
from tests.standins.digitalocean_provider.engine import TOKEN, Account
from tests.support import eventually

BATCH = {"batch": {"size": "s-2vcpu-4gb", "autoscale": {"min": 1, "max": 3}}}
DEFAULT = {"name": "mycluster-default-pool", "size": "s-1vcpu-2gb", "count": 1, "tags": ["terraform:default-node-pool"]}
LARGER = "s-2vcpu-4gb"


class Pools(Terminal):
    """A shell beside a stack `dev` whose cluster has an API server and pods."""

    def __init__(self, account: Account, folder: Path) -> None:
        super().__init__(account, folder)
        self.id = self.cluster(node_pools=[DEFAULT])
        self.record = account.cloud.clusters.records[self.id]
        self.api_server = ApiServer(folder)
        self.record.kubernetes = self.api_server.kubernetes
        self.remembers_pool(self.pools["mycluster-default-pool"])
        self.answers("refresh --yes", {})

    @property
    def pools(self) -> dict[str, dict[str, Any]]:
        return {pool["name"]: pool for pool in self.record.document["node_pools"]}

    def remembers_pool(self, default: dict[str, Any], *further: dict[str, Any]) -> None:
        """The state has the cluster with this default pool, and further pools."""
        scaled = {"autoScale": default["auto_scale"], "actualNodeCount": default["count"]}
        values = {"name": "mycluster", "nodePool": {"id": default["id"]} | scaled}
        self.state(
            [
                self.resource("CLUSTER", self.id, inputs=values, outputs=values),
                *(
                    self.resource(
                        "NODE_POOL",
                        pool["id"],
                        inputs={"clusterId": self.id, "name": pool["name"]},
                        outputs={"autoScale": pool["auto_scale"], "nodeCount": pool["count"]},
                    )
                    for pool in further
                ),
            ]
        )

    def add(self, **values: object) -> dict[str, Any]:
        body = {"name": "batch-s-2vcpu-4gb", "size": LARGER, "count": 1} | values
        added: dict[str, Any] = self.api("POST", f"/v2/kubernetes/clusters/{self.id}/node_pools", body)["node_pool"]
        return added

    def runs(self, *names: str) -> None:
        """Pods run on the nodes of the default pool."""
        (node,) = self.pools["mycluster-default-pool"]["nodes"]
        self.api_server.objects.append({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node["name"]}})
        for name in names:
            self.starts(name, node)

    def starts(self, name: str, node: dict[str, Any], **metadata: object) -> None:
        """A pod of a Deployment runs on a node."""
        there = pod(name)
        there["metadata"] |= {"ownerReferences": [{"kind": "ReplicaSet", "name": name, "controller": True}]} | metadata
        there["spec"]["nodeName"] = node["name"]
        self.api_server.objects.append(there)

    @property
    def pods(self) -> list[str]:
        return [document["metadata"]["name"] for document in self.api_server.objects if document["kind"] == "Pod"]


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[Pools]:
    account = Account()
    pools = Pools(account, tmp_path)
    yield pools
    pools.api_server.stop()
    account.stop()


# cost, quota


def test_an_autoscaled_pool_has_a_minimum_and_a_maximum_price(pools: Pools) -> None:
    pools.configure(nodePools=BATCH, nodeAutoscale={"min": 1, "max": 2}, proxyServiceType="ClusterIP")
    cost = pools.json("cost")
    assert (cost["monthly"], cost["monthly_most"]) == (12 + 24, 2 * 12 + 3 * 24)
    assert [item["what"] for item in cost["items"][:2]] == [
        "1 to 2 nodes s-1vcpu-2gb",
        "1 to 3 nodes s-2vcpu-4gb (batch)",
    ]
    assert "$36.00 to 96.00 a month" in pools.ops("cost").stdout


def test_a_pool_of_an_unavailable_size_has_no_price(pools: Pools) -> None:
    pools.configure(nodePools={"batch": {"size": "s-9vcpu-9gb"}})
    done = pools.ops("cost")
    assert done.returncode == 3
    assert done.stderr.startswith('nodePools.batch.size: "s-9vcpu-9gb" is not on offer; fix: ')
    failed = pools.failed()
    assert set(failed) == {"nodePools.batch.size"}
    assert failed["nodePools.batch.size"]["fix"] == "pulumi config set --path nodePools.batch.size s-1vcpu-2gb"


def test_the_quota_counts_the_largest_number_of_nodes(pools: Pools) -> None:
    pools.account.settings.droplet_limit = 5
    pools.configure(nodePools=BATCH, nodeAutoscale={"min": 1, "max": 2})
    assert pools.failed() == {}
    pools.configure(nodePools=BATCH, nodeAutoscale={"min": 1, "max": 4})
    failed = pools.failed()
    assert set(failed) == {"quota"}
    assert failed["quota"]["said"] == "1 of 5 Droplets in use, 6 more wanted at most"
    assert failed["quota"]["fix"].startswith("pulumi config set --path nodeAutoscale.max 2, ")
    # No maximum below the minimum.
    pools.configure(nodePools=BATCH, nodeAutoscale={"min": 3, "max": 4})
    assert pools.failed()["quota"]["fix"] == "remove Droplets, or ask DigitalOcean for more"


def test_the_nodes_of_every_pool_are_billed(pools: Pools) -> None:
    pools.add(count=2)
    assert pools.json("bill")["monthly"] == 12 + 2 * 24


# doctor


def test_a_node_count_set_by_the_autoscaler_is_no_drift(pools: Pools) -> None:
    added = pools.add(auto_scale=True, min_nodes=1, max_nodes=3)
    default = pools.pools["mycluster-default-pool"]
    default |= {"auto_scale": True, "min_nodes": 1, "max_nodes": 3}
    pools.remembers_pool(default, added)
    pools.configure(nodePools=BATCH, nodeAutoscale={"min": 1, "max": 3})
    for pool in pools.pools.values():
        pools.account.cloud.clusters.pools.resize(pools.record, pool, 2)
    assert pools.findings() == []


@pytest.mark.parametrize("name", ["mycluster-default-pool", "batch-s-2vcpu-4gb"])
def test_autoscaling_that_was_switched_on_by_hand_is_drift(pools: Pools, name: str) -> None:
    added = pools.add()
    pools.remembers_pool(pools.pools["mycluster-default-pool"], added)
    pools.pools[name]["auto_scale"] = True
    (finding,) = pools.findings()
    assert finding["id"] == "drift"
    assert finding["problem"].startswith("autoscaling of ")
    assert finding["fixes"] == [["pulumi up --refresh --stack dev"]]


def test_a_pool_that_was_scaled_by_hand_is_drift(pools: Pools) -> None:
    added = pools.add()
    pools.remembers_pool(pools.pools["mycluster-default-pool"], added)
    pools.account.cloud.clusters.pools.resize(pools.record, pools.pools["batch-s-2vcpu-4gb"], 2)
    (finding,) = pools.findings()
    assert "1 in the state, 2 in the account" in finding["problem"]


def test_an_additional_pool_deleted_by_hand_is_found(pools: Pools) -> None:
    added = pools.add()
    pools.remembers_pool(pools.pools["mycluster-default-pool"], added)
    pools.account.cloud.clusters.pools.delete(pools.record, pools.pools["batch-s-2vcpu-4gb"])
    eventually(lambda: "batch-s-2vcpu-4gb" not in pools.pools)
    (finding,) = pools.findings()
    assert finding["id"] == "node-pool-deleted"
    assert [command.partition(" --target")[0] for command in finding["fixes"][0]] == [
        "pulumi refresh --yes --skip-preview",
        "pulumi up --stack dev",
    ]


def test_an_additional_pool_lost_by_an_up_is_adopted_or_removed(pools: Pools) -> None:
    added = pools.add()
    pools.configure(nodePools={"batch": {"size": LARGER}})
    (finding,) = pools.findings()
    assert finding["id"] == "node-pool-added"
    adopt, remove = finding["fixes"]
    assert f"KubernetesNodePool batch {added['id']} --parent" in adopt[0]
    assert remove[0].startswith(f"python -m ops remove node_pool {pools.id}/node_pools/{added['id']}")


# resize-pool


def test_the_default_pool_is_moved_to_another_size_and_the_cluster_stays(pools: Pools) -> None:
    pools.runs("foo", "bar")
    (old,) = pools.pools.values()
    pools.configure(nodeSize=LARGER, nodeCount=2)
    done = pools.ops("resize-pool", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "runs on nodes of size s-2vcpu-4gb (pulumi up --stack dev)" in done.stdout
    (new,) = pools.pools.values()
    assert new["id"] != old["id"]
    assert (new["name"], new["size"], new["count"]) == ("mycluster-default-pool", LARGER, 2)
    assert "terraform:default-node-pool" in new["tags"]
    assert pools.pods == []
    assert pools.typed()[-1].startswith("refresh --yes --skip-preview --target urn:pulumi:dev::kong-doks::")
    eventually(lambda: pools.json("bill")["monthly"] == 2 * 24)
    again = pools.ops("resize-pool", "--yes")
    assert "has nodes of size s-2vcpu-4gb already" in again.stdout


def resized_until_the_drain(pools: Pools) -> Done:
    """Resizes with hardly any patience: the same command again if even the new nodes have taken longer."""

    def done() -> Done | None:
        done = pools.ops("resize-pool", "--yes", "--seconds", "0.1")
        return None if done.stderr.startswith("waiting for nodes of size") else done

    return eventually(done)


def test_a_disruption_budget_pauses_a_resize_and_the_same_command_continues_it(pools: Pools) -> None:
    pools.runs("foo", "bar")
    pools.api_server.kept = {"foo-1"}
    pools.configure(nodeSize=LARGER)
    done = resized_until_the_drain(pools)
    assert done.returncode == 3
    assert "default/foo-1 kept by disruption budgets; fix: kubectl get poddisruptionbudgets" in done.stderr
    assert set(pools.pools) == {"mycluster-default-pool", "mycluster-next-pool"}
    assert pools.pods == ["foo-1"]
    (node,) = [document for document in pools.api_server.objects if document["kind"] == "Node"]
    assert node["spec"] == {"unschedulable": True}
    (finding,) = pools.findings()
    assert (finding["id"], finding["fixes"]) == ("node-pool-resize", [["python -m ops resize-pool --yes --stack dev"]])
    pools.api_server.kept = set()
    assert pools.ops("resize-pool", "--yes").returncode == 0
    (pool,) = pools.pools.values()
    assert (pool["name"], pool["size"]) == ("mycluster-default-pool", LARGER)


@pytest.mark.parametrize("call", range(1, 6))
def test_an_interrupted_resize_continues(pools: Pools, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    interrupt_resize(pools, monkeypatch, call)
    assert pools.ops("resize-pool", "--yes").returncode == 0
    (pool,) = pools.pools.values()
    assert (pool["name"], pool["size"]) == ("mycluster-default-pool", LARGER)
    assert pools.pods == []


def interrupt_resize(pools: Pools, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """Begins a resize that ends after its call of this number that changes anything."""
    pools.runs("foo")
    pools.configure(nodeSize=LARGER)
    changes: list[str] = []
    send = Api._document  # noqa: SLF001 -- the one place that all requests pass

    def document(self: Api, method: str, *rest: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401 -- as it is
        answer = send(self, method, *rest, **options)
        if method != "GET":
            changes.append(method)
            if len(changes) == call:
                raise OpsError("interrupted")
        return answer

    monkeypatch.setattr(Api, "_document", document)
    assert pools.ops("resize-pool", "--yes").stderr == "interrupted\n"
    monkeypatch.setattr(Api, "_document", send)


@pytest.mark.parametrize("call", range(1, 5))
def test_an_interrupted_resize_continues_after_the_cluster_was_renamed(
    pools: Pools, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    interrupt_resize(pools, monkeypatch, call)
    pools.configure(nodeSize=LARGER, clusterName="shop")
    assert [finding["id"] for finding in pools.findings()] == ["node-pool-resize"]
    assert pools.ops("resize-pool", "--yes").returncode == 0
    (pool,) = pools.pools.values()
    assert (pool["name"], pool["size"]) == ("shop-default-pool", LARGER)


def test_another_size_during_a_resize_is_refused(pools: Pools) -> None:
    pools.runs("foo")
    pools.api_server.kept = {"foo-1"}
    pools.configure(nodeSize=LARGER)
    pools.ops("resize-pool", "--yes", "--seconds", "0.1")
    pools.configure(nodeSize="s-4vcpu-8gb")
    done = pools.ops("resize-pool", "--yes")
    assert done.returncode == 3
    assert "has size s-2vcpu-4gb; allowed: s-4vcpu-8gb; fix: pulumi config set nodeSize s-2vcpu-4gb" in done.stderr


def test_an_autoscaled_default_pool_keeps_its_bounds(pools: Pools) -> None:
    pools.configure(nodeSize=LARGER, nodeAutoscale={"min": 2, "max": 3})
    assert pools.ops("resize-pool", "--yes").returncode == 0
    (pool,) = pools.pools.values()
    assert (pool["auto_scale"], pool["min_nodes"], pool["max_nodes"], pool["count"]) == (True, 2, 3, 2)


MANY = [{"name": "foo", "path": "/foo", "build": "apps/foo", "replicas": 60}]


def test_pods_that_do_not_fit_the_new_size_are_reported_before_the_confirmation(pools: Pools) -> None:
    pools.configure(nodeSize=LARGER, services=MANY)
    done = pools.ops("resize-pool")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("nodeCount: the pods request ")
    assert line.endswith(", or --force")
    assert len(pools.pools) == 1
    done = pools.ops("resize-pool", "--yes", "--force")
    assert (done.returncode, done.stderr.partition(" the pods request ")[0]) == (0, "nodeCount:")


def test_another_pool_without_room_is_reported_by_its_key(pools: Pools) -> None:
    resources = {"requests": {"cpu": "1500m"}, "limits": {"cpu": "2"}}
    foo = {"name": "foo", "path": "/foo", "build": "apps/foo", "pool": "batch", "resources": resources}
    pools.configure(nodeSize=LARGER, services=[foo], nodePools={"batch": {"size": "s-2vcpu-4gb"}})
    done = pools.ops("resize-pool")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("nodePools.batch.size: the pods request ")
    assert "a larger nodePools.batch.size" in line


def test_a_started_resize_continues_with_a_warning_about_capacity(pools: Pools) -> None:
    pools.add(name="mycluster-next-pool")
    pools.configure(nodeSize=LARGER, services=MANY)
    done = pools.ops("resize-pool", "--yes")
    assert (done.returncode, done.stderr.partition(" the pods request ")[0]) == (0, "nodeCount:")
    assert pools.pools["mycluster-default-pool"]["size"] == LARGER


def test_a_pod_without_a_controller_is_evicted_only_with_force(pools: Pools) -> None:
    pools.runs("foo")
    (node,) = pools.pools["mycluster-default-pool"]["nodes"]
    pools.starts("bare", node, ownerReferences=[{"kind": "Node", "name": "it"}])
    pools.configure(nodeSize=LARGER)
    done = pools.ops("resize-pool", "--yes")
    assert done.returncode == 3
    assert done.stderr.startswith("pods without a controller, which would not be recreated: default/bare-1; allowed: ")
    assert len(pools.pools) == 1
    # It came while the new nodes were waited for.
    pools.add(name="mycluster-next-pool")
    assert "default/bare-1; allowed: " in pools.ops("resize-pool", "--yes").stderr
    assert pools.pods == ["foo-1", "bare-1"]
    assert pools.ops("resize-pool", "--yes", "--force").returncode == 0
    assert pools.pods == []


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_pods_that_have_ended_do_not_hold_up_a_resize(pools: Pools, phase: str) -> None:
    pools.runs("foo")
    (node,) = pools.pools["mycluster-default-pool"]["nodes"]
    pools.starts("job", node)
    pools.api_server.objects[-1]["status"] = {"phase": phase}
    pools.api_server.kept = {"job-1"}
    pools.configure(nodeSize=LARGER)
    assert pools.ops("resize-pool", "--yes", "--seconds", "180").returncode == 0


def test_a_nodes_own_pods_do_not_hold_up_a_resize(pools: Pools) -> None:
    pools.runs("foo")
    (node,) = pools.pools["mycluster-default-pool"]["nodes"]
    pools.starts("static", node, annotations={"kubernetes.io/config.mirror": "hash"})
    pools.api_server.kept = {"static-1"}
    pools.configure(nodeSize=LARGER)
    assert pools.ops("resize-pool", "--yes", "--seconds", "180").returncode == 0
    assert pools.pods == ["static-1"]


def test_a_resize_can_be_rolled_back(pools: Pools) -> None:
    pools.runs("foo")
    old = pools.pools["mycluster-default-pool"]
    pools.account.settings.node_create = 3600
    pools.configure(nodeSize=LARGER)
    done = pools.ops("resize-pool", "--yes", "--seconds", "0.1")
    assert done.returncode == 3
    assert done.stderr.startswith("waiting for nodes of size s-2vcpu-4gb: not after 0 s; fix: the same command again, ")
    assert done.stderr.endswith("or first pulumi config set nodeSize s-1vcpu-2gb, which keeps the old nodes\n")
    (finding,) = pools.findings()
    assert finding["fixes"][1] == [
        "pulumi config set nodeSize s-1vcpu-2gb --stack dev",
        "python -m ops resize-pool --yes --stack dev",
    ]
    pools.configure(nodeSize="s-1vcpu-2gb")
    asked = pools.ops("resize-pool", typing="n\n")
    assert asked.returncode == 1
    assert "Drain the new nodes, delete them, and stay on those of size s-1vcpu-2gb?" in asked.stderr
    done = pools.ops("resize-pool", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "stays on nodes of size s-1vcpu-2gb" in done.stdout
    (pool,) = pools.pools.values()
    assert (pool["id"], pool["count"]) == (old["id"], 1)
    assert pools.pods == ["foo-1"]


def test_a_resize_that_is_rolled_back_stops_the_new_pools_autoscaler_first(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools.runs("foo")
    pools.configure(nodeAutoscale={"min": 1, "max": 2})
    pools.add(name="mycluster-next-pool", auto_scale=True, min_nodes=1, max_nodes=2)
    clusters = pools.account.cloud.clusters.pools
    delete, scaled = clusters.delete, []

    def delete_pool(record: Any, pool: dict[str, Any]) -> None:  # noqa: ANN401 -- as it is
        scaled.append(pool["auto_scale"])
        delete(record, pool)

    monkeypatch.setattr(clusters, "delete", delete_pool)
    assert pools.ops("resize-pool", "--yes").returncode == 0
    assert scaled == [False]


def test_a_deleted_default_pool_is_not_mistaken_for_a_resize(pools: Pools) -> None:
    pools.add()
    pools.account.cloud.clusters.pools.delete(pools.record, pools.pools["mycluster-default-pool"])
    eventually(lambda: "mycluster-default-pool" not in pools.pools)
    done = pools.ops("resize-pool", "--yes")
    fix = f"fix: python -m ops add-pool {pools.id}\n"
    assert (done.returncode, done.stderr) == (3, f"cluster {pools.id} has no default node pool; {fix}")


@pytest.mark.parametrize(("count", "expected"), [(1, 2), (3, 3), (5, 4)])
def test_a_new_autoscaled_pool_starts_with_the_old_pools_node_count(pools: Pools, count: int, expected: int) -> None:
    default = pools.pools["mycluster-default-pool"]
    default |= {"auto_scale": True, "min_nodes": 1, "max_nodes": 5}
    pools.account.cloud.clusters.pools.resize(pools.record, default, count)
    pools.configure(nodeSize=LARGER, nodeAutoscale={"min": 2, "max": 4})
    assert pools.ops("resize-pool", "--yes").returncode == 0
    (pool,) = pools.pools.values()
    assert pool["count"] == expected


def test_nodes_added_to_the_old_pool_during_a_resize_are_drained(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    pools.runs("foo")
    default = pools.pools["mycluster-default-pool"]
    default |= {"auto_scale": True, "min_nodes": 1, "max_nodes": 5}
    pools.configure(nodeSize=LARGER, nodeAutoscale={"min": 1, "max": 5})
    send = Api._document  # noqa: SLF001 -- the one place that all requests pass

    def document(self: Api, method: str, *rest: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401 -- as it is
        answer = send(self, method, *rest, **options)
        if method == "POST":
            pools.account.cloud.clusters.pools.resize(pools.record, default, 2)
            node = default["nodes"][1]
            pools.api_server.objects.append({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node["name"]}})
            pools.starts("late", node)
        return answer

    monkeypatch.setattr(Api, "_document", document)
    pools.api_server.kept = {"late-1"}
    done = resized_until_the_drain(pools)
    assert "default/late-1 kept by disruption budgets" in done.stderr
    assert (default["auto_scale"], default["count"]) == (False, 2)
    assert pools.pools["mycluster-next-pool"]["auto_scale"]
    pools.api_server.kept = set()
    assert pools.ops("resize-pool", "--yes").returncode == 0
    assert pools.pods == []


def test_resize_asks_for_confirmation_before_it_creates_nodes(pools: Pools) -> None:
    pools.configure(nodeSize=LARGER)
    assert pools.ops("resize-pool", typing="n\n").returncode == 1
    assert len(pools.pools) == 1


def test_a_resize_to_the_present_size_needs_no_confirmation(pools: Pools) -> None:
    done = pools.ops("resize-pool", typing="")
    assert (done.returncode, done.stderr) == (0, "")
    assert "has nodes of size s-1vcpu-2gb already" in done.stdout


def test_a_stack_without_a_cluster_has_nothing_to_resize(pools: Pools) -> None:
    pools.remembers()
    done = pools.ops("resize-pool", "--yes")
    assert (done.returncode, done.stderr) == (3, "stack dev has no cluster yet; fix: pulumi up --stack dev\n")


def test_a_deleted_default_pool_is_recreated_as_configured(pools: Pools) -> None:
    pools.add()
    pools.account.cloud.clusters.pools.delete(pools.record, pools.pools["mycluster-default-pool"])
    eventually(lambda: "mycluster-default-pool" not in pools.pools)
    pools.configure(nodeAutoscale={"min": 1, "max": 3})
    assert pools.ops("add-pool", pools.id).returncode == 0
    pool = pools.pools["mycluster-default-pool"]
    assert (pool["auto_scale"], pool["max_nodes"], pool["size"]) == (True, 3, "s-1vcpu-2gb")


def test_no_second_default_pool_is_added_under_another_name(pools: Pools) -> None:
    pools.configure(clusterName="shop")
    done = pools.ops("add-pool", pools.id)
    assert (done.returncode, len(pools.pools)) == (3, 1)
    assert done.stderr == (
        f"cluster {pools.id} has its default node pool mycluster-default-pool; allowed: a cluster without one; "
        "fix: python -m ops doctor\n"
    )


# private networks


def test_preflight_checks_the_vpc(pools: Pools) -> None:
    pools.remembers()
    pools.delete_cluster(pools.id)
    (default,) = pools.account.cloud.vpcs
    pools.configure(vpc={"id": default})
    assert pools.failed() == {}
    pools.configure(vpc={"id": "00000000-9653-4bd1-bef5-d6bff52042e4"})
    assert pools.failed()["vpc"]["fix"] == f"pulumi config set --path vpc.id {default}"
    pools.configure(vpc={"name": "shop"})
    assert pools.failed() == {}
    pools.configure(vpc={"name": "default-nyc1"})
    assert "exists already" in pools.failed()["vpc"]["said"]
    pools.configure(vpc={"name": "shop"}, region="fra1")
    assert "becomes its default one, which DigitalOcean never deletes" in pools.failed()["vpc"]["said"]
    # An `up` that failed has made it.
    shop = pools.vpc("shop")
    pools.configure(vpc={"name": "shop"})
    assert "exists already" in pools.failed()["vpc"]["said"]
    pools.remembers(VPC=shop)
    assert pools.failed() == {}
    pools.account.cloud.tokens = {TOKEN: ["kubernetes:read"]}
    assert {"vpc:read", "vpc:create", "vpc:update", "vpc:delete"} <= set(
        pools.failed()["scopes"]["said"].removeprefix("missing: ").split(", ")
    )


def test_preflight_reports_a_vpc_that_up_would_refuse(pools: Pools) -> None:
    pools.delete_cluster(pools.id)
    shop = pools.vpc("shop")
    cluster = pools.cluster(vpc_uuid=shop)
    pools.remembers(CLUSTER=cluster, VPC=shop)
    pools.configure(vpc={"name": "shop", "ipRange": "10.120.0.0/20"})
    assert pools.failed() == {}
    pools.configure(vpc={"name": "other"})
    (renaming,) = [check for check in pools.json("preflight")["checks"] if check["name"] == "vpc.name"]
    assert (renaming["ok"], renaming["said"]) == (True, "shop becomes other")
    pools.configure(vpc={"name": "default-nyc1", "ipRange": "10.130.0.0/20"})
    failed = pools.failed()
    assert failed["vpc.name"]["said"] == 'a VPC "default-nyc1" exists already'
    assert failed["vpc.ipRange"]["said"] == '"10.130.0.0/20" would replace cluster mycluster; allowed: 10.120.0.0/20'
    for vpc in ({}, {"id": shop}):
        pools.configure(vpc=vpc, allowReplace=True)
        failed = pools.failed()
        assert failed["vpc"]["said"] == "would delete the VPC that cluster mycluster is in; allowed: name: shop"
        assert failed["vpc"]["fix"] == "write vpc: {name: shop}"


def test_a_stack_on_a_cluster_of_the_users_has_nothing_to_resize(pools: Pools) -> None:
    pools.remembers()
    pools.configure(kubeContext="kind-kind", registry={"kind": "none"})
    done = pools.ops("resize-pool", "--yes")
    assert done.returncode == 3
    assert done.stderr.startswith(
        "stack dev has no node pools: kubeContext names a cluster that it doesn't manage; fix: "
    )
