"""The machine's own tools are used where they fit; a machine that can't run the sandbox is told so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from sandbox import __main__ as commands
from sandbox.host.progress import Report
from sandbox.toolchain import build as tools

Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a command on PATH that prints a version."""

    def put(name: str, version: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {version}\n")
        path.chmod(0o755)
        tools.installed.cache_clear()
        return path

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    yield put
    tools.installed.cache_clear()


@pytest.mark.parametrize(("name", "version"), [("pulumi", "v3.259.0"), ("helm", "v3.18.6"), ("kubectl", "v1.34.4")])
def test_a_tool_that_the_machine_has_in_a_fitting_version_is_used(install: Install, name: str, version: str) -> None:
    assert install(name, version) == tools.installed(name)


@pytest.mark.parametrize(("name", "version"), [("pulumi", "v3.100.0"), ("helm", "v2.17.0"), ("kubectl", "v1.20.2")])
def test_a_tool_that_is_too_old_is_built_instead(install: Install, name: str, version: str) -> None:
    install(name, version)
    assert tools.installed(name) is None


def test_the_sandboxs_own_tools_on_path_dont_count(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install("helm", "v3.18.6")
    monkeypatch.setattr(tools, "CACHE", path.parent)
    assert tools.installed("helm") != path


def test_an_edit_of_a_tools_source_asks_for_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_GO", tmp_path)
    (tmp_path / "kong").mkdir()
    source = tmp_path / "kong" / "main.go"
    module = tools.Module("kong", {"kong": "."})
    source.write_text("package main")
    before = module.output
    assert module.output == before
    source.write_text("package main // edited")
    assert module.output != before


def test_what_only_some_sandboxes_need_is_built_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(tools, "_build", lambda module, _: built.append(module.name))
    monkeypatch.setattr(tools, "_install_packages", lambda *_: None)
    report = Report(Console(quiet=True))
    tools.provide(report)
    assert "engine" in built
    assert "prometheus" not in built
    tools.demand("prometheus", report)
    assert built[-1] == "prometheus"


@pytest.mark.parametrize("command", ["start", "stop", "tools", "up"])
def test_a_machine_that_cant_run_it_is_told_so_in_one_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    result = CliRunner().invoke(commands.app, [command])
    assert result.exit_code == 1
    assert result.output.startswith("The sandbox runs as root on Debian or Ubuntu.")
    assert "`local` stack" in result.output
    assert "Traceback" not in result.output


def test_what_only_some_stacks_need_is_built_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    monkeypatch.setattr(tools, "_build", lambda module, _: built.append(module.name))
    monkeypatch.setattr(tools, "_PACKAGES", {})
    tools.provide(Report())
    assert "kong" in built
    assert "certificates" not in built
    tools.demand("pebble", Report())
    assert built[-1] == "certificates"
