"""A kill while a file backend writes the attributes of a checkpoint: the one moment that leaves a state unreadable."""

import ctypes
import os
import signal
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.part import Part

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLASS_CONTENT, _MARK_ADD, _OPEN_PERM, _ON_CHILD, _ALLOW = 0x04, 0x01, 0x10000, 0x08000000, 0x01
_EVENT = struct.Struct("IBBHQii")
"""fanotify(7): length, version, reserved, length of metadata, mask, file descriptor, process."""


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    # With attributes, which is what `pulumi login --local` has.
    part = Part(tmp_path, f"file://{tmp_path}/state")
    yield part
    part.stop()


def kill_when_it_opens(command: list[str], file: Path, part: Part) -> None:
    """Runs a command and kills it while it opens a file: after its creation, before its first byte."""
    watch = _LIBC.fanotify_init(_CLASS_CONTENT, os.O_RDONLY)
    assert watch >= 0, os.strerror(ctypes.get_errno())
    mask = ctypes.c_uint64(_OPEN_PERM | _ON_CHILD)
    marked = _LIBC.fanotify_mark(watch, _MARK_ADD, mask, -1, str(file.parent).encode())
    assert marked == 0, os.strerror(ctypes.get_errno())
    process = subprocess.Popen(command, cwd=part.project, env=part.environment)
    try:
        is_killed = False
        while not is_killed:
            *_, opened, pid = _EVENT.unpack_from(os.read(watch, _EVENT.size))
            is_killed = Path(f"/proc/self/fd/{opened}").readlink() == file
            if is_killed:
                os.kill(pid, signal.SIGKILL)
            os.write(watch, struct.pack("iI", opened, _ALLOW))
            os.close(opened)
        assert process.wait(60) == -signal.SIGKILL
    finally:
        os.close(watch)
        process.kill()


def test_a_kill_while_attributes_are_written_is_found_and_repaired(part: Part) -> None:
    part.run("pulumi", "stack", "export", "--file", "state.json")
    attributes = part.state / ".pulumi" / "stacks" / "kong-doks" / "dev.json.attrs"
    attributes.unlink()
    kill_when_it_opens(["pulumi", "stack", "import", "--file", "state.json"], attributes, part)
    assert attributes.read_bytes() == b""
    broken = part.run("pulumi", "stack", "export", check=False)
    assert "failed to load checkpoint: EOF" in broken.stderr
    (finding,) = part.doctor()
    assert (finding["id"], finding["fixes"]) == ("checkpoint-attributes", [[f"rm {attributes}"]])
    part.mend()
    assert part.doctor() == []
    part.run("pulumi", "stack", "export")


def test_a_backend_without_metadata_writes_no_attributes(part: Part) -> None:
    part.environment["PULUMI_BACKEND_URL"] = f"file://{part.state}?metadata=skip"
    for file in part.state.rglob("*.attrs"):
        file.unlink()
    part.run("pulumi", "stack", "export", "--file", "state.json")
    part.run("pulumi", "stack", "import", "--file", "state.json")
    assert list(part.state.rglob("*.attrs")) == []
