"""A stack that the policy pack guards, by the real engine."""

import os
import shutil
from pathlib import Path

from sandbox.host.paths import PROJECT
from sandbox.toolchain.build import tool
from tests.reliability.whole import Whole


class Guarded(Whole):
    """The stack with the policy pack in its project's folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        shutil.copytree(
            PROJECT / "policy", self.project / "policy", ignore=shutil.ignore_patterns("__pycache__", ".venv")
        )
        # The CLI hands a pack to the host of its language, and the sandbox's host is older than packs of this kind. For
        # a language without a host the CLI runs the analyzer, the SDK's own script.
        manifest = self.project / "policy" / "PulumiPolicy.yaml"
        manifest.write_text(manifest.read_text().replace("name: python", "name: pack"))
        analyzers = folder / "analyzers"
        analyzers.mkdir()
        script = tool("pulumi-language-python").with_name("pulumi-analyzer-policy-python")
        (analyzers / "pulumi-analyzer-policy-pack").symlink_to(script)
        self.environment["PATH"] = f"{analyzers}{os.pathsep}{self.environment['PATH']}"
        self.environment["PULUMI_STACK"] = "dev"
