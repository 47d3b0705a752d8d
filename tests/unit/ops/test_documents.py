"""What ops concludes from DigitalOcean's documents, and from a load balancer that doesn't come."""

from typing import Any

import pytest

from ops.account.documents import NodePool
from ops.cluster import load_balancer
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
def test_a_pool_runs_once_each_of_its_nodes_does(states: list[str], count: int, *, runs: bool) -> None:
    nodes = [{"name": f"n{number}", "status": {"state": state}} for number, state in enumerate(states)]
    document: dict[str, Any] = {"id": "1", "name": "it", "size": "s-1vcpu-2gb", "count": count, "nodes": nodes}
    assert NodePool.model_validate(document).runs is runs


class Cluster:
    """A cluster whose Service of Kong gets no address."""

    def merge(self, path: str, change: dict[str, Any]) -> None:
        assert change == {"metadata": {"annotations": {load_balancer.STAMP: None}}}
        assert path.endswith("/services/kong-proxy")


def test_a_load_balancer_that_does_not_come_is_an_error() -> None:
    with pytest.raises(OpsError, match=r"no load balancer within 0 s; fix: kubectl get events -n kong"):
        load_balancer.renew(None, Cluster(), 0)  # type: ignore[arg-type]
