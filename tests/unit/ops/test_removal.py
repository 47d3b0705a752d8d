"""What `remove` refuses without --force."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.account import removal
from ops.account.documents import Cluster, NodePool, Status
from ops.account.inventory import BilledResource, Inventory
from ops.digitalocean import Api
from ops.pulumi.state import CLUSTER, NODE_POOL, State


class NoSizes(Api):
    """An account without a list of sizes."""

    def __init__(self) -> None:
        super().__init__("a-token")

    def list(self, *_: object, **__: object) -> Any:  # noqa: ANN401 -- as Api
        return iter(())


STATE = State(
    resources=[
        {"type": CLUSTER, "urn": "urn:cluster", "id": "c", "outputs": {"nodePool": {"id": "own"}}},
        {"type": NODE_POOL, "urn": "urn:pool", "id": "further"},
    ],
    pending=[],
)
POOLS = [NodePool(id=name, name=name, size="s", count=1) for name in ("own", "further", "by-hand")]
INVENTORY = Inventory(
    own=[BilledResource("cluster", "c", "mycluster", 0, 0)],
    others=[],
    clusters={
        "c": Cluster(
            id="c",
            name="mycluster",
            region="nyc1",
            created_at=datetime(2026, 11, 23, tzinfo=UTC),
            status=Status(state="running"),
            node_pools=POOLS,
        )
    },
    registries={},
    load_balancers={},
    names={},
)


@pytest.mark.parametrize(("pool", "is_refused"), [("own", True), ("further", True), ("by-hand", False)])
def test_node_pools_in_the_state_are_left_to_pulumi(pool: str, is_refused: bool) -> None:
    target = removal.target(NoSizes(), "node_pool", f"c/node_pools/{pool}", INVENTORY, STATE)
    assert bool(target.reason) is is_refused
