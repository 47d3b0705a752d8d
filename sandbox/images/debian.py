"""Debian's packages, unpacked straight into an image's layer: no maintainer script runs, and no chroot is needed."""

import io
import re
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.images.oci import Layer

# Files that only maintainer scripts and interactive users need.
_LEFT_OUT = {"adduser", "ca-certificates", "debconf", "dpkg", "install-info"}
_LEFT_OUT |= {"init-system-helpers", "lsb-base", "sysvinit-utils"}
_DROPPED = re.compile(r"usr/share/(doc|doc-base|info|lintian|locale|man|menu|pixmaps|applications)/|.*/__pycache__/")
_MERGED = ("bin", "lib", "lib64", "sbin")


class PackagesError(Exception):
    """Debian's packages can't be had; the message is apt's."""


def recipe() -> bytes:
    """Returns the inputs of `unpack` except the packages' versions, for the digest of the recipe."""
    return Path(__file__).read_bytes()


def unpack(roots: Sequence[str], folder: Path, layer: Layer) -> dict[str, Path]:
    """Puts packages with all that they need into `layer`; returns where in `folder` they are.

    Raises:
        PackagesError: apt can't download them.
    """
    for directory in _MERGED:
        layer.link(directory, f"usr/{directory}")
    packages = _download(roots, folder)
    for package in packages.values():
        _unpack(package, layer)
    return packages


def _download(roots: Sequence[str], folder: Path) -> dict[str, Path]:
    try:
        _apt(["download", *_closure(roots)], folder)
    except PackagesError:
        # No package lists yet, or older ones than the archive.
        _apt(["update"], folder)
        _apt(["download", *_closure(roots)], folder)
    return {path.name.partition("_")[0]: path for path in sorted(folder.glob("*.deb"))}


def _closure(roots: Sequence[str]) -> list[str]:
    """Returns the dependencies of `roots`; of alternatives, the first one."""
    listed = subprocess.run(
        ["apt-cache", "depends", "--recurse", "--important", *roots], check=False, capture_output=True, text=True
    ).stdout
    needs: dict[str, list[str]] = {}
    package, skip = "", False
    for line in listed.splitlines():
        if not line.startswith(" "):
            package = line
        elif edge := re.fullmatch(r" ([ |])(?:Pre)?Depends: (\S+)", line):
            if not skip:
                needs.setdefault(package, []).append(edge[2])
            skip = edge[1] == "|"
    packages: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        # A name in angle brackets is a virtual package; the ones here are dpkg's own.
        if name not in packages and name not in _LEFT_OUT and not name.startswith("<"):
            packages.add(name)
            todo += needs.get(name, [])
    return sorted(packages)


def _apt(arguments: list[str], folder: Path) -> None:
    done = subprocess.run(["apt-get", "-q", *arguments], cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise PackagesError(f"apt-get {arguments[0]} failed: {done.stderr.strip()}")


def _contents(package: Path) -> tarfile.TarFile:
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
    return tarfile.open(fileobj=io.BytesIO(data))


def member(package: Path, pattern: str) -> bytes:
    with _contents(package) as files:
        member = files.extractfile(next(name for name in files.getnames() if re.fullmatch(pattern, name)))
        assert member is not None  # noqa: S101 -- a regular file
        return member.read()


def _unpack(package: Path, layer: Layer) -> None:
    with _contents(package) as files:
        for entry in files:
            data = files.extractfile(entry) if entry.isreg() else None
            entry.name = _merged(entry.name)
            if entry.islnk():
                entry.linkname = _merged(entry.linkname)
            if entry.name and not _DROPPED.match(f"{entry.name}/"):
                layer.add(entry, data)


def _merged(path: str) -> str:
    path = path.removeprefix(".").strip("/")
    return f"usr/{path}" if path.split("/")[0] in _MERGED else path
