"""The autoscaler of node pools: a pending pod makes a node come, a node that isn't needed goes.

It does what cluster-autoscaler does with its defaults, which DigitalOcean runs in the control plane, by simple sums:
requests of CPU and memory, node selectors and taints; affinity, spread and volumes count for nothing. Its times are a
sixtieth of cluster-autoscaler's.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from infra.config.capacity import Amount, total_requests
from sandbox.digitalocean import catalog
from sandbox.digitalocean.context import Scheduler
from sandbox.digitalocean.kubernetes.cloud_controller import GOING_BY_AUTOSCALER as GOING
from sandbox.digitalocean.kubernetes.cloud_controller import Loop
from sandbox.digitalocean.kubernetes.models import Clusters
from sandbox.digitalocean.kubernetes.records import ClusterRecord

Document = dict[str, Any]
SCAN_SECONDS = 1.0
UNNEEDED_SECONDS = 10.0
"""Ten minutes of cluster-autoscaler, which is also how long it lets a pool rest after it has grown."""
UTILIZATION = 0.5
SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"


NOTHING = Amount(0, 0)


@dataclass
class Room:
    """The room for pods on a node, real or to come."""

    labels: Mapping[str, str]
    taints: Iterable[Mapping[str, str]]
    free: Amount

    def takes(self, pod: Document) -> bool:
        spec = pod["spec"]
        selected = (spec.get("nodeSelector") or {}).items() <= self.labels.items()
        return selected and self.free.holds(requested(pod)) and all(_tolerates(spec, taint) for taint in self.taints)


def requested(pod: Document) -> Amount:
    return total_requests(
        *(container.get("resources", {}).get("requests", {}) for container in pod["spec"]["containers"])
    )


def _tolerates(spec: Document, taint: Mapping[str, str]) -> bool:
    if taint["effect"] == "PreferNoSchedule":
        return True
    return any(
        toleration.get("key") in {None, taint["key"]}
        and toleration.get("effect") in {None, "", taint["effect"]}
        and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
        for toleration in spec.get("tolerations") or []
    )


def _owner(pod: Document) -> str:
    return next((str(owner["kind"]) for owner in pod["metadata"].get("ownerReferences", [])), "")


class State:
    """The cluster's nodes and pods at one moment."""

    def __init__(self, nodes: list[Document], pods: list[Document]) -> None:
        self.nodes = {node["metadata"]["name"]: node for node in nodes}
        self._pods = [pod for pod in pods if pod["status"].get("phase") not in {"Succeeded", "Failed"}]

    def pods_on(self, node: str) -> Iterator[Document]:
        return (pod for pod in self._pods if pod["spec"].get("nodeName") == node)

    def unschedulable(self) -> Iterator[Document]:
        for pod in self._pods:
            for condition in pod["status"].get("conditions", []):
                if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
                    yield pod

    def room(self, name: str) -> Room:
        node = self.nodes[name]
        free = total_requests(node["status"]["allocatable"])
        for pod in self.pods_on(name):
            free = free.minus(requested(pod))
        return Room(node["metadata"]["labels"], node["spec"].get("taints", []), free)

    def new_room(self, pool: Document, allocatable: Amount) -> Room:
        """The room of a node that comes: what DaemonSets take of the others, they take of it."""
        for name in self.nodes:
            taken = [requested(pod) for pod in self.pods_on(name) if _owner(pod) == "DaemonSet"]
            if taken:
                for amount in taken:
                    allocatable = allocatable.minus(amount)
                break
        labels = {"doks.digitalocean.com/node-pool": pool["name"], "doks.digitalocean.com/node-pool-id": pool["id"]}
        return Room(labels | pool["labels"], pool["taints"], allocatable)

    def is_unneeded(self, name: str) -> bool:
        """Reports whether a node is little used, and all of its pods may move to the others, and fit there."""
        used, whole = NOTHING, total_requests(self.nodes[name]["status"]["allocatable"])
        # DaemonSets' pods count, as by default in cluster-autoscaler (--ignore-daemonsets-utilization is off).
        for pod in self.pods_on(name):
            used = used.plus(requested(pod))
        pods = [pod for pod in self.pods_on(name) if _owner(pod) != "DaemonSet"]
        if max(used.cpu / whole.cpu, used.memory / whole.memory) >= UTILIZATION or not all(map(_may_move, pods)):
            return False
        rooms = [
            self.room(other)
            for other, document in self.nodes.items()
            if other != name and _is_ready(document) and not document["spec"].get("unschedulable")
        ]
        for pod in pods:
            room = next((room for room in rooms if room.takes(pod)), None)
            if room is None:
                return False
            room.free = room.free.minus(requested(pod))
        return True


