"""The workflows' pins and permissions, and the notes of a release."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import release
from infra.config.versions import project_version
from tests.unit.configurations import PROJECT

WORKFLOWS = sorted(PROJECT.glob(".github/workflows/*.yml"))
FILES = [*WORKFLOWS, *PROJECT.glob(".github/actions/*/action.yml")]


def test_the_workflows_are_found() -> None:
    assert [path.stem for path in WORKFLOWS] == ["ci", "live", "nightly", "preview", "release", "up"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name + "/" + file.name)
def test_actions_are_pinned_by_commit_with_their_version(file: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", file.read_text())
    assert used
    for action, comment in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)


def test_every_file_pins_an_action_to_the_same_commit() -> None:
    used = {line for file in FILES for line in re.findall(r"uses: ([^.].+)", file.read_text())}
    assert len({line.partition("@")[0] for line in used}) == len(used)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_job_declares_permissions_and_a_timeout(file: Path) -> None:
    workflow: dict[str, Any] = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert "contents" in job["permissions"]
        assert job["timeout-minutes"] <= 120


def test_the_timeout_of_the_up_job_exceeds_the_slowest_up() -> None:
    """The slowest `up` replaces a node pool (infra/cluster/doks.py)."""
    up: dict[str, Any] = yaml.safe_load((PROJECT / ".github/workflows/up.yml").read_text())
    longest = re.search(r'create="(\d+)m", delete="(\d+)m"', (PROJECT / "infra/cluster/doks.py").read_text())
    assert longest
    assert up["jobs"]["up"]["timeout-minutes"] > sum(map(int, longest.groups()))


def test_the_live_run_leaves_time_for_the_removal() -> None:
    live: dict[str, Any] = yaml.safe_load((PROJECT / ".github/workflows/live.yml").read_text())
    job = live["jobs"]["live"]
    (create,) = [step for step in job["steps"] if "pulumi up" in step.get("run", "")]
    # The provider retries the deletion of a VPC for half an hour, and the bill is polled for 15 minutes.
    assert job["timeout-minutes"] - create["timeout-minutes"] >= 45


def test_the_workflows_run_the_projects_pulumi_and_every_supported_python() -> None:
    (pinned,) = re.findall(r"^pulumi==(\S+)$", (PROJECT / "requirements.in").read_text(), re.MULTILINE)
    versions = {line for file in FILES for line in re.findall(r"pulumi-version: (\S+)", file.read_text())}
    assert versions == {pinned}
    (ci,) = [yaml.safe_load(file.read_text()) for file in WORKFLOWS if file.stem == "ci"]
    pythons = ci["jobs"]["unit"]["strategy"]["matrix"]["python"]
    assert f"Python-{pythons[0]}--{pythons[-1]}-blue" in (PROJECT / "README.md").read_text()


def test_the_version_is_defined_once() -> None:
    pack = yaml.safe_load((PROJECT / "policy" / "PulumiPolicy.yaml").read_text())
    assert "version" not in pack
    assert f'version = "{project_version()}"\n' in (PROJECT / "pyproject.toml").read_text()


GH = """#!/bin/sh
echo "$GH_REPO: $*" >> calls
case "$*" in *create*) cat report.md >> calls;; esac
"""


@pytest.mark.parametrize("report", ["", "a finding"])
def test_the_nightly_check_opens_an_issue_even_without_a_checkout_or_a_report(tmp_path: Path, report: str) -> None:
    (file,) = [path for path in WORKFLOWS if path.stem == "nightly"]
    steps = yaml.safe_load(file.read_text())["jobs"]["check"]["steps"]
    (step,) = [step for step in steps if step.get("name") == "Report in an issue"]
    assert step["if"] == "failure() || cancelled()"
    assert step["env"]["GH_REPO"] == "${{ github.repository }}"
    if report:
        (tmp_path / "report.txt").write_text(f"{report}\n")
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "GH_REPO": "acme/it"}
    environment |= {"PULUMI_STACK": "dev", "RUN": "https://github.com/run"}
    command = ["bash", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text()
    assert "acme/it: issue create --title Nightly check of stack dev --body-file report.md" in calls
    assert (report or "The run ended before its first check.") in calls


def test_the_nightly_check_reads_nothing_after_a_failed_setup() -> None:
    (file,) = [path for path in WORKFLOWS if path.stem == "nightly"]
    steps = yaml.safe_load(file.read_text())["jobs"]["check"]["steps"]
    conditions = {step["name"]: step.get("if", "") for step in steps if "name" in step}
    assert [name for name, condition in conditions.items() if "steps.setup.outcome" in condition] == ["Orphans", "Bill"]
    assert conditions["Drift"] == ""


CHANGELOG = """\
# Changelog

## Unreleased

## 1.10.0 (2026-11-27)

### Added
- a key

## 1.1.0 (2026-11-01)

- the first
"""


@pytest.mark.parametrize(("version", "notes"), [("1.10.0", "### Added\n- a key\n"), ("1.1.0", "- the first\n")])
def test_a_release_has_its_section_of_the_changelog(version: str, notes: str) -> None:
    assert release.notes(f"v{version}", version, CHANGELOG) == notes


@pytest.mark.parametrize(
    ("tag", "version", "problem"),
    [
        ("v1.1.0", "1.10.0", "tag: v1.1.0 isn't the project's version; allowed: v1.10.0; fix: set version in"),
        ("v1.2.0", "1.2.0", "CHANGELOG.md: has no section 1.2.0 "),
    ],
)
def test_a_tag_without_a_release_is_refused(tag: str, version: str, problem: str) -> None:
    with pytest.raises(release.ReleaseError, match=problem):
        release.notes(tag, version, CHANGELOG)


def test_the_changelog_has_an_unreleased_section() -> None:
    text = (PROJECT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "Unreleased"


def test_a_workflow_can_destroy_its_protected_stack() -> None:
    """The cluster of every stack but `dev` is protected."""
    destroying = [text for text in (file.read_text() for file in WORKFLOWS) if "pulumi destroy" in text]
    assert destroying
    for text in destroying:
        assert text.index("pulumi config set protect false") < text.index("pulumi up") < text.index("pulumi destroy")
