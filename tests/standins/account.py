"""A served account of the DigitalOcean stand-in, and DigitalOcean's own client of it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import httpx
from azure.core.exceptions import HttpResponseError
from werkzeug.serving import make_server

from sandbox.digitalocean.__main__ import Nameless
from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.app import create_app
from sandbox.digitalocean.kubernetes.records import ClusterRecord, StartKubernetes
from sandbox.digitalocean.settings import Settings
from tests.standins.official_client import official_client
from tests.support import PATIENCE, eventually

until = partial(eventually, pause=0.01)
TOKEN = "dop_v1_test"  # noqa: S105 -- a word, no secret
CLUSTER = {
    "name": "mycluster",
    "region": "nyc1",
    "version": "1.34.10-do.0",
    "node_pools": [{"name": "default", "size": "s-1vcpu-2gb", "count": 1, "tags": ["terraform:default-node-pool"]}],
}
QUICK = {
    "cluster_delete": 0,
    "cluster_upgrade": 0,
    "node_create": 0,
    "node_delete": 0,
    "load_balancer_create": 0,
    "load_balancer_delete": 0,
    "requests_per_minute": 5000,
}


@dataclass
class FakeKubernetes(Nameless):
    """A Kubernetes of which there is nothing but the name."""

    server: str = "https://127.0.0.1:16443"
    ca_pem: bytes = b"-----BEGIN CERTIFICATE-----\n"
    stopped: bool = False

    def stop(self) -> None:
        self.stopped = True


@dataclass
class Stand:
    """One served account."""

    cloud: Cloud
    url: str
    kubernetes: list[FakeKubernetes]

    @cached_property
    def api(self) -> Any:  # noqa: ANN401 -- pydo has no types
        return official_client(self.url, TOKEN)

    @cached_property
    def http(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=PATIENCE
        )

    def control(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 -- JSON
        answer = self.http.request(method, f"/_control/{path}", json=body)
        return answer.raise_for_status().json()

    def ledger(self, wait: float = 0) -> Any:  # noqa: ANN401 -- JSON
        return self.control("GET", f"ledger?wait={wait}")

    def billed(self) -> list[dict[str, Any]]:
        return [entry for entry in self.ledger()["entries"] if entry["ended_at"] is None]

    def refusal(self, call: Callable[[], Any]) -> tuple[int | None, str]:
        """The status and message of a call that the API refuses; the client raises some refusals, returns others."""
        try:
            body = call()
        except HttpResponseError as error:
            body = error.response.json()  # type: ignore[union-attr]
        assert set(body) == {"id", "message", "request_id"}
        return self.cloud.calls[-1].status, body["message"]

    def running_cluster(self, **changes: object) -> dict[str, Any]:
        identifier = self.api.kubernetes.create_cluster(CLUSTER | changes)["kubernetes_cluster"]["id"]
        until(lambda: self.cluster(identifier)["status"]["state"] == "running")
        return self.cluster(identifier)

    def cluster(self, identifier: str) -> dict[str, Any]:
        cluster: dict[str, Any] = self.api.kubernetes.get_cluster(identifier)["kubernetes_cluster"]
        return cluster


def sign(subject: str, access: list[dict[str, Any]]) -> str:
    return f"{subject}:" + " ".join(f"{a['name']}={'+'.join(a['actions'])}" for a in access)


@contextmanager
def served_account(start: StartKubernetes | None = None, **settings: int) -> Iterator[Stand]:
    """An account at a port of this machine, with quick settings beside the given ones.

    Args:
        start: starts the Kubernetes of a cluster; by default a fake one.
        settings: of the account.
    """
    started: list[FakeKubernetes] = []

    def start_fake(_: ClusterRecord) -> FakeKubernetes:
        started.append(FakeKubernetes())
        return started[-1]

    quick = Settings.model_validate(QUICK | settings)
    cloud = Cloud(TOKEN, start or start_fake, quick, sign=sign, real_kubernetes=False)
    server = make_server("127.0.0.1", 0, create_app(cloud), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Stand(cloud, f"http://127.0.0.1:{server.port}", started)
    cloud.stop()
    server.shutdown()
    thread.join()
