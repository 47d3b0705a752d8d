"""Renovate's rules match how this project pins."""

import json
import re
from typing import Any

from tests.unit.configurations import PROJECT

CONFIG: dict[str, Any] = json.loads((PROJECT / ".renovaterc.json").read_text())


def matched(manager: dict[str, Any], text: str) -> list[str]:
    """The current values that a custom manager finds."""
    (pattern,) = manager["matchStrings"]
    return [found["currentValue"] for found in re.finditer(pattern.replace("(?<", "(?P<"), text)]


def test_every_pinned_version_is_found() -> None:
    text = (PROJECT / "infra" / "config" / "versions.py").read_text()
    pins = re.findall(r"^[A-Z_]+ = (.+)$", text, re.MULTILINE)
    assert len(pins) == 13
    assert matched(CONFIG["customManagers"][0], text) == [pin.strip('"') for pin in pins]


def test_renovate_updates_the_workflows_pulumi_with_the_sdks() -> None:
    _, manager = CONFIG["customManagers"]
    (pattern,) = manager["managerFilePatterns"]
    files = [path for path in PROJECT.glob(".github/**/*.yml") if "pulumi-version" in path.read_text()]
    assert len(files) == 2
    for file in files:
        assert re.search(pattern.strip("/"), file.relative_to(PROJECT).as_posix())
        assert len(matched(manager, file.read_text())) == 1
    (rule,) = [rule for rule in CONFIG["packageRules"] if rule.get("groupName") == "pulumi"]
    assert rule["matchPackageNames"] == [manager["depNameTemplate"]]


def test_the_devcontainer_and_the_sandbox_in_ci_have_the_same_packages() -> None:
    dockerfile = (PROJECT / ".devcontainer/Dockerfile").read_text()
    workflow = (PROJECT / ".github/workflows/ci.yml").read_text()
    install = r"apt-get install --yes --no-install-recommends ([\w .-]+\w)"
    assert re.findall(install, dockerfile) == re.findall(install, workflow) != []
    assert re.findall(r"^FROM (\S+)$", dockerfile, re.MULTILINE) == re.findall(r"image: (\S+)", workflow)
    container = json.loads((PROJECT / ".devcontainer/devcontainer.json").read_text())
    assert container["privileged"]
    assert f"options: --privileged {' '.join(container['runArgs'])}" in workflow
