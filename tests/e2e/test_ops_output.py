"""Commands of ops as processes: where their output goes, odd locales, and arguments that are no names."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.cli.terminal import show_table
from sandbox.host.paths import PROJECT
from tests.e2e.terminal import Done, Terminal
from tests.standins.digitalocean_provider.engine import Account


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    account = Account()
    yield Terminal(account, tmp_path)
    account.stop()


def run(
    terminal: Terminal, *command: str, stdout: int = subprocess.PIPE, variables: dict[str, str] | None = None
) -> Done:
    environment = {name: value for name, value in terminal.environment.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-m", "ops", *command],
        cwd=terminal.folder,
        env=environment | {"PYTHONPATH": str(PROJECT)} | (variables or {}),
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )
    return Done(done.returncode, done.stdout or "", done.stderr)


@pytest.mark.parametrize("command", [["bill"], ["bill", "--json"], ["--help"]], ids=" ".join)
def test_an_output_without_room_exits_with_3(terminal: Terminal, command: list[str]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    done = run(terminal, *command, stdout=full)
    os.close(full)
    assert done == (3, "", "output: No space left on device; fix: write it where there is room\n")


@pytest.mark.parametrize("command", [["bill"], ["bill", "--json"]], ids=" ".join)
def test_a_closed_pipe_as_output_exits_with_3(terminal: Terminal, command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(terminal, *command, stdout=writing)
    os.close(writing)
    assert done == (3, "", "")


def test_an_error_that_cannot_be_written_keeps_its_status(terminal: Terminal) -> None:
    terminal.is_forgotten()
    command = [sys.executable, "-m", "ops", "cost"]
    environment = {name: value for name, value in terminal.environment.items() if value is not None}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=terminal.folder, env=environment | {"PYTHONPATH": str(PROJECT)}, stderr=full, check=False
        )
    assert done.returncode == 3


def test_files_and_pulumis_output_are_utf_8_in_every_locale(terminal: Terminal) -> None:
    (terminal.folder / "Pulumi.dev.yaml").write_text("# Grüße\nconfig: {}\n", "utf-8")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run(terminal, "cost", variables=locale).returncode == 0
    terminal.is_forgotten()
    terminal.fails("Grüße")
    done = run(terminal, "cost", variables=locale)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr


@pytest.mark.parametrize("columns", ["1", "20", "40", "1000"])
def test_a_narrow_terminal_cuts_no_word_of_a_table(terminal: Terminal, columns: str) -> None:
    printed = run(terminal, "cost", variables={"COLUMNS": columns}).stdout
    assert "…" not in printed
    assert [word for word in ("s-1vcpu-2gb", "USD/month", "0.01786") if word not in printed] == []


def test_a_table_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name",), [("a:key:[b]",)])
    assert "a:key:[b]" in capsys.readouterr().out


def test_a_deleted_working_folder_is_reported_in_one_line(terminal: Terminal) -> None:
    folder = terminal.folder / "gone"
    folder.mkdir()
    command = f"rmdir {folder} && exec {sys.executable} -m ops cost"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr == "Pulumi.yaml: not in . nor above; fix: run this in the project's folder\n"


@pytest.mark.parametrize("name", ["a b", "a\nb", "\x1b[31m", "ünï", "a/b/c/d", "dev/", "x" * 101, " "])
def test_an_invalid_stack_name_is_reported_in_one_line(terminal: Terminal, name: str) -> None:
    done = terminal.ops("cost", "--stack", name)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "allowed: at most 100 letters" in done.stderr
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 300


@pytest.mark.parametrize("name", ["dev", "organization/dev", "organization/kong-doks/dev", "a.b-c_D", "x" * 100])
def test_a_valid_stack_name_is_passed_to_pulumi(terminal: Terminal, name: str) -> None:
    assert terminal.ops("cost", "--stack", name).returncode == 0
    assert any(f"--stack {name} " in line for line in terminal.typed())


WAITS = [
    ["bill", "--wait"],
    ["wait", "1", "--seconds"],
    ["resize-pool", "--yes", "--seconds"],
    ["renew-balancer", "1", "--seconds"],
]


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "86401"])
@pytest.mark.parametrize("command", WAITS, ids=lambda command: command[0])
def test_a_wait_without_end_is_a_usage_error(terminal: Terminal, command: list[str], seconds: str) -> None:
    done = terminal.ops(*command, seconds)
    assert (done.returncode, "allowed: seconds from 0 to 86400" in " ".join(done.stderr.split())) == (2, True)


NAMED = [
    ["remove", "droplet"],
    ["forget", "cluster"],
    ["wait"],
    ["add-pool"],
    ["renew-balancer"],
    ["forget-release"],
    ["forget-release", "1"],
    ["forget-release", "1", "2", "--namespace"],
]


@pytest.mark.parametrize("name", ["x\ny", "a b", "\x1b[31m", "ünï", "x" * 256, "?a=1"])
@pytest.mark.parametrize("command", NAMED, ids=" ".join)
def test_an_argument_that_names_nothing_is_a_usage_error(terminal: Terminal, command: list[str], name: str) -> None:
    # Where it isn't the last argument, a record's name follows.
    rest = ["record"] if command == ["forget-release"] else []
    done = terminal.ops(*command, name, *rest)
    assert done.returncode == 2
    assert "at most 255" in done.stderr
    assert not (terminal.folder / "pulumi.log").exists()
