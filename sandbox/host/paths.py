"""Paths of the sandbox's files: one user cache, with the tools by version and all that a running sandbox owns."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kong-doks"
RUN = CACHE / "run"
LOGS = RUN / "log"
TEMPORARY = RUN / "tmp"
"""The temporary folder of Pulumi and its plugins."""
