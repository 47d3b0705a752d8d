"""Ownership of clusters whose name was edited, and the names of a configuration's resources."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.config.node_pools import DEFAULT_POOL_TAG
from ops.account import ownership
from ops.account.documents import Cluster, NodePool, Status
from ops.account.ownership import Attempt, Names, Ownership
from ops.pulumi.state import State

EMPTY = State([], [])
UP = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWNERSHIP = Ownership(
    clusters={"in-the-state"},
    cluster_names={"tried", "killed", "earlier"},
    earlier_ids=lambda: {"in-a-checkpoint"},
    cluster_attempts=[Attempt("tried", UP, UP + timedelta(minutes=8)), Attempt("killed", UP)],
)


def cluster(
    name: str, created: datetime = UP, identifier: str = "1", pool: str = "", status: str = "running"
) -> Cluster:
    return Cluster(
        id=identifier,
        name=name,
        region="nyc1",
        created_at=created,
        status=Status(state=status),
        node_pools=[NodePool(id="1", name=pool or f"{name}-default-pool", size="s", count=1, tags=[DEFAULT_POOL_TAG])],
    )


@pytest.mark.parametrize(
    "found",
    [
        cluster("renamed", identifier="in-the-state", pool="any"),
        cluster("tried", UP + timedelta(minutes=1)),
        cluster("killed", UP + timedelta(days=1)),
        cluster("earlier", UP - timedelta(days=1), identifier="in-a-checkpoint"),
        # The bill waits until it is gone. After an import of the state no checkpoint has its id.
        cluster("earlier", UP - timedelta(days=1), identifier="imported", status="deleting"),
    ],
)
def test_a_resource_created_during_an_update_belongs_to_the_stack(found: Cluster) -> None:
    assert OWNERSHIP.owns_cluster(found)


@pytest.mark.parametrize(
    "found",
    [
        cluster("never-tried"),
        cluster("never-tried", status="deleting"),
        # The name was another's: the up that tried it was refused.
        cluster("tried", UP - timedelta(days=1)),
        cluster("tried", UP + timedelta(days=1)),
        cluster("killed", UP - timedelta(days=1)),
        cluster("tried", UP, pool="web"),
        # Another user's, whose up began shortly before this one or after its failure.
        cluster("tried", UP - timedelta(minutes=1)),
        cluster("tried", UP + timedelta(minutes=9)),
        cluster("earlier"),
        cluster("never-tried", identifier="in-a-checkpoint"),
    ],
)
def test_a_cluster_created_outside_the_attempt_belongs_to_others(found: Cluster) -> None:
    assert not OWNERSHIP.owns_cluster(found)


@pytest.mark.parametrize(
    ("seconds", "is_own"),
    [(-140, False), (-120, True), (8 * 60 + 120, True), (8 * 60 + 140, False)],
)
def test_ownership_tolerates_the_measured_clock_error(seconds: int, is_own: bool) -> None:
    measured = replace(OWNERSHIP, clock_error=lambda: timedelta(minutes=2))
    assert measured.owns_cluster(cluster("tried", UP + timedelta(seconds=seconds))) is is_own
    assert not OWNERSHIP.owns_cluster(cluster("tried", UP + timedelta(seconds=seconds)))


def update(kind: str, result: str, name: str) -> dict[str, Any]:
    config = {"kong-doks:clusterName": {"value": name, "secret": False}}
    times = {"startTime": UP.isoformat(), "endTime": (UP + timedelta(minutes=8)).isoformat()}
    return {"kind": kind, "result": result, "config": config} | times


class History:
    """A stack as far as its history goes."""

    project, name = "kong-doks", "dev"

    def __init__(self, *updates: dict[str, Any]) -> None:
        self._updates = updates

    def pulumi_json(self, *arguments: str) -> list[dict[str, Any]]:
        assert arguments[:2] == ("stack", "history")
        return [*self._updates]


def without_checkpoints(last: dict[str, Any]) -> Ownership:
    """The resources that a stack with one update in its history owns, by that history alone."""
    read = ownership.read(History(last), EMPTY, timedelta)  # type: ignore[arg-type]
    return replace(read, other_stacks=dict, earlier_ids=set)


@pytest.mark.parametrize(
    ("kind", "result", "is_own"),
    [
        ("update", "failed", True),
        # The name was free again, and a colleague took it.
        *(("destroy", "succeeded", False), ("destroy", "failed", False), ("refresh", "succeeded", False)),
        # What it created is in its checkpoint.
        ("update", "succeeded", False),
    ],
)
def test_only_a_failed_up_may_own_resources_without_a_checkpoint(kind: str, result: str, is_own: bool) -> None:
    by_history = without_checkpoints(update(kind, result, "tried"))
    assert by_history.owns_cluster(cluster("tried", UP + timedelta(minutes=1))) is is_own
    in_checkpoint = replace(by_history, earlier_ids=lambda: {"1"})
    assert in_checkpoint.owns_cluster(cluster("tried", UP - timedelta(days=9)))


@pytest.mark.parametrize(
    ("changes", "is_own"),
    [
        # The stack itself, alone: the program ended before its first resource.
        *(({"create": 1}, False), ({"same": 1}, False)),
        *(({"create": 2}, True), ({"same": 1, "create": 1}, True)),
        # Killed, or without a summary.
        *(({}, True), (None, True)),
    ],
)
def test_an_up_that_ended_before_its_first_resource_owns_nothing(changes: dict[str, int] | None, is_own: bool) -> None:
    failed = update("update", "failed", "tried") | {"resourceChanges": changes}
    assert without_checkpoints(failed).owns_cluster(cluster("tried", UP + timedelta(minutes=1))) is is_own


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, Names("mycluster", None)),
        ({"services": '[{"build": "apps/foo"}]'}, Names("mycluster", "")),
        ({"services": [{"image": "a:1", "canary": {"build": "apps/foo"}}]}, Names("mycluster", "")),
        ({"services": [{"blueGreen": {"blue": {"image": "a:1"}, "green": {"build": "b"}}}]}, Names("mycluster", "")),
        ({"services": '[{"image": "a:1"}]'}, Names("mycluster", None)),
        ({"aggregates": '[{"backends": {"foo": "/foo"}}]', "clusterName": "c"}, Names("c", "")),
        ({"services": '[{"image": "a:1"}]', "gateway": '{"page": true}'}, Names("mycluster", "")),
        ({"services": '[{"image": "a:1"}]', "gateway": {"page": False}}, Names("mycluster", None)),
        ({"services": '[{"image": "a:1"}]', "gateway": {"page": {"auth": "jwt"}}}, Names("mycluster", "")),
        ({"gateway": {"page": {}}}, Names("mycluster", "")),
        ({"gateway": {"page": None}}, Names("mycluster", None)),
        ({"gateway": None}, Names("mycluster", "")),  # a secret
        ({"services": None}, Names("mycluster", "")),  # a secret
        ({"services": None, "registry": None}, Names("mycluster", None)),  # with a password
        ({"services": None, "registry": '{"name": "r"}'}, Names("mycluster", "r")),
        ({"services": None, "registry": '{"name": "r", "existing": true}'}, Names("mycluster", None)),
        ({"services": None, "registry": '{"kind": "other"}'}, Names("mycluster", None)),
        ({"services": None, "kubeContext": "kind"}, Names(None, None)),
    ],
)
def test_the_configuration_names_the_stacks_resources(values: dict[str, Any], names: Names) -> None:
    assert Names.of(values) == names
