"""Node pools: how their nodes come, change and go.

A pool's `nodes` are the model. The Kubernetes behind a cluster follows them through `KubernetesLike`: further nodes
join it, and a node that goes is drained before it leaves.
"""

import secrets
import string
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import methodcaller

from sandbox.digitalocean import catalog
from sandbox.digitalocean.compute.models import Droplets
from sandbox.digitalocean.context import Context, wait_at_least
from sandbox.digitalocean.kubernetes.records import (
    GOING,
    ClusterRecord,
    Document,
    KubernetesLike,
    new_pool,
    node_count,
    node_record,
)
from sandbox.digitalocean.ledger import timestamp

Work = Callable[[KubernetesLike], None]


class NodePools:
    """The node pools of all clusters.

    Args:
        droplets: the account's.
        records: the account's clusters.
    """

    def __init__(self, context: Context, droplets: Droplets, records: Mapping[str, ClusterRecord]) -> None:
        self._settings = context.settings
        self._lock = context.scheduler.lock
        self._droplets = droplets
        self._records = records

    def count(self) -> int:
        """The nodes of all pools."""
        return sum(pool["count"] for record in self._records.values() for pool in record.document["node_pools"])

    def has_machines(self, more: int) -> bool:
        """Reports whether the sandbox has room for more nodes."""
        return not self._settings.machines or self.count() + more <= self._settings.machines

    def has_room(self, more: int) -> bool:
        """Reports whether the account, and the sandbox, have room for more nodes."""
        return len(self._droplets) + more <= self._settings.droplet_limit and self.has_machines(more)

    def add(self, record: ClusterRecord, body: Document) -> Document:
        pool = new_pool(record.id, body)
        # DigitalOcean documents no order of pools. The newest comes first, so that a client that relies on one fails.
        record.document["node_pools"].insert(0, pool)
        self.resize(record, pool, node_count(pool, int(body.get("count") or 0)))
        return pool

    def delete(self, record: ClusterRecord, pool: Document) -> None:
        """Drains and deletes a pool's nodes. The pool is listed until the last one is gone."""
        self.resize(record, pool, 0)

        def forget() -> None:
            with self._lock:
                while pool["nodes"] and not record.leaving.is_set():
                    self._lock.wait(0.1)
                if pool in record.document["node_pools"]:
                    record.document["node_pools"].remove(pool)

        threading.Thread(target=forget, daemon=True).start()

    def resize(self, record: ClusterRecord, pool: Document, count: int) -> None:
        """Adds nodes, which run after a while, or drains and deletes the newest ones."""
        staying = [node for node in pool["nodes"] if node["status"]["state"] not in GOING]
        for node in self.add_nodes(record.document, pool, count - len(staying)):
            self._in_background(record, node, partial(self._join, record, pool, node))
        pool["count"] = count
        # The first node of the cluster goes last.
        for node in staying[count:]:
            node["status"] = {"state": "draining"}
            self._in_background(record, node, partial(self._leave, record, pool, node))

    def mark(self, record: ClusterRecord, pool: Document, before: Document) -> None:
        """Gives the pool's nodes its labels and taints."""
        for node in pool["nodes"]:
            after, earlier = (node_record(record.document, p, node, record.node_version) for p in (pool, before))
            self._in_background(record, node, methodcaller("mark", after, earlier))

    def replace(self, record: ClusterRecord, pool: Document, node: Document, *, drained: bool) -> None:
        """Recycles a node: it goes, then a new one comes."""

        def work(kubernetes: KubernetesLike) -> None:
            self._leave(record, pool, node, kubernetes, drained=drained)
            self._join_new(record, pool, kubernetes)

        node["status"] = {"state": "draining"}
        self._in_background(record, node, work)

    def remove(self, record: ClusterRecord, pool: Document, node: Document, *, drained: bool) -> None:
        """Removes a certain node; its pool is smaller from now on."""
        pool["count"] -= 1
        node["status"] = {"state": "draining"}
        self._in_background(record, node, partial(self._leave, record, pool, node, drained=drained))

    def lose(self, droplet: str) -> None:
        """Replaces the node of a Droplet that somebody deleted, once Kubernetes has noticed."""

        def work(record: ClusterRecord, pool: Document, node: Document, kubernetes: KubernetesLike) -> None:
            kubernetes.lose(node["name"])
            self._leave(record, pool, node, kubernetes, drained=False)
            self._join_new(record, pool, kubernetes)

        for record in self._records.values():
            for pool in record.document["node_pools"]:
                for node in pool["nodes"]:
                    if node["droplet_id"] == droplet and node["status"]["state"] not in GOING:
                        self._in_background(record, node, partial(work, record, pool, node))

    def upgrade(self, record: ClusterRecord) -> None:
        """Replaces every node, one after the other, with a further one meanwhile if the cluster has surge upgrades."""
        with self._degrading(record):
            for pool in list(record.document["node_pools"]):
                for node in list(pool["nodes"]):
                    self._upgrade_node(record, pool, node)

    def _upgrade_node(self, record: ClusterRecord, pool: Document, node: Document) -> None:
        if record.leaving.is_set() or not record.kubernetes or node["status"]["state"] in GOING:
            return
        if record.document["surge_upgrade"]:
            self._join_new(record, pool, record.kubernetes)
        self._leave(record, pool, node, record.kubernetes)
        if not record.document["surge_upgrade"]:
            self._join_new(record, pool, record.kubernetes)

    def add_nodes(self, document: Document, pool: Document, more: int) -> list[Document]:
        """Creates the Droplets of new nodes, which are billed from now on."""
        nodes: list[Document] = []
        for _ in range(more):
            suffix = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(5))
            size = catalog.SIZES[pool["size"]]
            droplet = self._droplets.create(
                f"{pool['name']}-{suffix}", document["region"], size, list(pool["tags"]), document["vpc_uuid"]
            )
            nodes.append(
                {
                    "id": str(uuid.uuid4()),
                    "name": droplet["name"],
                    "status": {"state": "provisioning"},
                    "droplet_id": str(droplet["id"]),
                    "created_at": timestamp(),
                    "updated_at": timestamp(),
                }
            )
        pool["nodes"] += nodes
        return nodes

    def _in_background(self, record: ClusterRecord, node: Document, work: Work) -> None:
        """Starts work on a node once the cluster has come up."""

        def run() -> None:
            record.settled.wait()
            if not record.leaving.is_set() and record.kubernetes:
                with self._degrading(record, node):
                    work(record.kubernetes)

        threading.Thread(target=run, daemon=True).start()

    @contextmanager
    def _degrading(self, record: ClusterRecord, *nodes: Document) -> Iterator[None]:
        """Reports an exception as the cluster's state `degraded` and as the message of the nodes."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever it is, the API shows it
            self._blame(error, *nodes)
            with self._lock:
                if not record.leaving.is_set():
                    record.set_state("degraded", str(error))

    def _blame(self, error: Exception, *nodes: Document) -> None:
        with self._lock:
            for node in nodes:
                node["status"] |= {"message": str(error)}

    def _join(self, record: ClusterRecord, pool: Document, node: Document, kubernetes: KubernetesLike) -> None:
        begin = time.monotonic()
        try:
            kubernetes.join(node_record(record.document, pool, node, record.node_version))
        except Exception as error:
            self._blame(error, node)
            raise
        wait_at_least(lambda: self._settings.node_create, begin, record.leaving)
        with self._lock:
            if node["status"]["state"] == "provisioning":
                node["status"] = {"state": "running"}

    def _join_new(self, record: ClusterRecord, pool: Document, kubernetes: KubernetesLike) -> None:
        """Adds the node that takes another's place, if the pool is still to have it."""
        with self._lock:
            if record.leaving.is_set() or pool not in record.document["node_pools"] or not pool["count"]:
                return
            (node,) = self.add_nodes(record.document, pool, 1)
        self._join(record, pool, node, kubernetes)

    def _leave(
        self,
        record: ClusterRecord,
        pool: Document,
        node: Document,
        kubernetes: KubernetesLike,
        *,
        drained: bool = True,
    ) -> None:
        if drained:
            with self._lock:
                node["status"] = {"state": "draining"}
            kubernetes.drain(node["name"])
        with self._lock:
            node["status"] = {"state": "deleting"}
        kubernetes.leave(node["name"])
        with self._lock:
            # A cluster that has gone meanwhile has taken its Droplets along.
            if record.id in self._records and node in pool["nodes"]:
                pool["nodes"].remove(node)
                self._droplets.delete(node["droplet_id"])
                self._recover(record)
            self._lock.notify_all()

    @staticmethod
    def _recover(record: ClusterRecord) -> None:
        """Sets a degraded cluster to running once it has no failed node."""
        nodes = (node for pool in record.document["node_pools"] for node in pool["nodes"])
        if record.state == "degraded" and not any("message" in node["status"] for node in nodes):
            record.set_state("running")
