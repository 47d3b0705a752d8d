"""DigitalOcean's documents as ops reads them, and a load balancer that doesn't come."""

import functools
from typing import Any

import httpx
import pytest

from infra.config.load_balancer import ID_ANNOTATION
from ops.account.documents import NodePool, Stored
from ops.cluster import load_balancer
from ops.digitalocean import Api
from ops.errors import OpsError


@pytest.mark.parametrize(
    ("states", "count", "runs"),
    [
        (["running", "running"], 2, True),
        (["running", "provisioning"], 2, False),
        (["running"], 2, False),
        (["running", "running", "draining"], 2, False),
        ([], 0, True),
    ],
)
def test_a_pool_is_running_when_all_of_its_nodes_are(states: list[str], count: int, *, runs: bool) -> None:
    nodes = [{"name": f"n{number}", "status": {"state": state}} for number, state in enumerate(states)]
    document: dict[str, Any] = {"id": "1", "name": "it", "size": "s-1vcpu-2gb", "count": count, "nodes": nodes}
    assert NodePool.model_validate(document).runs is runs


class Cluster:
    """A cluster whose Service of Kong gets no address."""

    def merge(self, path: str, change: dict[str, Any]) -> None:
        assert change == {"metadata": {"annotations": {ID_ANNOTATION: None}}}
        assert path.endswith("/services/kong-proxy")


def test_a_missing_load_balancer_is_an_error() -> None:
    with pytest.raises(OpsError, match=r"^no load balancer within 0 s; fix: "):
        load_balancer.renew(None, Cluster(), 0)  # type: ignore[arg-type]


def test_a_list_is_read_to_its_last_page(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        asked.append(str(request.url.params["resource_type"]))
        assert request.url.params["per_page"] == "200"
        assert len(asked) <= 3
        links = {"pages": {"next": "https://api.example/v2/snapshots?page=2"}} if number < 3 else {}
        document = {"id": str(number), "name": "it", "size_gigabytes": 1, "tags": []}
        return httpx.Response(200, json={"snapshots": [document], "links": links, "meta": {"total": 3}})

    monkeypatch.setattr(httpx, "Client", functools.partial(httpx.Client, transport=httpx.MockTransport(answer)))
    snapshots = Api("a-token").list("snapshots", "snapshots", Stored, query={"resource_type": "volume"})
    assert [document.id for document in snapshots] == ["1", "2", "3"]
    assert asked == ["volume"] * 3
