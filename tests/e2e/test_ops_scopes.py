"""The scopes that docs/reference/token-scopes.md lists for the commands of ops/: enough together, and none too many."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ops.preflight import scopes
from tests.e2e.terminal import Terminal
from tests.standins.digitalocean_provider.engine import TOKEN, Account
from tests.support import eventually

READING = {*scopes.READING, "registry:read"}
ASKED_BY = {
    "account:read": "preflight",
    "sizes:read": "cost",
    "regions:read": "cost",
    "actions:read": "preflight",
    "tag:read": "bill",
    "kubernetes:read": "bill",
    "registry:read": "bill",
    "droplet:read": "bill",
    "load_balancer:read": "bill",
    "block_storage:read": "bill",
    "block_storage_snapshot:read": "bill",
    "snapshot:read": "bill",
}
REMOVING = {
    "cluster": "kubernetes:delete",
    "registry": "registry:delete",
    "droplet": "droplet:delete",
    "load_balancer": "load_balancer:delete",
    "volume": "block_storage:delete",
    "snapshot": "block_storage_snapshot:delete",
}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    account = Account()
    yield Terminal(account, tmp_path)
    account.stop()


def things(terminal: Terminal) -> dict[str, str]:
    """One of each kind, by its id."""
    cluster = terminal.cluster()
    tags = [f"k8s:{cluster}"]
    terminal.registry("kong-doks-1234567")
    terminal.remembers(CLUSTER=cluster, REGISTRY="kong-doks-1234567")
    body = {"name": "data", "size_gigabytes": 10, "region": "nyc1", "tags": tags}
    volume = terminal.api("POST", "/v2/volumes", body)["volume"]["id"]
    snapshot = terminal.api("POST", f"/v2/volumes/{volume}/snapshots", {"name": "before", "tags": tags})["snapshot"]
    return {
        "snapshot": snapshot["id"],
        "volume": volume,
        "load_balancer": terminal.load_balancer(cluster),
        "droplet": next(iter(terminal.account.cloud.droplets)),
        "registry": "kong-doks-1234567",
        "cluster": cluster,
    }


def test_the_read_scopes_are_enough_for_bill_and_cost(terminal: Terminal) -> None:
    things(terminal)
    terminal.account.cloud.tokens = {TOKEN: sorted(READING)}
    assert len(terminal.json("bill")["things"]) == 6
    assert terminal.json("cost")["monthly"] > 0


@pytest.mark.parametrize("scope", sorted(READING))
def test_without_a_read_scope_the_result_is_incomplete(terminal: Terminal, scope: str) -> None:
    terminal.account.cloud.tokens = {TOKEN: sorted(READING - {scope})}
    done = terminal.ops(ASKED_BY[scope])
    if ASKED_BY[scope] == "preflight":
        assert (done.returncode, f"missing: {scope}" in done.stdout) == (1, True)
    else:
        assert (done.returncode, "403" in done.stderr) == (3, True)


def is_gone(terminal: Terminal, identifier: str) -> bool:
    bill = terminal.json("bill")
    return identifier not in {thing["id"] for thing in (*bill["things"], *bill["others"])}


def test_removing_each_kind_needs_its_own_scope(terminal: Terminal) -> None:
    resources = things(terminal)
    for kind, identifier in resources.items():
        others = {scope for other, scope in REMOVING.items() if other != kind}
        terminal.account.cloud.tokens = {TOKEN: sorted(READING | others)}
        refused = terminal.ops("remove", kind, identifier, "--yes")
        assert (refused.returncode, "403" in refused.stderr) == (3, True)
        # Whose it is has to be read first.
        terminal.account.cloud.tokens = {TOKEN: sorted(READING | {REMOVING[kind]})}
        assert terminal.ops("remove", kind, identifier, "--yes").returncode == 0
        terminal.account.cloud.tokens = {TOKEN: None}
        eventually(partial(is_gone, terminal, identifier))
    terminal.account.cloud.tokens = {TOKEN: None}
    eventually(lambda: terminal.billed() == set())
