"""Kubernetes clusters: records, nodes, tokens, and the one real Kubernetes behind them.

A cluster's first node is real. Further nodes, whether of the same pool or of others, are records: billed, listed,
`running` after a while, but no machine joins the cluster for them.
"""

import secrets
import string
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, Protocol

from sandbox.digitalocean import catalog
from sandbox.digitalocean.compute.models import Droplets
from sandbox.digitalocean.context import Context
from sandbox.digitalocean.errors import ApiError, NotFoundError
from sandbox.digitalocean.ledger import timestamp

Document = dict[str, Any]
WEEK = 7 * 24 * 3600


class KubernetesLike(Protocol):
    """A running Kubernetes: address and CA of its API server, and the token of the cloud's own controllers."""

    @property
    def server(self) -> str: ...
    @property
    def ca_pem(self) -> bytes: ...
    @property
    def admin_token(self) -> str: ...
    def stop(self) -> None: ...


class Controller(Protocol):
    """The cloud controller of a cluster."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Tagged(NamedTuple):
    """Resources with a cluster's tag, which may outlive it."""

    documents: Mapping[str, Document]
    delete: Callable[[str], None]


@dataclass(frozen=True)
class NodeRecord:
    """The node that Kubernetes is to register."""

    name: str
    provider_id: str
    size: catalog.Size
    count: int
    """The nodes of the pool that this one stands for."""
    labels: dict[str, str]


@dataclass
class ClusterRecord:
    id: str
    document: Document
    """The cluster as the API shows it."""
    node: NodeRecord
    kubernetes: KubernetesLike | None = None
    controller: Controller | None = None
    settled: threading.Event = field(default_factory=threading.Event)
    """Set once the start has succeeded or failed."""
    leaving: threading.Event = field(default_factory=threading.Event)
    tokens: dict[str, datetime] = field(default_factory=dict)
    """token -> when it expires"""

    @property
    def state(self) -> str:
        return str(self.document["status"]["state"])

    def become(self, state: str, message: str = "") -> None:
        self.document["status"] = {"state": state} | ({"message": message} if message else {})
        self.document["updated_at"] = timestamp()

    def issue_token(self, seconds: int) -> tuple[str, datetime]:
        """A new token for the cluster; 0 seconds means a week."""
        token, expires = secrets.token_hex(32), datetime.now(UTC) + timedelta(seconds=seconds or WEEK)
        self.tokens[token] = expires
        return token, expires


StartKubernetes = Callable[[ClusterRecord], KubernetesLike]
MakeController = Callable[[Document, KubernetesLike], Controller]


def _pool(cluster_id: str, body: Document) -> Document:
    return {
        "id": str(uuid.uuid4()),
        "name": body["name"],
        "size": body["size"],
        "count": 0,
        "tags": ["k8s", f"k8s:{cluster_id}", "k8s:worker", *(body.get("tags") or [])],
        "labels": body.get("labels") or {},
        "taints": body.get("taints") or [],
        "auto_scale": bool(body.get("auto_scale")),
        "min_nodes": body.get("min_nodes") or 0,
        "max_nodes": body.get("max_nodes") or 0,
        "nodes": [],
    }


