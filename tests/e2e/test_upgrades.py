"""The guides to upgrades, typed for a stack of an earlier revision of this project."""

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.config import versions
from sandbox.host.paths import PROJECT
from tests.e2e.pages import Guide
from tests.e2e.stack import copy_checkout
from tests.reliability.whole import Whole

pytestmark = pytest.mark.soak

EARLIER = "74adf3449fbcff69e69fa6700fa034260efc628a"
"""The revision that is upgraded as long as there is no release."""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=developer", "-c", "user.email=developer@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode(errors="replace")


class Owned(Whole):
    """A stack with the environment for typed commands."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.project / ".venv").symlink_to(PROJECT / ".venv")
        variables = {"PULUMI_SKIP_CONFIRMATIONS": "true", "PULUMI_STACK": "dev"}
        variables |= {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.environment |= variables
        self.provide_kubectl()

    def ids(self) -> dict[str, str]:
        """URN -> id of everything in the state."""
        return {resource["urn"]: resource.get("id", "") for resource in self.resources()}


class Cloned(Owned):
    """A clone of a repository that has an earlier revision; the present one is published there as v9.9.9."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.upstream = folder / "upstream"
        self.upstream.mkdir()
        git(self.upstream, "init", "--quiet")
        tags = git(PROJECT, "tag", "--list", "v*", "--sort=-version:refname").split()
        archive = subprocess.run(
            ["git", "archive", tags[0] if tags else EARLIER], cwd=PROJECT, check=True, capture_output=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
            files.extractall(self.upstream, filter="data")
        self._commit("earlier")
        stack_file = (self.project / "Pulumi.dev.yaml").read_text()
        subprocess.run(["rm", "-rf", self.project], check=True)
        git(folder, "clone", "--quiet", str(self.upstream), str(self.project))
        (self.project / "Pulumi.dev.yaml").write_text(stack_file)
        git(self.project, "commit", "--quiet", "--all", "--message=our stack")
        (self.project / ".venv").symlink_to(PROJECT / ".venv")

    def publish(self) -> None:
        """Publishes what is in the checkout."""
        git(self.upstream, "rm", "--quiet", "-r", ".")
        copy_checkout(self.upstream)
        self._commit("present")
        git(self.upstream, "tag", "v9.9.9")

    def _commit(self, message: str) -> None:
        # The packages are this interpreter's, as in `Part`. An edit in the clone could conflict with the present one.
        manifest = self.upstream / "Pulumi.yaml"
        manifest.write_text(manifest.read_text().replace("    virtualenv: .venv\n", ""))
        git(self.upstream, "add", "--all")
        git(self.upstream, "commit", "--quiet", f"--message={message}")


@pytest.fixture
def cloned(tmp_path: Path) -> Iterator[Cloned]:
    cloned = Cloned(tmp_path)
    yield cloned
    cloned.stop()


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Owned]:
    owned = Owned(tmp_path)
    yield owned
    owned.stop()


def test_a_stack_of_an_earlier_revision_is_upgraded_without_a_replacement(cloned: Cloned) -> None:
    cloned.types("pulumi up")
    before = cloned.ids()
    cloned.publish()
    with Guide("how-to/upgrade-this-project.md") as guide:
        cloned.types(guide.commands("pulumi install").replace("<version>", "v9.9.9"))
        assert re.findall(r"^.* (?:replace|delete) .*$", cloned.types(guide.commands()), re.MULTILINE) == []
        assert "state and account agree" in cloned.types(guide.commands())
    after = cloned.ids()
    assert {urn: after.get(urn) for urn in before} == before
    assert cloned.clusters_ever() == 1
    assert cloned.ends_at_zero()


def test_the_guide_to_an_upgrade_of_kong_works_as_typed(owned: Owned) -> None:
    owned.types("pulumi up")
    pins = owned.project / "infra" / "config" / "versions.py"
    pins.write_text(pins.read_text().replace(f'KONG = "{versions.KONG}"', 'KONG = "3.9.99"'))
    with Guide("how-to/upgrade-kong.md") as guide:
        preview = owned.types(guide.commands())
        (shown,) = guide.shown("")
        assert shown.strip() in preview
        assert re.search(r"~ 1 to update\n +\d+ unchanged", preview)
        printed = owned.types(guide.commands("python -m ops status"))
    assert "kong" in printed
    pods = owned.kubectl("get", "deployment", "kong", "--namespace", "kong", "-o", "yaml")
    assert "kong:3.9.99" in pods
