"""Ownership of clusters whose name was edited since, and the names that a configuration gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.config.node_pools import DEFAULT_POOL_TAG
from ops.account.documents import Cluster, NodePool, Status
from ops.account.ownership import Attempt, Names, Ownership

UP = datetime(2026, 11, 23, 12, tzinfo=UTC)
OWNERSHIP = Ownership(
    clusters={"in-the-state"},
    cluster_attempts=[Attempt("tried", UP, UP + timedelta(minutes=8)), Attempt("killed", UP)],
)


def cluster(name: str, created: datetime = UP, identifier: str = "1", pool: str = "") -> Cluster:
    return Cluster(
        id=identifier,
        name=name,
        region="nyc1",
        created_at=created,
        status=Status(state="running"),
        node_pools=[NodePool(id="1", name=pool or f"{name}-default-pool", size="s", count=1, tags=[DEFAULT_POOL_TAG])],
    )


@pytest.mark.parametrize(
    "found",
    [
        cluster("renamed", identifier="in-the-state", pool="any"),
        cluster("tried", UP + timedelta(minutes=1)),
        # DigitalOcean's clock is not this machine's.
        cluster("tried", UP - timedelta(minutes=1)),
        cluster("killed", UP + timedelta(days=1)),
    ],
)
def test_a_resource_created_during_an_update_belongs_to_the_stack(found: Cluster) -> None:
    assert OWNERSHIP.owns_cluster(found)


@pytest.mark.parametrize(
    "found",
    [
        cluster("never-tried"),
        # The name was another's: the up that tried it was refused.
        cluster("tried", UP - timedelta(days=1)),
        cluster("tried", UP + timedelta(days=1)),
        cluster("killed", UP - timedelta(days=1)),
        cluster("tried", UP, pool="web"),
    ],
)
def test_a_cluster_created_outside_the_attempt_belongs_to_others(found: Cluster) -> None:
    assert not OWNERSHIP.owns_cluster(found)


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
        ({"gateway": None}, Names("mycluster", "")),  # a secret
        ({"services": None}, Names("mycluster", "")),  # a secret
        ({"services": None, "registry": None}, Names("mycluster", None)),  # with a password
        ({"services": None, "registry": '{"name": "r"}'}, Names("mycluster", "r")),
        ({"services": None, "registry": '{"name": "r", "existing": true}'}, Names("mycluster", None)),
        ({"services": None, "registry": '{"kind": "other"}'}, Names("mycluster", None)),
        ({"services": None, "kubeContext": "kind"}, Names(None, None)),
    ],
)
def test_names_of_the_resources_of_a_configuration(values: dict[str, Any], names: Names) -> None:
    assert Names.of(values) == names
