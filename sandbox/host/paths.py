"""Where the sandbox keeps its files: one user cache, in it the tools by version and all that a running sandbox owns."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kong-doks"
RUN = CACHE / "run"
LOGS = RUN / "log"
TEMPORARY = RUN / "tmp"
"""The temporary folder of Pulumi and its plugins."""


def tool(name: str) -> Path:
    """The path of a tool (see `sandbox.toolchain.build`), whether or not it is there yet."""
    if folder := os.environ.get("KONG_DOKS_TOOLS"):
        return Path(folder) / name
    from sandbox.toolchain import build  # noqa: PLC0415 -- build needs this module's paths

    return build.tool(name)
