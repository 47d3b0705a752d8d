"""Random sequences of user actions and failures: the stack converges and ends at zero."""

import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, currently_in_test_context, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sandbox.digitalocean.kubernetes.records import ClusterRecord
from tests.e2e.leaks import leaks
from tests.reliability.part import QUIET, Part, delete_default_pool, until

FAULTS: dict[str, dict[str, Any]] = {
    "refused": {"kind": "status", "status": 422},
    "a server's error": {"kind": "status", "status": 500},
    "too many requests": {"kind": "status", "status": 429, "headers": {"Retry-After": "1"}},
    "hung up": {"kind": "refuse"},
    "timed out": {"kind": "timeout", "seconds": 2},
    "taken without an answer": {"kind": "drop_after"},
}
SIGNALS = {"interrupted": signal.SIGINT, "terminated": signal.SIGTERM, "killed": signal.SIGKILL}


class DigitalOceanPart(RuleBasedStateMachine):
    """A person, a stack and an account."""

    @initialize(up=st.booleans())
    def begin(self, up: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.part = Part(Path(self.folder.name))
        self.cloud = self.part.account.cloud
        self.part.account.settings.cluster_create = 0.3
        self.tokens = [self.part.environment["DIGITALOCEAN_TOKEN"]]
        self.said: list[str] = []
        self.nodes = 1
        if up:
            self.part.up()

    @rule(
        nodes=st.integers(1, 3),
        tier=st.sampled_from(["starter", "basic"]),
        name=st.sampled_from(["mycluster", "other"]),
    )
    def edit(self, nodes: int, tier: str, name: str) -> None:
        self.nodes = nodes
        self.part.configure(clusterName=name, nodeCount=nodes, registry={"kind": "digitalocean", "tier": tier})

    @rule(command=st.sampled_from(["up", "up", "destroy", "refresh"]))
    def run(self, command: str) -> None:
        ended = self._type("pulumi", command, *QUIET)
        _note(f"{command} {'failed' if ended else 'succeeded'}")

    @rule(command=st.sampled_from(["up", "destroy"]), how=st.sampled_from(sorted(SIGNALS)), after=st.integers(0, 8))
    def cut(self, command: str, how: str, after: int) -> None:
        self.cloud.calls.clear()
        self._heard(self.part.cut(command, SIGNALS[how], lambda: len(self.cloud.calls) > after).stdout)
        _note(f"{command} {how}")
        self._made()

    @rule(fault=st.sampled_from(sorted(FAULTS)), skip=st.integers(0, 8))
    def plant(self, fault: str, skip: int) -> None:
        self.part.fault(path="/v2/", skip=skip, **FAULTS[fault])
        _note(f"planted: {fault}")

    @precondition(lambda self: self.cloud.clusters.records)
    @rule()
    def delete_the_cluster_by_hand(self) -> None:
        self._made()
        for record in list(self.cloud.clusters.records.values()):
            self.cloud.clusters.delete(record)
        until(lambda: not self.cloud.clusters.records)
        _note("cluster deleted by hand")

    @precondition(lambda self: self.cloud.registries.documents)
    @rule()
    def delete_the_registry_by_hand(self) -> None:
        for name in list(self.cloud.registries.documents):
            self.cloud.registries.delete(name)
        _note("registry deleted by hand")

    @precondition(lambda self: self._running())
    @rule()
    def delete_a_node_pool_by_hand(self) -> None:
        for record in self._running():
            delete_default_pool(self.cloud, record)
        _note("node pool deleted by hand")

    @precondition(lambda self: self._running())
    @rule()
    def expire_the_tokens_of_the_cluster(self) -> None:
        for record in self._running():
            record.tokens.clear()
        _note("cluster's tokens expired")

    @rule()
    def rotate_the_token(self) -> None:
        self.tokens.append(f"dop_v1_{len(self.tokens):064x}")
        self.cloud.tokens = {self.tokens[-1]: None}
        self.part.environment["DIGITALOCEAN_TOKEN"] = self.tokens[-1]

    @rule()
    def converge(self) -> None:
        """Runs the commands of docs/reference/failures.md: `up` again, and those of the doctor."""
        self._made()
        self.cloud.faults.clear()
        # `up` alone may miss changes by hand.
        if self.part.up(check=False).returncode or self.part.doctor():
            self.part.mend()
            self.part.up()
        assert self.part.doctor() == []
        self._ledger_is_state()
        self.part.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")
        _note("converged")

    @invariant()
    def the_state_is_valid_and_no_secret_is_in_it(self) -> None:
        self.said.append(self.part.run("pulumi", "stack", "export").stdout)
        assert self.part.is_valid()
        assert leaks(self._secrets(), dict(enumerate(self.said))) == []
        self.said.clear()

    def teardown(self) -> None:
        """It ends at zero, by the commands that people have."""
        self._made()
        self.cloud.faults.clear()
        if self.part.destroy(check=False).returncode or self.part.doctor():
            self.part.mend()
        assert self.part.ends_at_zero()
        _note("ended at zero")
        self.part.stop()
        self.folder.cleanup()

    def _type(self, *command: str) -> int:
        done = self.part.run(*command, check=False)
        self._heard(done.stdout + done.stderr)
        return done.returncode

    def _heard(self, text: str) -> None:
        self.said.append(text)
        # Of the program's own: where a resource fails, the engine interrupts the program, and Pulumi shows that.
        assert "KeyboardInterrupt" in text or f'File "{self.part.project}' not in text
        assert "panic:" not in text

    def _running(self) -> list[ClusterRecord]:
        return [record for record in self.cloud.clusters.records.values() if record.state == "running"]

    def _made(self) -> None:
        """Waits for clusters that are being made: they can neither be adopted nor removed before."""
        until(lambda: all(record.state != "provisioning" for record in self.cloud.clusters.records.values()))

    def _secrets(self) -> set[str]:
        records = self.cloud.clusters.records.values()
        return {*self.tokens, *self.cloud.registries.credentials, *(t for record in records for t in record.tokens)}

    def _ledger_is_state(self) -> None:
        known = {
            (kind, resource["id"])
            for resource in self.part.resources()
            for suffix, kind in (("KubernetesCluster", "kubernetes_cluster"), ("ContainerRegistry", "registry"))
            if resource["type"].endswith(f":{suffix}")
        }
        billed = {(e.kind, e.id) for e in self.cloud.ledger.entries if e.ended_at is None}
        assert {entry for entry in billed if entry[0] in {"kubernetes_cluster", "registry"}} == known
        assert sum(1 for kind, _ in billed if kind == "droplet") == self.nodes


def _note(what: str) -> None:
    """For the statistics of generated lives."""
    if currently_in_test_context():
        event(what)


LIFE: list[tuple[Any, ...]] = [
    ("run", "up"),
    ("plant", "taken without an answer", 2),
    ("edit", 2, "basic", "other"),
    ("cut", "up", "killed", 6),
    ("rotate_the_token",),
    ("expire_the_tokens_of_the_cluster",),
    ("delete_a_node_pool_by_hand",),
    ("converge",),
    ("edit", 3, "basic", "other"),
    # The call after the question for versions is the one for nodes.
    ("plant", "refused", 1),
    ("run", "up"),
    ("converge",),
    ("plant", "timed out", 1),
    ("delete_the_cluster_by_hand",),
    ("delete_the_registry_by_hand",),
    ("run", "refresh"),
    ("cut", "destroy", "interrupted", 0),
]
"""One that was written down; generated ones are lived by `make soak`."""


def test_a_stack_ends_at_zero_after_every_event() -> None:
    life = DigitalOceanPart()
    life.begin(up=False)
    for deed, *arguments in LIFE:
        getattr(life, deed)(*arguments)
        life.the_state_is_valid_and_no_secret_is_in_it()
    life.teardown()


if settings.get_current_profile_name() == "soak":
    TestAStackThatAnythingHappensTo = DigitalOceanPart.TestCase
    TestAStackThatAnythingHappensTo.settings = settings(
        max_examples=40,
        stateful_step_count=12,
        phases=[Phase.generate],  # each step takes seconds
        suppress_health_check=list(HealthCheck),
    )
pytestmark = pytest.mark.timeout(7200)
