"""Entries of a build's folder that the build provider's content hash fails at or leaves out."""

import codecs
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


class _PatternError(Exception):
    """A malformed line of .dockerignore."""


class _Pattern(NamedTuple):
    """A line of .dockerignore."""

    regex: re.Pattern[str]
    is_exception: bool


def unhashable(folder: Path) -> Iterator[str]:
    """Yields a problem for each entry that the provider can't hash: sockets, for example, and dangling links."""
    try:
        entries = list(sent_entries(folder))
    except _PatternError as error:
        yield f"the pattern {error} in .dockerignore is malformed"
        return
    for entry in entries:
        if entry.is_symlink():
            if not Path(entry.path).exists():
                yield f"{_name(folder, entry)} is a link to nothing"
        elif not entry.is_file() and not entry.is_dir():
            yield f"{_name(folder, entry)} is a socket, a pipe or a device"


def links_hash(folder: Path) -> str:
    """Returns a hash of the links to folders, which the provider's hash leaves out; empty if there are none."""
    links = [entry for entry in sent_entries(folder) if entry.is_symlink() and entry.is_dir()]
    targets = sorted(f"{_name(folder, link)} {Path(link.path).readlink()}" for link in links)
    return hashlib.sha256("\n".join(targets).encode()).hexdigest() if targets else ""


def _name(folder: Path, entry: os.DirEntry[str]) -> str:
    return Path(entry.path).relative_to(folder).as_posix()


def sent_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yields the files, links and folders of a folder that Docker sends to the build.

    Raises:
        _PatternError: Docker refuses a line of .dockerignore.
    """
    patterns = _patterns(folder)
    waiting = [folder] if folder.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    # An exception may be below a folder that is ignored.
                    waiting.append(path)
                if not _is_ignored(path.relative_to(folder), patterns):
                    yield entry


def _patterns(folder: Path) -> Sequence[_Pattern]:
    for name in ("Dockerfile.dockerignore", ".dockerignore"):
        if (folder / name).is_file():
            # Of any encoding, as the names of files are.
            text = os.fsdecode((folder / name).read_bytes().removeprefix(codecs.BOM_UTF8))
            lines = [line.strip() for line in text.split("\n") if not line.startswith("#")]
            return [_pattern(line) for line in lines if line.strip("!/ ")]
    return []


def _pattern(line: str) -> _Pattern:
    text = os.path.normpath(line.removeprefix("!").strip()).replace(os.sep, "/").lstrip("/")
    regex = ""
    for part in re.findall(r"\*\*/?|\*|\?|\[[^]]*\]|\\.|.", text):
        known = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        # An unclosed bracket stays an error.
        regex += known.get(part) or (part if part.startswith("[") else re.escape(part[-1]))
    try:
        return _Pattern(re.compile(regex, re.DOTALL), line.startswith("!"))
    except re.error:
        raise _PatternError(line) from None


def _is_ignored(path: Path, patterns: Sequence[_Pattern]) -> bool:
    """The last line that matches the path or a folder above it decides."""
    names = [name.as_posix() for name in (path, *path.parents[:-1])]
    matching = (pattern for pattern in reversed(patterns) if any(map(pattern.regex.fullmatch, names)))
    last = next(matching, None)
    return last is not None and not last.is_exception
