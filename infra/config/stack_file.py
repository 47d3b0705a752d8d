"""The stack's file beside the configuration that Pulumi hands on: it shows which values are in clear."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.config.errors import ConfigError

OPTION = "PULUMI_OPTION_CONFIG_FILE"
"""The environment variable that names another file, to Pulumi's commands as to the program and `ops`."""
_WORD = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+|[a-z]{3}[0-9]")
"""Texts that every version of YAML reads alike."""


def stack_file(folder: Path, stack: str, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Returns `config` of a stack's file; empty where the configuration comes from elsewhere."""
    try:
        document = yaml.safe_load((folder / (environment.get(OPTION) or f"Pulumi.{stack}.yaml")).read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    config = document.get("config") if isinstance(document, dict) else None
    return config if isinstance(config, dict) else {}


def other_file_errors(config: Mapping[str, str], written: Mapping[str, Any], project: str) -> Iterator[ConfigError]:
    """Yields the keys that show that the configuration comes from another file than `ops` and later commands read.

    Pulumi doesn't tell a program of its option --config-file.
    """
    for name, value in written.items():
        key = name if ":" in name else f"{project}:{name}"
        if not key.startswith(f"{project}:"):
            continue
        differs = isinstance(value, str) and _WORD.fullmatch(value) and value != config.get(key)
        if key not in config or differs:
            problem = "in the stack's file is not what Pulumi hands on: --config-file names another file"
            fix = f"export {OPTION}=FILE in its place, which ops reads as well"
            yield ConfigError(key, value if differs else None, "one file for all commands", fix, problem)
