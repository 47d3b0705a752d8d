"""Records of clusters, pools and nodes, and what a Kubernetes and a controller look like to them."""

import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError
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

    # Each is called without the account's lock, from a thread of its own, and returns when it is done.

    def join(self, node: "NodeRecord") -> None:
        """Starts the machine of a further node; returns when Kubernetes has the node ready."""

    def drain(self, node: str) -> None:
        """Cordons a node and evicts its pods, as far as budgets of disruption allow."""

    def leave(self, node: str) -> None:
        """Ends the machine of a node, and removes the node from Kubernetes."""

    def mark(self, node: "NodeRecord", before: "NodeRecord") -> None:
        """Gives a node the taints of its pool instead of those that the pool had before, and adds its labels."""

    def lose(self, node: str) -> None:
        """Ends the machine of a node without a drain; returns when Kubernetes shows the node as not ready."""


class Controller(Protocol):
    """A controller of DigitalOcean's that runs with a cluster."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Tagged(NamedTuple):
    """Resources with a cluster's tag, which may outlive it."""

    documents: Mapping[str, Document]
    delete: Callable[[str], None]


@dataclass(frozen=True)
class NodeRecord:
    """A node that Kubernetes is to register."""

    name: str
    provider_id: str
    size: catalog.Size
    labels: dict[str, str]
    taints: list[dict[str, str]]


@dataclass
class ClusterRecord:
    id: str
    document: Document
    """The cluster as the API shows it."""
    node: NodeRecord
    """The first node, with which Kubernetes starts."""
    kubernetes: KubernetesLike | None = None
    controllers: list[Controller] = field(default_factory=list)
    settled: threading.Event = field(default_factory=threading.Event)
    """Set once the start has succeeded or failed."""
    leaving: threading.Event = field(default_factory=threading.Event)
    tokens: dict[str, datetime] = field(default_factory=dict)
    """token -> when it expires"""
    node_version: str = ""
    """The version of new nodes: of an upgrade, once that has begun."""

    @property
    def state(self) -> str:
        return str(self.document["status"]["state"])

    def set_state(self, state: str, message: str = "") -> None:
        self.document["status"] = {"state": state} | ({"message": message} if message else {})
        self.document["updated_at"] = timestamp()

    def issue_token(self, seconds: int) -> tuple[str, datetime]:
        """A new token for the cluster; 0 seconds means a week."""
        token, expires = secrets.token_hex(32), datetime.now(UTC) + timedelta(seconds=seconds or WEEK)
        self.tokens[token] = expires
        return token, expires


GOING = ("draining", "deleting")
"""States of a node that leaves."""
StartKubernetes = Callable[[ClusterRecord], KubernetesLike]
MakeControllers = Callable[[ClusterRecord, KubernetesLike], list[Controller]]


def new_pool(cluster_id: str, body: Document) -> Document:
    """The pool of a request, without nodes."""
    scaled = bool(body.get("auto_scale"))
    return {
        "id": str(uuid.uuid4()),
        "name": body["name"],
        "size": body["size"],
        "count": 0,
        "tags": ["k8s", f"k8s:{cluster_id}", "k8s:worker", *(body.get("tags") or [])],
        "labels": body.get("labels") or {},
        "taints": taints(body.get("taints") or []),
        "auto_scale": scaled,
        "min_nodes": (scaled and body.get("min_nodes")) or 0,
        "max_nodes": (scaled and body.get("max_nodes")) or 0,
        "nodes": [],
    }


_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def taints(requested: list[Document]) -> list[Document]:
    """Returns the taints of a request. Field names are case-insensitive: DigitalOcean's Go client capitalises them.

    Raises:
        ApiError: an effect isn't one of Kubernetes.
    """
    lowered = [{"key": "", "value": ""} | {key.lower(): value for key, value in taint.items()} for taint in requested]
    if any(taint.get("effect") not in _EFFECTS for taint in lowered):
        raise ApiError(422, "validation error: taint effect must be NoSchedule, PreferNoSchedule or NoExecute")
    return lowered


def node_count(pool: Document, requested: int | None) -> int:
    """The number of nodes that a request leads to: an autoscaled pool takes its minimum for one out of its range."""
    count = pool["count"] if requested is None else requested
    if pool["auto_scale"] and not pool["min_nodes"] <= count <= pool["max_nodes"]:
        return int(pool["min_nodes"])
    return int(count)


def node_record(cluster: Document, pool: Document, node: Document, version: str = "") -> NodeRecord:
    size = catalog.SIZES[pool["size"]]
    labels = {
        "doks.digitalocean.com/node-id": node["id"],
        "doks.digitalocean.com/node-pool": pool["name"],
        "doks.digitalocean.com/node-pool-id": pool["id"],
        "doks.digitalocean.com/version": version or cluster["version"],
        "node.kubernetes.io/instance-type": size.slug,
        "topology.kubernetes.io/region": cluster["region"],
        **pool["labels"],
    }
    provider_id = f"digitalocean://{node['droplet_id']}"
    return NodeRecord(node["name"], provider_id, size, labels, pool["taints"])
