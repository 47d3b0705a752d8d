"""The stack's configuration file: unlike the configuration from Pulumi, it shows which values are in clear."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.config.errors import ConfigError

OPTION = "PULUMI_OPTION_CONFIG_FILE"
"""The environment variable with the path of another file, for Pulumi's commands, the program and `ops`."""
_WORD = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+|[a-z]{3}[0-9]")
"""Texts that YAML 1.1 and 1.2 both read as text."""


def file_name(stack: str, environment: Mapping[str, str]) -> str:
    """Returns the name of a stack's file."""
    return environment.get(OPTION) or f"Pulumi.{stack}.yaml"


class OctalNumber(int):
    """A number with a leading zero, such as 0755, which YAML 1.1, and so Pulumi, reads as octal."""


class _Loader(yaml.SafeLoader):
    """Reads a stack file as PyYAML does, and marks octal numbers."""


def _construct_integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    number = int(loader.construct_yaml_int(node))
    return OctalNumber(number) if re.match(r"[-+]?0[0-7_]", node.value) else number


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_integer)


def stack_file(folder: Path, stack: str, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Returns `config` of a stack's file; empty if the configuration comes from elsewhere."""
    try:
        text = (folder / file_name(stack, environment)).read_text("utf-8")
        document = yaml.load(text, _Loader)  # noqa: S506 -- a SafeLoader
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    config = document.get("config") if isinstance(document, dict) else None
    return config if isinstance(config, dict) else {}


def other_file_errors(config: Mapping[str, str], written: Mapping[str, Any], project: str) -> Iterator[ConfigError]:
    """Yields an error for each key whose value comes from another file than the one that `ops` and later commands read.

    Pulumi doesn't pass its option --config-file on to the program.
    """
    for name, value in written.items():
        key = name if ":" in name else f"{project}:{name}"
        if not key.startswith(f"{project}:"):
            continue
        if key != name and key in written:
            yield ConfigError(key, None, f"{name} or {key}", f"remove {name}", "is in the stack's file twice")
        differs = isinstance(value, str) and _WORD.fullmatch(value) and value != config.get(key)
        if key not in config or differs:
            problem = "in the stack's file differs from Pulumi's configuration: --config-file names another file"
            fix = f"export {OPTION}=FILE instead, which ops reads as well"
            yield ConfigError(key, value if differs else None, "one file for all commands", fix, problem)
