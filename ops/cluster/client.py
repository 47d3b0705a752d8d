"""A client for the Kubernetes API of a DigitalOcean cluster, with a credential that expires in minutes."""

import base64
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx

from ops.account.documents import Credentials
from ops.digitalocean import Api, one_line, segment
from ops.errors import OpsError

CREDENTIAL_SECONDS = 300
ANSWER_SECONDS = 30


class Kubernetes:
    """Reads and changes objects by their paths.

    All methods raise httpx.HTTPError, which `connected` turns into an OpsError.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, *, accept: str = "application/json", **params: str) -> dict[str, Any]:
        answer = self._client.get(path, params=params, headers={"Accept": accept}).raise_for_status()
        document = answer.json()
        if not isinstance(document, dict):
            raise TypeError(f"GET {path}: no JSON object")
        return document

    def find(self, path: str) -> dict[str, Any] | None:
        """Like `get`; None if there is no such object or kind."""
        try:
            return self.get(path)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                return None
            raise

    def items(self, path: str, *, accept: str = "application/json", **params: str) -> list[dict[str, Any]]:
        """The objects of a list; none if the API server doesn't know the kind."""
        try:
            # `items` is null in an empty list of metadata.
            return list(self.get(path, accept=accept, **params)["items"] or [])
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                return []
            raise

    def kinds(self, version: str) -> tuple[str, dict[str, Any]]:
        """Returns the path of an API version such as apps/v1, and its resources by kind; none if it isn't served."""
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        known = self.find(path) or {"resources": []}
        return path, {resource["kind"]: resource for resource in known["resources"] if "/" not in resource["name"]}

    def text(self, path: str, **params: str) -> str:
        return self._client.get(path, params=params).raise_for_status().text

    def merge(self, path: str, change: object) -> None:
        """Patches an object with a JSON merge patch."""
        patch = {"Content-Type": "application/merge-patch+json"}
        self._client.patch(path, json=change, headers=patch).raise_for_status()

    def evict(self, namespace: str, pod: str) -> bool:
        """Evicts a pod; False if a disruption budget doesn't allow it now."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        answer = self._client.post(f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", json=eviction)
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return False
        if answer.status_code != HTTPStatus.NOT_FOUND:
            answer.raise_for_status()
        return True

    def delete(self, path: str) -> None:
        """Deletes an object, if it exists."""
        answer = self._client.delete(path)
        if answer.status_code != HTTPStatus.NOT_FOUND:
            answer.raise_for_status()


class _Kubectl(httpx.BaseTransport):
    """Reads through `kubectl get --raw`, which supports every authentication of a kubeconfig."""

    def __init__(self, context: str) -> None:
        self._context = context

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        command = ["kubectl", "--context", self._context, "get", "--raw", request.url.raw_path.decode()]
        try:
            done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
        except OSError as error:
            raise httpx.ConnectError(f"kubectl: {error.strerror}") from error
        if done.returncode:
            if "NotFound" in done.stderr:
                return httpx.Response(HTTPStatus.NOT_FOUND)
            raise httpx.ConnectError(one_line(done.stderr))
        return httpx.Response(HTTPStatus.OK, text=done.stdout)


@contextmanager
def through_context(context: str) -> Iterator[Kubernetes]:
    """Connects to the cluster of a kubeconfig's context, for reading.

    Raises:
        OpsError: it doesn't answer, or kubectl isn't installed.
    """
    with (
        _one_line_errors(f"the cluster of kubeContext {context}"),
        httpx.Client(base_url="http://kubectl", transport=_Kubectl(context)) as client,
    ):
        yield Kubernetes(client)


@contextmanager
def connected(api: Api, identifier: str, seconds: float = CREDENTIAL_SECONDS) -> Iterator[Kubernetes]:
    """Connects to a cluster's API server, with a credential for so many seconds.

    Raises:
        OpsError: it doesn't answer, refuses, or answers something else than Kubernetes does.
    """
    path = f"kubernetes/clusters/{segment(identifier)}/credentials"
    issued = api.call("GET", path, expiry_seconds=round(seconds))
    with _one_line_errors(f"the API server of cluster {identifier}"):
        credentials = Credentials.model_validate(issued)
        authority = base64.b64decode(credentials.certificate_authority_data).decode()
        trust = ssl.create_default_context(cadata=authority)
        bearer = {"Authorization": f"Bearer {credentials.token}"}
        with httpx.Client(base_url=credentials.server, verify=trust, headers=bearer, timeout=ANSWER_SECONDS) as client:
            yield Kubernetes(client)


@contextmanager
def _one_line_errors(where: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        problem = one_line(str(error)) or type(error).__name__
        fix = "try again, from an address that the cluster's firewall (controlPlaneFirewall) allows"
        raise OpsError(f"{where}: {problem}; fix: {fix}") from None
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, KeyError, TypeError, ValueError) as error:
        problem = one_line(str(error)) or type(error).__name__
        raise OpsError(f"{where}: {problem}; fix: try again") from None
