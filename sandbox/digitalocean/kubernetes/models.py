"""Kubernetes clusters: how they start, change and end."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from sandbox.digitalocean import catalog
from sandbox.digitalocean.compute.models import Droplets
from sandbox.digitalocean.context import Context, wait_at_least
from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.kubernetes.node_pools import NodePools
from sandbox.digitalocean.kubernetes.records import (
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
        self.pools = NodePools(context, droplets, self.records)
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
            self.pools.add_nodes(document, pool, pool["count"])
        pool = document["node_pools"][0]
        record = ClusterRecord(identifier, document, node_record(document, pool, pool["nodes"][0]))
        self.records[identifier] = record
        self.bill(record)
        threading.Thread(target=self._bring_up, args=(record,), daemon=True).start()
        return record

    def bill(self, record: ClusterRecord) -> None:
        price = catalog.HIGH_AVAILABILITY if record.document["ha"] else 0
        self._context.ledger.bill(
            "kubernetes_cluster", record.id, record.document["name"], price, record.document["tags"]
        )

    def _bring_up(self, record: ClusterRecord) -> None:
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
            wait_at_least(lambda: self._context.settings.cluster_create, begin, record.leaving)
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
            threading.Thread(target=self._take_down, args=(record,)).start()

    def _take_down(self, record: ClusterRecord) -> None:
        begin = time.monotonic()
        self._halt(record)
        wait_at_least(lambda: self._context.settings.cluster_delete, begin, self._context.scheduler.stopped)
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

    def upgrade(self, record: ClusterRecord, version: str) -> None:
        """Replaces every node by one of the version.

        The Kubernetes of the sandbox stays what it is: the version is the one that the API and the nodes' labels show.
        """

        def work() -> None:
            begin = time.monotonic()
            record.settled.wait()
            self.pools.upgrade(record)
            wait_at_least(lambda: self._context.settings.cluster_upgrade, begin, record.leaving)
            with self._context.scheduler.lock:
                if record.state == "upgrading":
                    record.document["version"] = version
                    record.set_state("running")

        record.set_state("upgrading")
        record.node_version = version
        threading.Thread(target=work, daemon=True).start()

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