def _is_ready(node: Document) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))


def _may_move(pod: Document) -> bool:
    """Reports whether a pod is moved: not a lone one, one of the system's, or one with local storage."""
    safe = pod["metadata"].get("annotations", {}).get(SAFE)
    if safe in {"true", "false"}:
        return bool(safe == "true")
    local = any("emptyDir" in volume or "hostPath" in volume for volume in pod["spec"].get("volumes") or [])
    return bool(_owner(pod)) and pod["metadata"]["namespace"] != "kube-system" and not local


class Autoscaler(Loop):
    """Looks at a cluster every second."""

    def __init__(
        self, kubernetes: httpx.Client, clusters: Clusters, record: ClusterRecord, scheduler: Scheduler
    ) -> None:
        super().__init__(kubernetes, SCAN_SECONDS)
        self._clusters = clusters
        self._record = record
        self._scheduler = scheduler
        self._unneeded: dict[str, int] = {}
        """Looks in a row at which each node wasn't needed."""

    def look(self) -> None:
        if any(pool["auto_scale"] for pool in self._record.document["node_pools"]):
            with contextlib.suppress(httpx.HTTPError):  # retried at the next look
                state = State(self._items("/api/v1/nodes"), self._items("/api/v1/pods"))
                with self._scheduler.lock:
                    self.reconcile(state)

    def reconcile(self, state: State) -> None:
        """One look: a node more, or a node less, or neither."""
        pools = [pool for pool in self._record.document["node_pools"] if pool["auto_scale"]]
        if self._record.state != "running" or any(
            node["status"]["state"] != "running" for pool in pools for node in pool["nodes"]
        ):
            self._unneeded.clear()
        elif pool := self._to_grow(pools, state):
            self._unneeded.clear()
            self._clusters.pools.resize(self._record, pool, pool["count"] + 1)
        else:
            self._shrink(pools, state)

    def _to_grow(self, pools: list[Document], state: State) -> Document | None:
        """The pool whose next node takes a pod that no node takes."""
        for pod in state.unschedulable():
            for pool in pools:
                room = state.new_room(pool, _allocatable(pool))
                if pool["count"] < pool["max_nodes"] and room.takes(pod) and self._clusters.pools.has_room(1):
                    return pool
        return None

    def _shrink(self, pools: list[Document], state: State) -> None:
        candidates = {
            node["name"]: (pool, node)
            for pool in pools
            for node in pool["nodes"]
            if pool["count"] > pool["min_nodes"]
            and node["status"]["state"] == "running"
            and node["name"] in state.nodes
        }
        self._unneeded = {name: self._unneeded.get(name, 0) + 1 for name in candidates if state.is_unneeded(name)}
        for name, looks in self._unneeded.items():
            if looks * SCAN_SECONDS >= UNNEEDED_SECONDS:
                self._taint(name, state.nodes[name])
                pool, node = candidates[name]
                self._clusters.pools.remove(self._record, pool, node, drained=True)
                self._unneeded.clear()
                return

    def _taint(self, name: str, node: Document) -> None:
        """Marks a node as going: load balancers, too, take it out."""
        taints = [*node["spec"].get("taints", []), {"key": GOING, "effect": "NoSchedule"}]
        self._merge(f"/api/v1/nodes/{name}", {"spec": {"taints": taints}})


def _allocatable(pool: Document) -> Amount:
    size = catalog.SIZES[pool["size"]]
    return Amount(size.vcpus * 1000 - 100, size.memory_mib_for_pods)
