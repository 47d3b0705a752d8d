"""When the autoscaler of node pools adds a node and when it removes one. Time passes as looks at the cluster."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.kubernetes.autoscaler import Autoscaler, State
from tests.standins.digitalocean_provider.engine import TOKEN, Account
from tests.support import PATIENCE

Document = dict[str, Any]
ROOM = {"requests": {"cpu": "612m", "memory": "608Mi"}}


class Cluster:
    """A pool of one to three nodes for the test's pods; nodes are added and removed at once."""

    def __init__(self, cloud: Cloud) -> None:
        (self.record,) = cloud.clusters.records.values()
        (self.pool,) = self.record.document["node_pools"]
        self.pods: list[Document] = []
        self.tainted: list[str] = []
        self.status = httpx.codes.OK
        client = httpx.Client(transport=httpx.MockTransport(self._patch), base_url="https://kubernetes")
        self.autoscaler = Autoscaler(client, cloud.clusters, self.record, cloud.scheduler)
        self._lock = cloud.scheduler.lock
        self.settle()

    def _patch(self, request: httpx.Request) -> httpx.Response:
        self.tainted.append(request.url.path.rpartition("/")[2])
        return httpx.Response(self.status, json={})

    @property
    def names(self) -> list[str]:
        return [node["name"] for node in self.pool["nodes"]]

    def run(self, node: str, **spec: Any) -> None:  # noqa: ANN401 -- JSON
        self.pods.append(pod(nodeName=node, **spec))

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            nodes = [node(name) for name in self.names]
            daemons = [pod(nodeName=name, resources=ROOM, owner="DaemonSet") for name in self.names]
            with self._lock:
                self.autoscaler.reconcile(State(nodes, [*daemons, *self.pods]))
            self.settle()

    def settle(self) -> None:
        """Waits for the threads that bring and end nodes."""
        with self._lock:
            while [node["status"]["state"] for node in self.pool["nodes"]] != ["running"] * self.pool["count"]:
                self._lock.wait(0.02)


def node(name: str) -> Document:
    return {
        "metadata": {"name": name, "labels": {"doks.digitalocean.com/node-pool": "default"}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "1900m", "memory": "2560Mi"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def pod(
    *,
    resources: Document,
    owner: str = "ReplicaSet",
    annotations: Document | None = None,
    **spec: Any,  # noqa: ANN401 -- JSON
) -> Document:
    pending = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    return {
        "metadata": {
            "namespace": "default",
            "annotations": annotations or {},
            "ownerReferences": [{"kind": owner}] if owner else [],
        },
        "spec": {"containers": [{"resources": resources}]} | spec,
        "status": {"phase": "Running"} if "nodeName" in spec else {"phase": "Pending", "conditions": pending},
    }


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    account = Account()
    pool = {"name": "default", "size": "s-2vcpu-4gb", "count": 1, "auto_scale": True, "min_nodes": 1, "max_nodes": 3}
    body = {"name": "c", "region": "nyc1", "version": "1.34.10-do.0", "node_pools": [pool]}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    httpx.post(f"{account.url}/v2/kubernetes/clusters", json=body, headers=headers, timeout=PATIENCE).raise_for_status()
    yield Cluster(account.cloud)
    account.stop()


SMALL = {"requests": {"cpu": "100m", "memory": "100Mi"}}
LARGE = {"requests": {"cpu": "1200m", "memory": "300Mi"}}
HUGE = {"requests": {"cpu": "1500m"}}
HALF = {"requests": {"cpu": "400m"}}
"""CPU of a pod that is, with a DaemonSet's pod, more than half of a node."""


def test_an_unschedulable_pod_adds_a_node(cluster: Cluster) -> None:
    cluster.pods.append(pod(resources=LARGE))
    cluster.look()
    assert len(cluster.names) == 2


def test_a_pool_never_exceeds_its_maximum(cluster: Cluster) -> None:
    cluster.pods.append(pod(resources=LARGE))
    cluster.look(5)
    assert len(cluster.names) == 3


@pytest.mark.parametrize(
    "unfit",
    [
        pod(resources=HUGE),
        pod(resources=SMALL, nodeSelector={"doks.digitalocean.com/node-pool": "other"}),
    ],
    ids=["too large", "another pool's"],
)
def test_a_pod_that_fits_no_new_node_adds_none(cluster: Cluster, unfit: Document) -> None:
    cluster.pods.append(unfit)
    cluster.look()
    assert len(cluster.names) == 1


def test_an_empty_node_is_removed_after_ten_checks_unless_it_is_the_last(cluster: Cluster) -> None:
    cluster.pods.append(pod(resources=LARGE))
    cluster.look()
    cluster.pods.clear()
    first, second = cluster.names
    cluster.run(first, resources=SMALL)
    cluster.look(9)
    assert cluster.pool["count"] == 2
    cluster.look()
    assert cluster.pool["count"] == 1
    assert cluster.tainted in ([first], [second])
    cluster.look(30)
    assert cluster.pool["count"] == 1


def test_a_node_that_cannot_be_tainted_stays_until_it_can(cluster: Cluster) -> None:
    cluster.pods.append(pod(resources=LARGE))
    cluster.look()
    cluster.pods.clear()
    cluster.look(9)
    cluster.status = httpx.codes.SERVICE_UNAVAILABLE
    with pytest.raises(httpx.HTTPStatusError):
        cluster.look()
    assert cluster.pool["count"] == 2
    cluster.status = httpx.codes.OK
    cluster.look()
    assert cluster.pool["count"] == 1


@pytest.mark.parametrize(
    "keeps",
    [
        {"resources": SMALL, "owner": ""},
        {"resources": SMALL, "volumes": [{"emptyDir": {}}]},
        {"resources": SMALL, "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
        {"resources": HALF},
    ],
    ids=["no owner", "local storage", "said so", "more than half of it, with a DaemonSet's pod"],
)
def test_an_unevictable_pod_keeps_its_node(cluster: Cluster, keeps: Document) -> None:
    cluster.pods.append(pod(resources=LARGE))
    cluster.look()
    cluster.pods.clear()
    for name in cluster.names:
        cluster.run(name, **keeps)
    cluster.look(30)
    assert cluster.pool["count"] == 2


def test_disposable_local_storage_does_not_keep_a_node(cluster: Cluster) -> None:
    cluster.pods.append(pod(resources=LARGE))
    cluster.look()
    cluster.pods.clear()
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    for name in cluster.names:
        cluster.run(name, resources=SMALL, volumes=[{"emptyDir": {}}], annotations=annotations)
    cluster.look(10)
    assert cluster.pool["count"] == 1
