"""Clusters that the account has and the state lacks."""

from datetime import UTC, datetime

import pytest

from ops.account.billed import BilledResource
from ops.account.documents import Cluster, Status
from ops.account.inventory import Inventory
from ops.account.ownership import Names
from ops.doctor.account_checks import check_not_in_state
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states
from ops.pulumi.state import State
from tests.unit.loading import loaded


@pytest.mark.parametrize("going", ["deleted", "deleting"])
@pytest.mark.parametrize(("known", "reported"), [(["new"], []), ([], ["new", "old"])])
def test_a_cluster_that_is_being_deleted_is_not_reported_beside_its_replacement(
    going: str, known: list[str], reported: list[str]
) -> None:
    clusters = {
        name: Cluster(
            id=name,
            name="mycluster",
            region="nyc1",
            created_at=datetime(2026, 11, 23, tzinfo=UTC),
            status=Status(state=state),
            node_pools=[],
        )
        for name, state in (("new", "running"), ("old", going))
    }
    own = [BilledResource("cluster", name, "mycluster", 12, 0.01786) for name in clusters]
    inventory = Inventory(own, [], clusters=clusters, registries={}, load_balancers={}, names={})
    resources = [{"type": states.CLUSTER, "id": name, "urn": f"urn::{name}"} for name in known]
    snapshot = Snapshot(loaded({}), Names("mycluster", ""), [], State(resources, []), inventory)
    found = [finding.problem.partition("(")[2].partition(",")[0] for finding in check_not_in_state(snapshot)]
    assert sorted(found) == reported