class Clusters:
    """The account's clusters.

    Args:
        droplets: the account's.
        associated: resources that are deleted with a cluster on request, by the API's names of their kinds.
        start: starts the Kubernetes of a record and returns when its nodes are ready.
        controller: makes the cloud controller of a cluster, of which there is one at a time; None: clusters are
            stand-ins without a controller, any number at a time.
    """

    def __init__(
        self,
        context: Context,
        droplets: Droplets,
        associated: Mapping[str, Tagged],
        start: StartKubernetes,
        controller: MakeController | None,
    ) -> None:
        self.records: dict[str, ClusterRecord] = {}
        self._context = context
        self._droplets = droplets
        self._associated = associated
        self._start = start
        self._controller = controller

    def get(self, identifier: str) -> ClusterRecord:
        """Raises NotFoundError."""
        if identifier not in self.records:
            raise NotFoundError
        return self.records[identifier]

    def create(self, document: Document, pools: list[Document]) -> ClusterRecord:
        """Records a checked cluster and starts it.

        Raises:
            ApiError: the sandbox already runs its one cluster.
        """
        if self._controller and self.records:
            name = next(iter(self.records.values())).document["name"]
            raise ApiError(
                422,
                f"this sandbox runs one cluster at a time and has {name!r}: delete it, wait until it is gone, retry",
            )
        identifier = document["id"]
        document["node_pools"] = [_pool(identifier, body) for body in pools]
        for pool, body in zip(document["node_pools"], pools, strict=True):
            self.resize(document, pool, int(body.get("count") or body.get("min_nodes") or 1), ready=False)
        pool = document["node_pools"][0]
        node = pool["nodes"][0]
        size = catalog.SIZES[pool["size"]]
        labels = {
            "doks.digitalocean.com/node-id": node["id"],
            "doks.digitalocean.com/node-pool": pool["name"],
            "doks.digitalocean.com/node-pool-id": pool["id"],
            "doks.digitalocean.com/version": document["version"],
            "node.kubernetes.io/instance-type": size.slug,
            "topology.kubernetes.io/region": document["region"],
            **pool["labels"],
        }
        provider_id = f"digitalocean://{node['droplet_id']}"
        real_node = NodeRecord(node["name"], provider_id, size, pool["count"], labels)
        record = ClusterRecord(identifier, document, real_node)
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
            record.kubernetes = self._start(record)
            record.leaving.wait(max(begin + at_least - time.monotonic(), 0))
            with self._context.scheduler.lock:
                if not record.leaving.is_set():
                    self._run(record, record.kubernetes)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the API shows it as the cluster's state
            with self._context.scheduler.lock:
                record.become("error", str(error))
        finally:
            record.settled.set()

    def _run(self, record: ClusterRecord, kubernetes: KubernetesLike) -> None:
        if self._controller:
            record.controller = self._controller(record.document, kubernetes)
            record.controller.start()
        record.document |= {"endpoint": kubernetes.server, "ipv4": "127.0.0.1"}
        for pool in record.document["node_pools"]:
            for node in pool["nodes"]:
                node["status"]["state"] = "running"
        record.become("running")

    def delete(self, record: ClusterRecord) -> None:
        """Begins the end of a cluster. Its load balancers, volumes and snapshots stay, and stay billed."""
        if not record.leaving.is_set():
            record.become(self._context.settings.deleting_state)
            record.leaving.set()
            threading.Thread(target=self._take_down, args=(record, self._context.settings.cluster_delete)).start()

    def _take_down(self, record: ClusterRecord, at_least: float) -> None:
        begin = time.monotonic()
        self._halt(record)
        self._context.scheduler.stopped.wait(max(begin + at_least - time.monotonic(), 0))
        with self._context.scheduler.lock:
            for pool in record.document["node_pools"]:
                self.resize(record.document, pool, 0, ready=True)
            self._context.ledger.end("kubernetes_cluster", record.id)
            self.records.pop(record.id, None)

    @staticmethod
    def _halt(record: ClusterRecord) -> None:
        record.leaving.set()
        record.settled.wait()
        # The controller goes first, as a control plane does: from here on nobody removes load balancers.
        if record.controller:
            record.controller.stop()
        if record.kubernetes:
            record.kubernetes.stop()

    def stop(self) -> None:
        for record in list(self.records.values()):
            self._halt(record)

    def resize(self, document: Document, pool: Document, count: int, *, ready: bool) -> None:
        """Adds or removes nodes. With `ready` new ones run after the settings' delay, else when the cluster does."""
        nodes = pool["nodes"]
        pool["count"] = count
        size = catalog.SIZES[pool["size"]]
        while len(nodes) < count:
            suffix = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(5))
            droplet = self._droplets.create(
                f"{pool['name']}-{suffix}", document["region"], size, list(pool["tags"]), document["vpc_uuid"]
            )
            node: Document = {
                "id": str(uuid.uuid4()),
                "name": droplet["name"],
                "status": {"state": "provisioning"},
                "droplet_id": str(droplet["id"]),
                "created_at": timestamp(),
                "updated_at": timestamp(),
            }
            nodes.append(node)
            if ready:
                self._context.scheduler.later(
                    self._context.settings.node_create, partial(node["status"].update, state="running")
                )
        # The first node is the real one: it goes last.
        for node in nodes[count:]:
            self._droplets.delete(node["droplet_id"])
        del nodes[count:]

    def add_pool(self, record: ClusterRecord, body: Document) -> Document:
        pool = _pool(record.id, body)
        # DigitalOcean documents no order of pools. The newest comes first, so that a client that relies on one fails.
        record.document["node_pools"].insert(0, pool)
        self.resize(record.document, pool, int(body.get("count") or body.get("min_nodes") or 1), ready=True)
        return pool

    def upgrade(self, record: ClusterRecord, version: str) -> None:
        """Changes the version shown. The Kubernetes behind it stays what it is."""

        def finish() -> None:
            if record.state == "upgrading":
                record.document["version"] = version
                record.become("running")

        record.become("upgrading")
        self._context.scheduler.later(self._context.settings.cluster_upgrade, finish)

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
