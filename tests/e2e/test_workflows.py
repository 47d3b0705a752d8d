"""The run steps of the workflows that users get, executed as GitHub would, as far as they need no GitHub."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.host.paths import PROJECT
from tests.e2e.policy_pack import add_policy_pack
from tests.reliability.whole import Whole
from tests.standins.digitalocean_provider.engine import TOKEN

NOT_HERE = {
    "Install the program's packages": "the sandbox's language host can't install",
    "Call the gateway": "a control plane without nodes answers no request; the tutorial's test makes the same ones",
    "Configure a stack of this run": "the account is on this machine, so the stack file has its addresses",
    "Forget the stack": "the other workflows' steps need it",
}
"""Steps that need more than an account and a cluster."""


def steps(file: str, job: str = "") -> Iterator[dict[str, Any]]:
    """The run steps of a workflow's job, or of an action."""
    document = yaml.safe_load((PROJECT / ".github" / file).read_text())
    listed = document["jobs"][job]["steps"] if job else document["runs"]["steps"]
    return (step for step in listed if "run" in step)


def scopes_of_preview() -> list[str]:
    """The scopes that the guide lists for the token of the environment `preview`."""
    text = (PROJECT / "docs" / "how-to" / "use-github-actions.md").read_text()
    listed = text.partition("The token of `preview`")[2].partition("\n   `access_cluster`")[0]
    scopes = re.findall(r"`([a-z_]+:[a-z_]+)`", listed)
    assert {scope for scope in scopes if not scope.endswith(":read")} == {"kubernetes:access_cluster"}
    return scopes


class Runner(Whole):
    """A machine with the project, where `gh` notes what it is called with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        add_policy_pack(self)
        (self.project / ".venv").symlink_to(PROJECT / ".venv")
        self.calls = folder / "calls"
        github = folder / "analyzers" / "gh"
        github.write_text(f'#!/bin/sh\necho "$@" >> {self.calls}\n')
        github.chmod(0o755)
        assert self.succeeds("actions/setup/action.yml")

    @contextmanager
    def token(self, scopes: list[str]) -> Iterator[None]:
        """Gives the token these scopes only."""
        self.account.cloud.tokens = {TOKEN: scopes}
        yield
        self.account.cloud.tokens = {TOKEN: None}

    def succeeds(self, file: str, job: str = "") -> bool:
        """Runs the steps of a job, each in a shell of its own; after a failure only those that ask for it.

        What they print is in `printed`.
        """
        self.printed = ""
        failed = False
        for step in steps(file, job):
            condition = step.get("if", "success()")
            is_due = {"success()": not failed, "failure() || cancelled()": failed}.get(condition, True)
            if step["name"] in NOT_HERE or not is_due:
                continue
            # Expressions are GitHub's to replace.
            values = {key: value for key, value in step.get("env", {}).items() if "${{" not in value}
            self.environment |= {**values, "RUN": "https://github.com/run"}
            script = self.project.parent / "step.sh"
            script.write_text(step["run"])
            # As GitHub calls bash.
            done = self.run("bash", "-eo", "pipefail", str(script), check=False)
            self.printed += f"{step['name']}\n{done.stdout}{done.stderr}"
            failed = failed or done.returncode != 0
        return not failed


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    yield runner
    runner.stop()


@pytest.mark.soak
def test_the_steps_of_the_workflows_work_on_a_stack(runner: Runner) -> None:
    assert runner.succeeds("workflows/up.yml", "up"), runner.printed
    # Nothing has changed since: no false alarm, with the token that can only read.
    with runner.token(scopes_of_preview()):
        assert runner.succeeds("workflows/nightly.yml", "check"), runner.printed
    assert not runner.calls.exists()

    runner.kubectl("delete", "deployment", "foo-deployment", "--namespace", "services")
    assert not runner.succeeds("workflows/nightly.yml", "check")
    assert "no changes were expected for preview but changes were proposed" in runner.printed
    assert "foo-deployment" in (runner.project / "report.md").read_text()
    looked_up, created = runner.calls.read_text().splitlines()
    assert looked_up.startswith("issue list")
    assert created == "issue create --title Nightly check of stack dev --body-file report.md"

    runner.types("pulumi up --refresh --yes --skip-preview")
    (runner.project / "policies.json").write_text(json.dumps({"over-budget": {"maximum": 0.05}}))
    assert runner.succeeds("workflows/live.yml", "live"), runner.printed
    assert runner.account.cloud.ledger.hourly == 0
    assert "nothing is billed" in runner.printed


@pytest.mark.soak
def test_a_live_run_over_budget_creates_nothing(runner: Runner) -> None:
    (runner.project / "policies.json").write_text(json.dumps({"over-budget": {"maximum": 0.01}}))
    assert not runner.succeeds("workflows/live.yml", "live")
    assert "the stack costs $0.03572 an hour" in runner.printed
    assert runner.clusters_ever() == 0


def test_only_existing_workflow_steps_are_exempt() -> None:
    jobs = [("actions/setup/action.yml", ""), ("workflows/live.yml", "live")]
    assert set(NOT_HERE) < {step["name"] for file, job in jobs for step in steps(file, job)}
