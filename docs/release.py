"""Prints the notes of a release, its section of CHANGELOG.md: `python -m docs.release v0.1.0`."""

import re
import sys
from pathlib import Path

from infra.config.versions import project_version

_PROJECT = Path(__file__).resolve().parent.parent


class ReleaseError(Exception):
    """A tag that can't be released."""


def notes(tag: str, version: str, changelog: str) -> str:
    """Returns the section of a version, without its heading.

    Raises:
        ReleaseError: the tag isn't the project's version, or the changelog has no section of it.
    """
    if tag != f"v{version}":
        fix = f"set version in pyproject.toml, or tag v{version}"
        raise ReleaseError(f"tag: {tag} isn't the project's version; allowed: v{version}; fix: {fix}")
    heading = rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)\n"
    section = re.search(rf"{heading}(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE)
    if not section or not section[1].strip():
        fix = 'rename the section "Unreleased"'
        raise ReleaseError(f"CHANGELOG.md: has no section {version} (date); allowed: one; fix: {fix}")
    return section[1].strip() + "\n"


if __name__ == "__main__":
    try:
        sys.stdout.write(notes(sys.argv[1], project_version(), (_PROJECT / "CHANGELOG.md").read_text()))
    except ReleaseError as error:
        sys.exit(str(error))
