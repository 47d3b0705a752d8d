"""A stack that the policy pack guards, by the real engine."""

import os
import shutil

from sandbox.host.paths import PROJECT
from sandbox.toolchain.build import tool
from tests.reliability.whole import Planned


def add_policy_pack(stack: Planned) -> None:
    """Adds the policy pack to the project's folder."""
    pack = stack.project / "policy"
    shutil.copytree(PROJECT / "policy", pack, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    # The CLI hands a pack to the host of its language, and the sandbox's host is older than packs of this kind. For a
    # language without a host the CLI runs the analyzer, the SDK's own script.
    manifest = pack / "PulumiPolicy.yaml"
    manifest.write_text(manifest.read_text().replace("name: python", "name: pack"))
    analyzers = stack.project.parent / "analyzers"
    analyzers.mkdir()
    script = tool("pulumi-language-python").with_name("pulumi-analyzer-policy-python")
    (analyzers / "pulumi-analyzer-policy-pack").symlink_to(script)
    stack.environment["PATH"] = f"{analyzers}{os.pathsep}{stack.environment['PATH']}"
    stack.environment["PULUMI_STACK"] = "dev"
