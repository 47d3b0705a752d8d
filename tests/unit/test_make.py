"""The Makefile's help, and what `make lock` writes."""

import re
import subprocess

from tests.unit.configurations import PROJECT

INTERNAL = {"sandboxed", "engine", "others", "standins"}
"""Targets that other targets run in parallel."""


def test_help_lists_every_target() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = {name for line in re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE) for name in line.split()}
    assert {"up", "e2e", "check"} <= targets
    shown = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z0-9-]+) ", shown, re.MULTILINE)) == targets - INTERNAL - {"help"}


def test_the_packages_are_locked_for_every_platform() -> None:
    locked = (PROJECT / "requirements.txt").read_text()
    assert re.search(r"^colorama==\S+ ; sys_platform == 'win32' ", locked, re.MULTILINE)
    assert re.search(
        r"^cryptography==48\S+ ; platform_machine == 'x86_64' and sys_platform == 'darwin' ", locked, re.MULTILINE
    )


def test_the_hooks_check_what_make_checks() -> None:
    (sources,) = re.findall(r"^SOURCES := (.+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert f"mypy {sources}\n" in (PROJECT / ".pre-commit-config.yaml").read_text()
