"""Helm's records of its releases, in the cluster: an `up` that was killed leaves one that stops every later one."""

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from ops.digitalocean import Api, OpsError

NAMESPACES = {"kong": "kong", "cert-manager": "cert-manager", "prometheus": "monitoring", "grafana": "monitoring"}
"""Where the program has Helm install what, by the release's name, which is its resource's as well."""
_CREDENTIAL_SECONDS = 300


@dataclass(frozen=True)
class Record:
    """One revision of a release: a Secret. Helm says in `status` how far it got."""

    namespace: str
    release: str
    name: str
    status: str

    @property
    def interrupted(self) -> bool:
        return self.status.startswith("pending-") or self.status == "uninstalling"


def records(api: Api, cluster: str) -> list[Record]:
    """All releases' revisions in their order.

    Raises:
        OpsError: the cluster can't be asked.
    """
    # What is in them is nobody's business here.
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    with connected(api, cluster) as kubernetes:
        answer = kubernetes.get("/api/v1/secrets", params={"labelSelector": "owner=helm"}, headers={"Accept": accept})
        # Of none it says null.
        found = [each["metadata"] for each in answer.raise_for_status().json()["items"] or []]
    found.sort(key=lambda each: int(each["labels"]["version"]))
    return [Record(each["namespace"], each["labels"]["name"], each["name"], each["labels"]["status"]) for each in found]


def forget(api: Api, cluster: str, namespace: str, name: str) -> None:
    """Deletes a record; what was installed stays, and Helm takes it over at the next install.

    Raises:
        OpsError: the cluster can't be asked, or refuses.
    """
    with connected(api, cluster) as kubernetes:
        answer = kubernetes.delete(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        if answer.status_code != HTTPStatus.NOT_FOUND:
            answer.raise_for_status()


@contextmanager
def connected(api: Api, identifier: str) -> Iterator[httpx.Client]:
    """A client of a cluster's API server.

    Raises:
        OpsError: it can't be asked, or refused what it was asked.
    """
    found = api.get(f"kubernetes/clusters/{identifier}/credentials", expiry_seconds=_CREDENTIAL_SECONDS)
    bearer = {"Authorization": f"Bearer {found['token']}"}
    try:
        trust = ssl.create_default_context(cadata=base64.b64decode(found["certificate_authority_data"]).decode())
        with httpx.Client(base_url=found["server"], verify=trust, headers=bearer, timeout=30) as client:
            yield client
    except (httpx.HTTPError, ssl.SSLError, ValueError) as error:
        raise OpsError(f"the API server of cluster {identifier}: {error}; fix: try again") from None
