"""Suitable tools of the machine are used; an unsuitable machine is reported."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from sandbox import __main__ as commands
from sandbox.host.paths import CACHE
from sandbox.host.progress import Report
from sandbox.toolchain import build, go_toolchain, machine
from sandbox.toolchain.modules import GO, Module, required_versions

Install = Callable[[str, str], Path]


def _forget() -> None:
    """Clears what is remembered about the machine."""
    for remembered in (machine.installed, go_toolchain.version, go_toolchain._machines_version):  # noqa: SLF001 -- its cache
        remembered.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a command on PATH that prints a version."""

    def put(name: str, version: str) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {version}\n")
        path.chmod(0o755)
        _forget()
        return path

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    yield put
    _forget()


@pytest.mark.parametrize(("name", "version"), [("pulumi", "v3.259.0"), ("helm", "v3.18.6"), ("kubectl", "v1.34.4")])
def test_an_installed_tool_of_a_suitable_version_is_used(install: Install, name: str, version: str) -> None:
    assert install(name, version) == machine.installed(name)


@pytest.mark.parametrize(("name", "version"), [("pulumi", "v3.100.0"), ("helm", "v2.17.0"), ("kubectl", "v1.20.2")])
def test_a_tool_that_is_too_old_is_built_instead(install: Install, name: str, version: str) -> None:
    install(name, version)
    assert machine.installed(name) is None


def test_the_sandboxs_own_tools_on_path_are_ignored(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    path = install("helm", "v3.18.6")
    monkeypatch.setattr(machine, "CACHE", path.parent)
    assert machine.installed("helm") != path


def test_an_edited_source_rebuilds_its_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.toolchain.modules.GO", tmp_path)
    (tmp_path / "any").mkdir()
    source = tmp_path / "any" / "main.go"
    module = Module("any", {"any": "."})
    source.write_text("package main")
    before = module.output
    assert module.output == before
    source.write_text("package main // edited")
    assert module.output != before


@pytest.mark.parametrize(
    ("tool", "module"), [("prometheus", "prometheus"), ("pebble", "certificates"), ("metrics-server", "metrics")]
)
def test_optional_tools_are_built_on_demand(
    tool: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr("sandbox.toolchain.modules.CACHE", tmp_path)
    monkeypatch.setattr(build, "compile_modules", lambda missing, _: built.extend(module.name for module, _ in missing))
    monkeypatch.setattr(build, "install_packages", lambda _: None)
    report = Report(Console(quiet=True))
    assert build.provide(report)
    assert built[0] == "engine"
    assert module not in built
    build.demand(tool, report)
    assert built[-1] == module


@pytest.mark.parametrize(
    ("printed", "fits"), [("go1.19", False), ("go1.25.11", False), ("go1.26.0", True), ("go1.31", True)]
)
def test_go_comes_from_pypi_if_the_installed_one_is_too_old(install: Install, printed: str, fits: bool) -> None:
    path = install("go", printed)
    assert (go_toolchain.command() == path) is fits
    assert (go_toolchain.version() == printed) is fits


def test_go_comes_from_pypi_if_none_is_installed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(install("sh", "any").parent))
    assert go_toolchain.command().is_relative_to(CACHE)
    assert go_toolchain.version().startswith("go1.")


@pytest.mark.parametrize("name", ["language"])
def test_a_module_shares_the_engines_versions(name: str) -> None:
    """Another version of one package is compiled again, with every package above it."""
    engine, module = required_versions(GO / "engine" / "go.mod"), required_versions(GO / name / "go.mod")
    shared = engine.keys() & module.keys() - {"github.com/pulumi/pulumi/sdk/v3"}
    assert len(shared) > 40
    assert {path: module[path] for path in shared} == {path: engine[path] for path in shared}


@pytest.mark.parametrize("command", ["start", "stop", "tools", "up"])
def test_an_unsuitable_machine_is_reported_in_one_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    result = CliRunner().invoke(commands.app, [command])
    assert result.exit_code == 1
    assert result.output.startswith("The sandbox runs as root on Debian or Ubuntu.")
    assert "use-your-own-cluster.md" in result.output
    assert "Traceback" not in result.output
