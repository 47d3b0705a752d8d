"""Build folders: what is refused, and what the build provider's hash alone wouldn't see."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.config.build_folder import links_hash, unhashable
from tests.unit.configurations import FOO
from tests.unit.conftest import Recording
from tests.unit.loading import loaded, refused

# Not in the repository: `pulumi new` can't copy a link to a folder.
LINKED = tempfile.TemporaryDirectory()
Path(LINKED.name, "Dockerfile").write_text("FROM scratch\n")
Path(LINKED.name, "one").mkdir()
Path(LINKED.name, "current").symlink_to("one")
CONFIGURATIONS = {
    "linked folders": {"stack": "dev", "config": {"kong-doks:services": [FOO | {"build": LINKED.name}]}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a socket, a pipe, a link to nothing, and links to a file and to a folder."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "static" / "old").mkdir(parents=True)
    (tmp_path / "static" / "new").mkdir()
    (tmp_path / "app.py").write_text("")
    (tmp_path / "main.py").symlink_to("app.py")
    (tmp_path / "static" / "current").symlink_to("old")
    (tmp_path / "static" / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "app.sock"))
        yield tmp_path


SOCKET, PIPE, GONE = "app.sock is a socket, ", "pipe is a socket, a pipe ", "static/gone is a link to nothing"


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [
        ("", [SOCKET, PIPE, GONE]),
        ("app.sock", [PIPE, GONE]),
        ("# app.sock\n\n/pipe/\n", [SOCKET, GONE]),
        ("*.sock\n**/gone", [PIPE]),
        ("?ipe", [SOCKET, GONE]),
        ("static", [SOCKET, PIPE]),
        ("*", []),
        ("*\n!static", [GONE]),
        ("**\n!app.*", [SOCKET]),
        ("!app.sock\napp.sock", [PIPE, GONE]),
        ("[a-b]pp.sock", [PIPE, GONE]),
        ("sock", [SOCKET, PIPE, GONE]),
        ("static/*/gone", [SOCKET, PIPE, GONE]),
        ("./static/../pipe", [SOCKET, GONE]),
        (".*", [SOCKET, PIPE, GONE]),
        ("# x\r\n*.sock\r\n", [PIPE, GONE]),
        # A byte order mark, and a name in Latin-1.
        ("\xef\xbb\xbf*.sock", [PIPE, GONE]),
        ("\xe9\n*.sock", [PIPE, GONE]),
        ("x\x85*.sock", [SOCKET, PIPE, GONE]),
    ],
)
def test_unbuildable_files_are_refused_unless_dockerignore_excludes_them(
    folder: Path, ignored: str, expected: list[str]
) -> None:
    (folder / ".dockerignore").write_bytes(ignored.encode("latin-1"))
    reasons = sorted(unhashable(folder))
    assert len(reasons) == len(expected)
    assert all(line.startswith(start) for line, start in zip(reasons, expected, strict=True))


@pytest.mark.parametrize("pattern", ["[z-a]", "[", "[a-", "[]", "![]]"])
def test_a_pattern_that_docker_refuses_is_reported_in_one_line(folder: Path, pattern: str) -> None:
    (folder / ".dockerignore").write_text(f"*.py\n{pattern}\n")
    assert list(unhashable(folder)) == [f"the pattern {pattern} in .dockerignore is malformed"]


def test_the_dockerfiles_own_ignore_file_comes_first(folder: Path) -> None:
    (folder / ".dockerignore").write_text("*")
    (folder / "Dockerfile.dockerignore").write_text("static\npipe")
    (reason,) = unhashable(folder)
    assert reason.startswith(SOCKET)


def test_a_link_to_another_folder_changes_the_hash(folder: Path) -> None:
    before = links_hash(folder)
    assert len(before) == 64
    (folder / "static" / "current").unlink()
    assert links_hash(folder) == ""  # files' hashes are the provider's
    (folder / "static" / "current").symlink_to("new")
    assert links_hash(folder) not in ("", before)
    (folder / ".dockerignore").write_text("static/current")
    assert links_hash(folder) == ""


def test_a_build_folder_with_a_socket_is_refused_in_one_line(folder: Path) -> None:
    (folder / ".dockerignore").write_text("pipe\nstatic")
    service = {"name": "foo", "path": "/foo", "build": str(folder)}
    (line,) = refused({"services": [service]})
    assert line.startswith(f'kong-doks:services[0].build: "{folder}" holds what can\'t be built: app.sock is a socket')
    assert line.endswith("fix: remove it, or have .dockerignore leave it out")
    (folder / "app.sock").unlink()
    assert loaded({"services": [service]}).services[0].build == str(folder)


def test_linked_folders_are_part_of_the_build(dev: Recording, run: Callable[[str], Recording]) -> None:
    assert run("linked folders").one("Image", "foo").inputs["labels"] == {"links": links_hash(Path(LINKED.name))}
    assert "labels" not in dev.one("Image", "foo").inputs
