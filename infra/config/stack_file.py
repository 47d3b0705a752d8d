"""The stack's configuration file: unlike the configuration from Pulumi, it shows which values are in clear."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.config.errors import ConfigError, InvalidConfigError

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
    """Reads a stack file as PyYAML does, and marks octal numbers. Dates stay text, and unknown tags are left out."""


def _construct_integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    number = int(loader.construct_yaml_int(node))
    return OctalNumber(number) if re.match(r"[-+]?0[0-7_]", node.value) else number


def _construct_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


def _construct_binary(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return loader.construct_yaml_binary(node).decode("utf-8", "replace")


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_integer)
_Loader.add_constructor("tag:yaml.org,2002:binary", _construct_binary)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _construct_text)
# Every other tag: one of the user's own, and the texts "=" and "<<".
_Loader.add_constructor(None, _construct_text)


def stack_file(folder: Path, stack: str, environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Returns `config` of a stack's file; empty if there is none, since the configuration comes from elsewhere.

    Raises:
        InvalidConfigError: Pulumi may be able to read the file, and this module isn't: a secret in clear would pass.
    """
    file = folder / file_name(stack, environment)
    try:
        # Pulumi reads the first document only.
        document = next(iter(yaml.load_all(file.read_bytes(), _Loader)), None)
    except OSError:
        return {}
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InvalidConfigError([_unreadable(file.name, error)]) from None
    config = document.get("config") if isinstance(document, dict) else None
    return config if isinstance(config, dict) else {}


def _unreadable(file: str, error: Exception) -> str:
    """Returns the error's line. It repeats nothing of the file, which may hold a secret in clear."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}" if mark else "it"
    return (
        f"{file}: {problem}, so which values are in clear can't be seen; allowed: YAML 1.1, as Pulumi writes it; "
        f"fix: write {place} another way"
    )


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
