"""Helm's records of its releases: a killed `up` or `destroy` leaves one that stops every later command."""

import base64
import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

import yaml

from ops.cluster.client import Kubernetes
from ops.digitalocean import segment

NAMESPACES = {
    "kong": "kong",
    "cert-manager": "cert-manager",
    "prometheus": "monitoring",
    "grafana": "monitoring",
    "metrics-server": "kube-system",
}
"""Namespace of each release that the program installs; the resource in the state has the release's name."""


@dataclass(frozen=True)
class Record:
    """One revision of a release: a Secret. `status` is Helm's."""

    namespace: str
    release: str
    name: str
    status: str

    @property
    def interrupted(self) -> bool:
        return self.status.startswith("pending-") or self.status == "uninstalling"

    @property
    def is_deployed(self) -> bool:
        return self.status == "deployed"


def records(kubernetes: Kubernetes) -> list[Record]:
    """Reads the revisions of all releases, oldest first."""
    # Metadata only: the records contain rendered values.
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    secrets = [
        item["metadata"] for item in kubernetes.items("/api/v1/secrets", accept=accept, labelSelector="owner=helm")
    ]
    secrets.sort(key=lambda secret: int(secret["labels"]["version"]))
    return [
        Record(secret["namespace"], secret["labels"]["name"], secret["name"], secret["labels"]["status"])
        for secret in secrets
    ]


def manifest(kubernetes: Kubernetes, record: Record) -> list[dict[str, Any]]:
    """Reads the objects that a revision installed, as its chart rendered them, without hooks and CRDs.

    Raises:
        ValueError: the record isn't Helm's.
    """
    secret = kubernetes.get(f"/api/v1/namespaces/{segment(record.namespace)}/secrets/{segment(record.name)}")
    try:
        # Helm encodes the compressed text, and Kubernetes encodes that again.
        release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
        documents = list(yaml.load_all(release["manifest"], Loader=yaml.CSafeLoader))
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
        raise ValueError(f"Helm's record {record.name} can't be read: {error!r}") from None
    return [document for document in documents if document]


def forget(kubernetes: Kubernetes, namespace: str, name: str) -> None:
    """Deletes a record; what was installed stays, and Helm takes it over at the next install."""
    kubernetes.delete(f"/api/v1/namespaces/{segment(namespace)}/secrets/{segment(name)}")
