"""Installs requirements.txt as a dry run for each platform and Python that README.md names, from wheels alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.configurations import PROJECT

PLATFORMS = (
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "x86_64-unknown-linux-gnu",
)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@pytest.mark.soak
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_programs_packages_install_from_wheels(platform: str, python: str, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ["--dry-run", "--require-hashes", "--only-binary", ":all:", "--target", str(tmp_path)]
    target = ["--python-platform", platform, "--python-version", python]
    command = [str(uv), "pip", "install", *options, *target, "-r", str(PROJECT / "requirements.txt")]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    assert " + pulumi-digitalocean==" in installed.stderr
