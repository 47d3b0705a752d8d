"""Compilation shows its progress, and compiled packages survive Ctrl-C."""

from pathlib import Path

import pytest

from sandbox.host.progress import Report, Step
from sandbox.toolchain import compilation, go_toolchain
from sandbox.toolchain.errors import ToolsError
from sandbox.toolchain.modules import Module

# Lists two packages and compiles them; `large` takes as long as `hang` exists. The link waits while `hang-link` exists,
# which the build of the module `next` removes, and fails after three minutes.
GO = """#!/bin/sh
case "$1" in
  list) printf 'small {folder}/small small.go\\nlarge {folder}/large large.go\\n' ;;
  build)
    echo $$ > {folder}/pid
    case "$PWD" in */next.partial/*) rm {folder}/hang-link ;; esac
    printf 'go: downloading something\\nsmall\\n' >&2
    [ -e {folder}/hang ] && exec sleep 60
    echo large >&2
    tries=0
    while [ -e {folder}/hang-link ] && [ $((tries += 1)) -lt 1800 ]; do sleep 0.1; done
    [ -e {folder}/hang-link ] && exit 1
    for argument; do case "$argument" in */built/) echo binary > "$argument/any" ;; esac; done ;;
esac
"""


@pytest.fixture
def details(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records the step's progress; the word `stop` triggers Ctrl-C."""
    told: list[str] = []

    def detail(_: Step, text: str) -> None:
        told.append(text)
        if "stop" in told and text.endswith("small"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Step, "detail", detail)
    return told


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A module that a stand-in for Go compiles."""
    folder = tmp_path / "go"
    for package, size in {"small": 70_000, "large": 170_000}.items():
        (folder / package).mkdir(parents=True)
        (folder / package / f"{package}.go").write_text("/" * size)
    command = tmp_path / "bin" / "go"
    command.parent.mkdir()
    command.write_text(GO.format(folder=folder))
    command.chmod(0o755)
    monkeypatch.setattr(go_toolchain, "command", lambda: command)
    monkeypatch.setattr(compilation, "CACHE", tmp_path / "cache")
    monkeypatch.setattr("sandbox.toolchain.modules.CACHE", tmp_path / "cache")
    monkeypatch.setattr("sandbox.toolchain.modules.GO", folder.parent)
    return Module("go", {"any": "./any"})


def test_progress_is_measured_by_the_source_that_is_compiled(module: Module, details: list[str]) -> None:
    compilation.compile_modules([(module, module.commands)], Report())
    first, last = details[-2:]
    assert first.startswith("24%, about ")  # for a third of the source: what comes later takes longer
    assert first.endswith(" s to go; small")
    assert last == "100%, about 0 s to go; large"
    assert (module.output / "any").read_text() == "binary\n"


@pytest.mark.usefixtures("details")
def test_a_module_is_compiled_while_the_one_before_it_is_linked(module: Module) -> None:
    (module.folder / "hang-link").touch()
    next_one = Module("next", {"any": "./any"})
    (module.folder.parent / "next").mkdir()
    compilation.compile_modules([(built, built.commands) for built in (module, next_one)], Report())
    assert [(built.output / "any").exists() for built in (module, next_one)] == [True, True]


def test_ctrl_c_ends_the_compiler_with_a_hint_to_continue(module: Module, details: list[str]) -> None:
    (module.folder / "hang").touch()
    details.append("stop")
    with pytest.raises(ToolsError, match="what is compiled is kept: the same command continues there"):
        compilation.compile_modules([(module, module.commands)], Report())
    assert not Path("/proc", (module.folder / "pid").read_text().strip()).exists()
    assert not module.output.exists()


def test_a_tool_built_by_another_process_is_not_built_again(module: Module) -> None:
    module.output.mkdir(parents=True)
    (module.output / "any").write_text("another's")
    compilation.compile_modules([(module, module.commands)], Report())
    assert (module.output / "any").read_text() == "another's"
