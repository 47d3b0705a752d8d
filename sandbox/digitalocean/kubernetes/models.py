"""Kubernetes clusters: how they and their nodes start, change and end.

A pool's `nodes` are the model. The Kubernetes behind a cluster follows them through `KubernetesLike`: it starts with
the first node, the others join it, and a node that goes is drained before it leaves.
"""

import secrets
import string
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from sandbox.digitalocean import catalog
from sandbox.digitalocean.compute.models import Droplets
from sandbox.digitalocean.context import Context
from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.kubernetes.records import (
    GOING,
    ClusterRecord,
    Document,
    KubernetesLike,
    MakeControllers,
    StartKubernetes,
    Tagged,
    new_pool,
    node_count,
    node_record,
)
from sandbox.digitalocean.ledger import timestamp


class Clusters:
    """The account's clusters.

    Args:
        droplets: the account's.
        associated: resources that are deleted with a cluster on request, by the API's names of their kinds.
        start: starts the Kubernetes of a record and returns when its nodes are ready.
        controllers: makes the cloud's controllers of a cluster, of which there is one at a time; None: clusters are
            stand-ins without controllers, any number at a time.
    """

    def __init__(
        self,
        context: Context,
        droplets: Droplets,
        associated: Mapping[str, Tagged],
        start: StartKubernetes,
        controllers: MakeControllers | None,
    ) -> None:
        self.records: dict[str, ClusterRecord] = {}
        self._context = context
        self._droplets = droplets
        self._associated = associated
        self._start = start
        self._controllers = controllers

    def get(self, identifier: str) -> ClusterRecord:
        """Raises NotFoundError."""
        return find(self.records, identifier)

    def create(self, document: Document, pools: list[Document]) -> ClusterRecord:
        """Records a checked cluster and starts it.

        Raises:
            ApiError: the sandbox already runs its one cluster.
        """
        if self._controllers and self.records:
            name = next(iter(self.records.values())).document["name"]
            raise ApiError(
                422,
                f"this sandbox runs one cluster at a time and has {name!r}: delete it, wait until it is gone, retry",
            )
        identifier = document["id"]
        document["node_pools"] = [new_pool(identifier, body) for body in pools]
        for pool, body in zip(document["node_pools"], pools, strict=True):
            pool["count"] = node_count(pool, int(body.get("count") or 0))
            self._add_nodes(document, pool, pool["count"])
        pool = document["node_pools"][0]
        record = ClusterRecord(identifier, document, node_record(document, pool, pool["nodes"][0]))
        self.records[identifier] = record
        self.bill(record)
        threading.Thread(
            target=self._bring_up, args=(record, self._context.settings.cluster_create), daemon=True
        ).start()
        return record

    def bill(self, record: ClusterRecord) -> None:
        price = catalog.HIGH_AVAILABILITY if record.document["ha"] else 0
        self._context.ledger.bill(
            "kubernetes_cluster", record.id, record.document["name"], price, record.document["tags"]
        )

    def _bring_up(self, record: ClusterRecord, at_least: float) -> None:
        begin = time.monotonic()
        try:
            record.kubernetes = kubernetes = self._start(record)
            with ThreadPoolExecutor() as threads:
                further = [
                    node_record(record.document, pool, node)
                    for pool in record.document["node_pools"]
                    for node in pool["nodes"]
                    if node["name"] != record.node.name
                ]
                list(threads.map(kubernetes.join, further))
            record.leaving.wait(max(begin + at_least - time.monotonic(), 0))
            with self._context.scheduler.lock:
                if not record.leaving.is_set():
                    self._run(record, record.kubernetes)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the API shows it as the cluster's state
            with self._context.scheduler.lock:
                record.set_state("error", str(error))
        finally:
            record.settled.set()

    def _run(self, record: ClusterRecord, kubernetes: KubernetesLike) -> None:
        if self._controllers:
            record.controllers = self._controllers(record, kubernetes)
            for controller in record.controllers:
                controller.start()
        record.document |= {"endpoint": kubernetes.server, "ipv4": "127.0.0.1"}
        for pool in record.document["node_pools"]:
            for node in pool["nodes"]:
                if node["status"]["state"] == "provisioning":
                    node["status"] = {"state": "running"}
        record.set_state("running")

    def delete(self, record: ClusterRecord) -> None:
        """Begins the end of a cluster. Its load balancers, volumes and snapshots stay, and stay billed."""
        if not record.leaving.is_set():
            record.set_state(self._context.settings.deleting_state)
            record.leaving.set()
            threading.Thread(target=self._take_down, args=(record, self._context.settings.cluster_delete)).start()

    def _take_down(self, record: ClusterRecord, at_least: float) -> None:
        begin = time.monotonic()
        self._halt(record)
        self._context.scheduler.stopped.wait(max(begin + at_least - time.monotonic(), 0))
        with self._context.scheduler.lock:
            for pool in record.document["node_pools"]:
                for node in pool["nodes"]:
                    self._droplets.delete(node["droplet_id"])
            self._context.ledger.end("kubernetes_cluster", record.id)
            self.records.pop(record.id, None)

    @staticmethod
    def _halt(record: ClusterRecord) -> None:
        record.leaving.set()
        record.settled.wait()
        # The controllers go first, as a control plane does: from here on nobody removes load balancers.
        for controller in record.controllers:
            controller.stop()
        if record.kubernetes:
            record.kubernetes.stop()

    def stop(self) -> None:
        for record in list(self.records.values()):
            self._halt(record)

    def has_room(self, more: int) -> bool:
        """Reports whether the account, and the sandbox, have room for more nodes."""
        return len(self._droplets) + more <= self._context.settings.droplet_limit and self.has_machines(more)

    def has_machines(self, more: int) -> bool:
        limit = self._context.settings.machines
        return not limit or self.count() + more <= limit

    def count(self) -> int:
        """The nodes of all pools."""
        return sum(pool["count"] for record in self.records.values() for pool in record.document["node_pools"])

    def add_pool(self, record: ClusterRecord, body: Document) -> Document:
        pool = new_pool(record.id, body)
        # DigitalOcean documents no order of pools. The newest comes first, so that a client that relies on one fails.
        record.document["node_pools"].insert(0, pool)
        self.resize(record, pool, node_count(pool, int(body.get("count") or 0)))
        return pool

    def delete_pool(self, record: ClusterRecord, pool: Document) -> None:
        """Drains and deletes a pool's nodes. The pool is listed until the last one is gone."""
        self.resize(record, pool, 0)

        def forget() -> None:
            if pool in record.document["node_pools"]:
                record.document["node_pools"].remove(pool)

        self._when(record, lambda: not pool["nodes"], forget)

    def resize(self, record: ClusterRecord, pool: Document, count: int) -> None:
        """Adds nodes, which run after a while, or drains and deletes the newest ones."""
        staying = [node for node in pool["nodes"] if node["status"]["state"] not in GOING]
        for node in self._add_nodes(record.document, pool, count - len(staying)):
            self._in_background(record, self._join, pool, node)
        pool["count"] = count
        # The first node of the cluster goes last.
        for node in staying[count:]:
            node["status"] = {"state": "draining"}
            self._in_background(record, self._leave, pool, node)

    def _add_nodes(self, document: Document, pool: Document, more: int) -> list[Document]:
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

    def _in_background(self, record: ClusterRecord, work: Callable[..., None], pool: Document, node: Document) -> None:
        """Starts work on a node once the cluster has come up."""

        def run() -> None:
            record.settled.wait()
            if not record.leaving.is_set() and record.kubernetes:
                with self._degrading(record, node):
                    work(record, record.kubernetes, pool, node)

        threading.Thread(target=run, daemon=True).start()

    @contextmanager
    def _degrading(self, record: ClusterRecord, *nodes: Document) -> Iterator[None]:
        """Reports an exception as the cluster's state `degraded` and as the message of the nodes."""
        try:
            with self._blaming(*nodes):
                yield
        except Exception as error:  # noqa: BLE001 -- whatever it is, the API shows it
            with self._context.scheduler.lock:
                if not record.leaving.is_set():
                    record.set_state("degraded", str(error))

    @contextmanager
    def _blaming(self, *nodes: Document) -> Iterator[None]:
        """Adds an exception to the nodes as their message."""
        try:
            yield
        except Exception as error:
            with self._context.scheduler.lock:
                for node in nodes:
                    node["status"] |= {"message": str(error)}
            raise

    def _join(self, record: ClusterRecord, kubernetes: KubernetesLike, pool: Document, node: Document) -> None:
        begin = time.monotonic()
        with self._blaming(node):
            kubernetes.join(node_record(record.document, pool, node, record.node_version))
        record.leaving.wait(max(begin + self._context.settings.node_create - time.monotonic(), 0))
        with self._context.scheduler.lock:
            if node["status"]["state"] == "provisioning":
                node["status"] = {"state": "running"}

    def _join_new(self, record: ClusterRecord, kubernetes: KubernetesLike, pool: Document) -> None:
        """Adds the node that takes another's place, if the pool is still to have it."""
        with self._context.scheduler.lock:
            if record.leaving.is_set() or pool not in record.document["node_pools"] or not pool["count"]:
                return
            (node,) = self._add_nodes(record.document, pool, 1)
        self._join(record, kubernetes, pool, node)

    def _leave(
        self,
        record: ClusterRecord,
        kubernetes: KubernetesLike,
        pool: Document,
        node: Document,
        *,
        drained: bool = True,
    ) -> None:
        if drained:
            with self._context.scheduler.lock:
                node["status"] = {"state": "draining"}
            kubernetes.drain(node["name"])
            record.leaving.wait(self._context.settings.node_drain)
        with self._context.scheduler.lock:
            node["status"] = {"state": "deleting"}
        kubernetes.leave(node["name"])
        with self._context.scheduler.lock:
            # A cluster that has gone meanwhile has taken its Droplets along.
            if record.id in self.records and node in pool["nodes"]:
                pool["nodes"].remove(node)
                self._droplets.delete(node["droplet_id"])
                self._recover(record)
            self._context.scheduler.lock.notify_all()

    @staticmethod
    def _recover(record: ClusterRecord) -> None:
        """Sets a degraded cluster to running once it has no failed node."""
        nodes = (node for pool in record.document["node_pools"] for node in pool["nodes"])
        if record.state == "degraded" and not any("message" in node["status"] for node in nodes):
            record.set_state("running")

    def _when(self, record: ClusterRecord, condition: Callable[[], bool], action: Callable[[], None]) -> None:
        """Runs an action under the lock when a condition is met, unless the cluster goes."""

        def run() -> None:
            with self._context.scheduler.lock:
                while not condition() and not record.leaving.is_set():
                    self._context.scheduler.lock.wait(0.1)
                action()

        threading.Thread(target=run, daemon=True).start()

    def mark(self, record: ClusterRecord, pool: Document, before: Document) -> None:
        """Gives the pool's nodes its labels and taints."""

        def work(record: ClusterRecord, kubernetes: KubernetesLike, pool: Document, node: Document) -> None:
            after, earlier = (node_record(record.document, p, node, record.node_version) for p in (pool, before))
            kubernetes.mark(after, earlier)

        for node in pool["nodes"]:
            self._in_background(record, work, pool, node)

    def replace(self, record: ClusterRecord, pool: Document, node: Document, *, drained: bool) -> None:
        """Recycles a node: it goes, then a new one comes."""

        def work(record: ClusterRecord, kubernetes: KubernetesLike, pool: Document, node: Document) -> None:
            self._leave(record, kubernetes, pool, node, drained=drained)
            self._join_new(record, kubernetes, pool)

        node["status"] = {"state": "draining"}
        self._in_background(record, work, pool, node)

    def remove(self, record: ClusterRecord, pool: Document, node: Document, *, drained: bool) -> None:
        """Removes a certain node; its pool is smaller from now on."""
        pool["count"] -= 1
        node["status"] = {"state": "draining"}
        self._in_background(record, partial(self._leave, drained=drained), pool, node)

    def lose(self, droplet: str) -> None:
        """Replaces the node of a Droplet that somebody deleted, once Kubernetes has noticed."""

        def work(record: ClusterRecord, kubernetes: KubernetesLike, pool: Document, node: Document) -> None:
            kubernetes.lose(node["name"])
            self._leave(record, kubernetes, pool, node, drained=False)
            self._join_new(record, kubernetes, pool)

        for record in self.records.values():
            for pool in record.document["node_pools"]:
                for node in pool["nodes"]:
                    if node["droplet_id"] == droplet and node["status"]["state"] not in GOING:
                        self._in_background(record, work, pool, node)

    def upgrade(self, record: ClusterRecord, version: str) -> None:
        """Replaces every node, one after the other, with a further one meanwhile if the cluster has surge upgrades.

        The Kubernetes of the sandbox stays what it is: the version is the one that the API and the nodes' labels show.
        """

        def work() -> None:
            begin = time.monotonic()
            record.settled.wait()
            with self._degrading(record):
                for pool in list(record.document["node_pools"]):
                    for node in list(pool["nodes"]):
                        self._upgrade_node(record, pool, node)
            record.leaving.wait(max(begin + self._context.settings.cluster_upgrade - time.monotonic(), 0))
            with self._context.scheduler.lock:
                if record.state == "upgrading":
                    record.document["version"] = version
                    record.set_state("running")

        record.set_state("upgrading")
        record.node_version = version
        threading.Thread(target=work, daemon=True).start()

    def _upgrade_node(self, record: ClusterRecord, pool: Document, node: Document) -> None:
        if record.leaving.is_set() or not record.kubernetes or node["status"]["state"] in GOING:
            return
        if record.document["surge_upgrade"]:
            self._join_new(record, record.kubernetes, pool)
        self._leave(record, record.kubernetes, pool, node)
        if not record.document["surge_upgrade"]:
            self._join_new(record, record.kubernetes, pool)

    def associated(self, record: ClusterRecord) -> dict[str, list[Document]]:
        """The resources with the cluster's tag, which may outlive it."""
        return {
            key: [document for document in tagged.documents.values() if f"k8s:{record.id}" in document["tags"]]
            for key, tagged in self._associated.items()
        }

    def destroy_associated(self, record: ClusterRecord) -> None:
        """Deletes the resources with the cluster's tag, then the cluster."""
        for key, documents in self.associated(record).items():
            for document in documents:
                self._associated[key].delete(document["id"])
        self.delete(record)

    def authenticate(self, token: str) -> ClusterRecord | None:
        """The cluster that a token opens, if it hasn't expired."""
        for record in self.records.values():
            if token in record.tokens and record.tokens[token] > datetime.now(UTC):
                return record
        return None
