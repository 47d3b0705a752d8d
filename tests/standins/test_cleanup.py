"""A dead sandbox's leftovers are recognised and removed, and nothing else, in a run directory of the test's own."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import cleanup
from sandbox.__main__ import app
from tests.support import eventually


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(cleanup, "RUN", run)
    # A sandbox that someone left up keeps its link, cgroup and directories.
    monkeypatch.setattr(cleanup, "INTERFACE", tmp_path / "no-link")
    monkeypatch.setattr(cleanup, "cgroups", list)
    monkeypatch.setattr(cleanup, "remove_cluster", lambda: None)
    return run


@pytest.fixture
def mounted(run: Path, tmp_path: Path) -> Iterator[Path]:
    """A directory of the machine's that is mounted in the run directory."""
    machines = tmp_path / "machines"
    machines.mkdir()
    (machines / "precious").touch()
    (run / "mount").mkdir()
    subprocess.run(["mount", "--bind", machines, run / "mount"], check=True)
    yield machines
    subprocess.run(["umount", run / "mount"], check=False, capture_output=True)


def _follow(path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["tail", "-F", path], stderr=subprocess.DEVNULL)


def test_a_process_whose_command_names_the_run_directory_is_ended(run: Path) -> None:
    ours, other = _follow(run / "config.toml"), _follow(run.with_name("runs"))
    try:
        named = f"process {ours.pid}: tail -F {run}/config.toml"
        eventually(lambda: named in cleanup.leftovers())  # after `exec`
        assert [line for line in cleanup.leftovers() if line.startswith("process")] == [named]
        cleanup.clean()
        assert ours.wait() < 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    assert cleanup.leftovers() == []


def test_a_plugin_of_a_killed_pulumi_is_ended_by_its_temporary_folder(run: Path) -> None:
    plugin = subprocess.Popen(["sleep", "100"], env=os.environ | {"TMPDIR": f"{run}/temporary"})
    other = subprocess.Popen(["sleep", "100"], env=os.environ | {"TMPDIR": f"{run}s/temporary"})
    try:
        eventually(lambda: f"process {plugin.pid}: sleep 100" in cleanup.leftovers())  # after `exec`
        cleanup.clean()
        assert plugin.wait() < 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_process_with_its_root_in_the_run_directory_is_ended(run: Path) -> None:
    for name in ("root/old", "upper", "work"):
        (run / name).mkdir(parents=True)
    enter = (
        f"mount -t overlay -o lowerdir=/,upperdir={run}/upper,workdir={run}/work overlay {run}/root && cd {run}/root"
        " && mkdir -p old && pivot_root . old && echo in && exec sleep 100"
    )
    container = subprocess.Popen(["unshare", "--mount", "sh", "-ec", enter], stdout=subprocess.PIPE)
    assert container.stdout
    assert container.stdout.readline() == b"in\n"
    eventually(lambda: f"process {container.pid}: sleep 100" in cleanup.leftovers())  # after `exec`
    cleanup.clean()
    assert container.wait() < 0
    assert cleanup.leftovers() == []


def test_mounts_in_the_run_directory_are_unmounted_before_removal(run: Path, mounted: Path) -> None:
    assert f"mount {run}/mount" in cleanup.leftovers()
    cleanup.clean()
    assert (mounted / "precious").exists()
    assert cleanup.leftovers() == []
    assert not run.exists()


def test_a_busy_mount_keeps_the_run_directory(run: Path, mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: None)
    cleanup.clean()
    monkeypatch.undo()
    assert (mounted / "precious").exists()
    assert run.exists()


@pytest.mark.parametrize("command", ["start", "stop"])
def test_the_sandbox_of_another_user_is_left_alone(
    command: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sandbox.__main__._PID", run / "daemon.pid")
    monkeypatch.setattr("sandbox.__main__.provide", lambda _: False)
    monkeypatch.setattr(cleanup, "clean", lambda: pytest.fail("cleaned"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr("sandbox.__main__.API", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(SystemExit) as ended:
            app([command])
    assert ended.value.code == 1
    assert "one a machine; fix: `make down` as that user" in capsys.readouterr().out


def test_the_sandbox_of_another_user_that_accepts_no_connection_in_time_is_left_alone(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sandbox.__main__._PID", run / "daemon.pid")
    monkeypatch.setattr(cleanup, "clean", lambda: pytest.fail("cleaned"))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as queued:
        queued.connect(listener.getsockname())
        monkeypatch.setattr("sandbox.__main__.API", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(SystemExit) as ended:
            app(["stop"])
    assert ended.value.code == 1
    assert "one a machine; fix: `make down` as that user" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["start", "stop"])
def test_a_killed_sandbox_that_still_listens_is_waited_for(
    command: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CleanedError(Exception):
        pass

    def clean() -> None:
        assert listener.fileno() < 0
        raise CleanedError

    with subprocess.Popen(["sleep", "100"]) as killed:
        (run / "daemon.pid").write_text(str(killed.pid))
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # a zombie until the block ends
        monkeypatch.setattr("sandbox.__main__._PID", run / "daemon.pid")
        monkeypatch.setattr("sandbox.__main__.provide", lambda _: False)
        monkeypatch.setattr(cleanup, "clean", clean)
        listener = socket.create_server(("127.0.0.1", 0))
        monkeypatch.setattr("sandbox.__main__.API", f"http://127.0.0.1:{listener.getsockname()[1]}")
        threading.Timer(0.5, listener.close).start()
        with pytest.raises(CleanedError):
            app([command])
