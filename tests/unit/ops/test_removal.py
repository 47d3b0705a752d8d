"""Resources that `remove` refuses to delete without --force."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.account import removal
from ops.account.billed import BilledResource
from ops.account.documents import Cluster, NodePool, Record, Status
from ops.account.inventory import Inventory
from ops.digitalocean import Api, ApiError
from ops.pulumi.state import CLUSTER, NODE_POOL, RECORD, State


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


class Zone(NoSizes):
    """An account with a zone, whose records have the text of the stack's address."""

    def list(self, *_: object, **__: object) -> Any:  # noqa: ANN401 -- as Api
        records = {"own": ("A", "api"), "lost": ("A", "api"), "note": ("TXT", "api"), "other": ("A", "shop")}
        return iter(
            Record(id=identifier, type=kind, name=name, data="203.0.113.7")
            for identifier, (kind, name) in records.items()
        )


@pytest.mark.parametrize(("record", "is_refused"), [("own", False), ("lost", False), ("note", True), ("other", True)])
def test_only_a_records_that_lead_to_the_stack_are_removed(record: str, is_refused: bool) -> None:
    state = State([{"type": RECORD, "urn": "urn:record", "id": "own"}], [])
    target = removal.target(Zone(), "dns_record", f"example.com/records/{record}", INVENTORY, state)
    assert bool(target.reason) is is_refused


class Refusing(NoSizes):
    """An account whose API answers deletes with an error."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def call(self, *_: object, **__: object) -> Any:  # noqa: ANN401 -- as Api
        raise ApiError(self.status, "no")


def test_a_resource_that_goes_before_its_removal_is_gone_already() -> None:
    target = removal.Target("droplet 1", path="droplets/1")
    assert removal.remove(Refusing(404), target) is False
    with pytest.raises(ApiError):
        removal.remove(Refusing(500), target)
