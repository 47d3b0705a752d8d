"""Files of the backend that are the stack's."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ops.pulumi import backend
from ops.pulumi.backend import Backend, Lock
from ops.pulumi.cli import Cli
from ops.pulumi.stack import Stack

OWN, THEIRS = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


class LoggedIn(Cli):
    """A CLI that is logged in to a folder."""

    def pulumi_json(self, *_: str) -> Any:  # noqa: ANN401 -- as Cli
        return {"url": self.folder.as_uri()}


def stack(name: str) -> Stack:
    made = Stack.__new__(Stack)
    made.project, made.name = "kong-doks", name
    return made


def write(file: Path, document: object) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(document))


def test_stacks_of_other_projects_are_other_stacks(tmp_path: Path) -> None:
    # The backend's own path has the stack's name in it, too.
    folder = tmp_path / "dev" / "state"
    history, locks = folder / ".pulumi" / "history", folder / ".pulumi" / "locks" / "organization"
    write(history / "kong-doks" / "dev" / "dev-1.checkpoint.json", {"id": OWN})
    write(history / "shop" / "dev" / "dev-1.checkpoint.json", {"id": THEIRS})
    write(history / "kong-doks" / "prod" / "prod-1.checkpoint.json", {"id": THEIRS})
    for place, pid in (("kong-doks/dev", 1), ("shop/dev", 2), ("kong-doks/prod", 3)):
        lock = {"username": "user", "hostname": socket.gethostname(), "pid": pid, "timestamp": "now"}
        write(locks / place / "lock.json", lock)
    files = Backend(LoggedIn(folder))
    assert files.earlier_ids(stack("organization/kong-doks/dev")) == {OWN}
    assert [lock.pid for lock in files.locks(stack("dev"))] == [1]


def test_a_legacy_backend_has_unqualified_stack_names(tmp_path: Path) -> None:
    write(tmp_path / ".pulumi" / "history" / "dev" / "dev-1.checkpoint.json", {"id": OWN})
    assert Backend(LoggedIn(tmp_path)).earlier_ids(stack("dev")) == {OWN}


def test_checkpoints_of_more_than_ten_updates_are_read_from_pulumi_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cloud(Cli):
        """A CLI that is logged in to Pulumi Cloud: without a page size it lists ten updates."""

        def pulumi_json(self, *arguments: str) -> Any:  # noqa: ANN401 -- as Cli
            if arguments[0] == "whoami":
                return {"url": "https://app.pulumi.com/user"}
            (size,) = [
                int(argument.partition("=")[2]) for argument in arguments if argument.startswith("--page-size=")
            ] or [10]
            return [{"version": version} for version in range(12, 0, -1)][:size]

        def pulumi(self, *arguments: str) -> str:
            return OWN if arguments[:4] == ("stack", "export", "--version", "1") else THEIRS

    cli, opened = Cloud(tmp_path), stack("user/kong-doks/dev")
    monkeypatch.setattr(opened, "pulumi_json", cli.pulumi_json, raising=False)
    assert Backend(cli).earlier_ids(opened) == {OWN, THEIRS}


@pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="only Linux tells a process's program")
def test_a_lock_with_a_reused_process_id_is_stale() -> None:
    assert Lock("user", socket.gethostname(), os.getpid(), "now").stale
    assert Lock("user", "elsewhere", os.getpid(), "now").stale is None


@pytest.mark.parametrize(
    ("error", "program", "is_stale"),
    [
        (ProcessLookupError, "pulumi", True),
        (PermissionError, "pulumi", False),  # another user's
        (PermissionError, "bash", True),
        (None, "pulumi", False),
        (None, "bash", True),
    ],
)
def test_a_lock_is_stale_once_its_process_is_no_pulumi(
    monkeypatch: pytest.MonkeyPatch, error: type[OSError] | None, program: str, *, is_stale: bool
) -> None:
    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (7, 0)
        if error:
            raise error

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(backend, "_program", lambda _: program)
    assert Lock("user", socket.gethostname(), 7, "now").stale is is_stale


def test_a_process_whose_name_the_system_hides_may_be_pulumi(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert Lock("user", socket.gethostname(), os.getpid(), "now").stale is False
