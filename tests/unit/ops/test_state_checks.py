"""Interrupted operations, locks and a missing stack file, as the doctor reports them."""

import dataclasses
from typing import TYPE_CHECKING

import pytest

from ops.account.billed import BilledResource
from ops.account.inventory import Inventory
from ops.account.ownership import Names
from ops.doctor import state_checks
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states
from ops.pulumi.backend import Lock
from ops.pulumi.state import Pending, State
from tests.unit.loading import loaded

if TYPE_CHECKING:
    from infra.config.settings import Settings


def snapshot(
    state: State, *own: BilledResource, missing_file: str = "", settings: "Settings | None" = None
) -> Snapshot:
    inventory = Inventory([*own], [], clusters={}, registries={}, load_balancers={}, names={})
    names = Names("mycluster", "")
    return Snapshot(settings or loaded({}), names, [], state, inventory, missing_file=missing_file)


def pending(kind: str, name: str) -> Pending:
    return Pending("creating", f"urn:pulumi:dev::kong-doks::{kind}::{name}", kind, name)


def test_a_pending_creation_whose_resource_has_to_be_adopted_is_not_reported_twice() -> None:
    state = State([], [pending(states.CLUSTER, "cluster"), pending(states.RELEASE, "kong")])
    lost = BilledResource("cluster", "c1", "mycluster", 12, 0.01786)
    (finding,) = state_checks.check_pending(snapshot(state, lost))
    assert "creating kong (kubernetes:helm.sh/v3:Release)" in finding.problem
    assert "cluster" not in finding.problem
    (finding,) = state_checks.check_pending(snapshot(state))
    assert "creating cluster (digitalocean:index/kubernetesCluster:KubernetesCluster), creating kong" in finding.problem
    assert list(state_checks.check_pending(snapshot(State([], state.pending[:1]), lost))) == []


@pytest.mark.parametrize(("stale", "is_running"), [(False, True), (True, False), (None, False)])
def test_only_a_process_that_runs_here_makes_the_doctor_wait(
    monkeypatch: pytest.MonkeyPatch, stale: bool | None, is_running: bool
) -> None:
    monkeypatch.setattr(Lock, "stale", stale)
    locks = [Lock("me", "here", 1, "today")]
    assert bool(state_checks.check_running(locks)) is is_running
    (finding,) = state_checks.check_locks(dataclasses.replace(snapshot(State([], [])), locks=locks))
    assert ("which is gone" in finding.problem) is (stale is True)


def test_a_missing_stack_file_is_reported_only_where_services_would_be_deleted() -> None:
    deployed = State([{"type": states.DEPLOYMENT, "id": "default/foo-deployment"}], [])
    assert len([*state_checks.check_stack_file(snapshot(deployed, missing_file="Pulumi.dev.yaml"))]) == 1
    assert [*state_checks.check_stack_file(snapshot(State([], []), missing_file="Pulumi.dev.yaml"))] == []
    assert [*state_checks.check_stack_file(snapshot(deployed))] == []
    configured = loaded({"services": [{"name": "foo", "path": "/foo", "image": "user/foo:1"}]})
    found = state_checks.check_stack_file(snapshot(deployed, missing_file="Pulumi.dev.yaml", settings=configured))
    assert [*found] == []


ENCRYPTED_EMPTY = "v1:GN2KGM6VOdIAAAAA:n8LJ9vKHah1ApeShluZbPOL292bEGqe5"
ENCRYPTED = f"v1:GN2KGM6VOdIAAAAA:{'n8LJ9vKHah1ApeSh' * 12}"


@pytest.mark.parametrize(
    ("value", "is_empty"),
    [
        (None, True),
        ("", True),
        ({states.ENCRYPTED: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": ENCRYPTED_EMPTY}, True),
        ({states.ENCRYPTED: "1b47061264138c4ac30d75fd1eb44270", "plaintext": '""'}, True),
        ({states.ENCRYPTED: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": ENCRYPTED}, False),
    ],
)
def test_empty_credentials_are_found_whatever_their_form(value: object, *, is_empty: bool) -> None:
    urn = f"urn:pulumi:dev::kong-doks::{states.DOCKER_CREDENTIALS}::push"
    resource = {"type": states.DOCKER_CREDENTIALS, "urn": urn, "outputs": {"dockerCredentials": value}}
    findings = [*state_checks.check_docker_credentials(snapshot(State([resource], [])))]
    assert [finding.fixes for finding in findings] == ([[[f"pulumi state delete '{urn}' --force --yes"]]] * is_empty)
