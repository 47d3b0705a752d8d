"""Loads a stack's configuration: from Pulumi's texts to checked settings."""

import contextlib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from infra.config import validation
from infra.config.errors import ConfigError, InvalidConfigError, error_line, error_lines
from infra.config.settings import Settings
from infra.config.stack_file import OctalNumber
from infra.config.types import Model

PROVIDER_NAMESPACES = ("digitalocean", "docker-build", "kubernetes", "pulumi")
"""Namespaces of keys that the providers and Pulumi itself read."""


def load(
    config: Mapping[str, str], secret_keys: Collection[str], project: str, written: Mapping[str, Any] | None = None
) -> Settings:
    """Returns the checked settings of a stack.

    Args:
        config: every key with its namespace, such as `kong-doks:nodeCount`, with its value as Pulumi hands it to a
            program: text, or JSON for numbers, booleans, lists and objects. `pulumi config --json` has the same text in
            `value`.
        secret_keys: keys of `config` that were set with `--secret`.
        project: the project's name, which is the namespace of the stack's own keys.
        written: `config` of the stack's file, if it can be read. Of a list with one encrypted value Pulumi says that
            all of it is secret; the file shows which values are in clear.

    Raises:
        InvalidConfigError: with a line for each error.
    """
    prefix = f"{project}:"
    if foreign := list(_unknown_namespaces(config, project)):
        raise InvalidConfigError(foreign)
    values = {key.removeprefix(prefix): _parsed(text) for key, text in config.items() if key.startswith(prefix)}
    secret = {key.removeprefix(prefix) for key in secret_keys if key.startswith(prefix)}
    leaves = [leaf for key, value in values.items() for leaf in _leaves(key, value)]
    own = {key.removeprefix(prefix): value for key, value in (written or {}).items()}
    leaves += [leaf for key in values for leaf in _leaves(key, own.get(key)) if isinstance(leaf[1], OctalNumber)]
    if changed := [error for path, leaf in leaves if (error := _leaf_error(path, leaf))]:
        lines = (error_line(error, hidden=_top_level(error.key) in secret) for error in changed)
        raise InvalidConfigError(prefix + line for line in lines)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise InvalidConfigError(prefix + line for line in error_lines(Settings, error, secret)) from None
    if errors := list(validation.check(settings)):
        raise InvalidConfigError(prefix + error_line(error, hidden=_top_level(error.key) in secret) for error in errors)
    if clear := [
        path
        for path in validation.secret_paths(settings)
        if _top_level(path) not in secret or _is_in_clear(path, values, written or {}, prefix)
    ]:
        raise InvalidConfigError(
            f"{prefix}{path}: is in clear in the stack's file; allowed: only encrypted values; "
            f"fix: pulumi config set --secret --path '{prefix}{path}'"
            for path in clear
        )
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        for section in value if isinstance(value, list) else [value]:
            if field.alias in secret and isinstance(section, Model):
                section.mark_secret()
    return settings


def _unknown_namespaces(config: Mapping[str, str], project: str) -> Iterator[str]:
    """Yields a line for each key that nothing reads, such as one of a project that was renamed."""
    known = {project, *PROVIDER_NAMESPACES}
    for key in config:
        namespace, _, name = key.partition(":")
        if namespace not in known:
            allowed = f"{project} (this project's own), {', '.join(PROVIDER_NAMESPACES)}"
            error = ConfigError(key, None, allowed, f"write {project}:{name}", "is in an unknown namespace")
            yield error_line(error, hidden=False)


_GO_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} [A-Z+-][A-Z0-9+-]*")
"""A YAML date without quotes, as Pulumi passes it to the program."""


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- JSON
    """Yields every value that is no list and no mapping, with its path; keys as well."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{index}]", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _leaves(f"{path}.{key}", item)
    else:
        yield path, value


def _leaf_error(path: str, text: Any) -> ConfigError | None:  # noqa: ANN401 -- JSON
    if isinstance(text, OctalNumber):
        problem = "has a leading zero, so YAML reads it as octal"
        fix = "leave the zero out, or quote a text"
        return ConfigError(path, None, "a number without a leading zero", fix, problem)
    if not isinstance(text, str):
        return None
    if _GO_TIME.fullmatch(text):
        return ConfigError(path, text, "text; YAML reads this as a date", "write it in quotes")
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        return ConfigError(path, None, "text without zero bytes and halves of characters", "remove them")
    return None


def _is_in_clear(path: str, values: Mapping[str, Any], written: Mapping[str, Any], prefix: str) -> bool:
    """True if the stack's file has the value in clear text, and not as `{secure: ...}`."""
    key = _top_level(path)
    text = _at(written.get(f"{prefix}{key}", written.get(key)), path.removeprefix(key))
    return isinstance(text, str | int | float) and str(text) == str(_at(values[key], path.removeprefix(key)))


def _at(value: Any, path: str) -> Any:  # noqa: ANN401 -- JSON
    """Returns the value at a path such as `[0].jwt.secret`; None if the path doesn't exist."""
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        try:
            value = value[name or int(index)]
        except (LookupError, TypeError):
            return None
    return value


def _top_level(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _parsed(text: str) -> Any:  # noqa: ANN401 -- JSON
    """Returns lists and objects parsed; Pydantic converts other texts, and refuses what isn't JSON."""
    if text[:1] in ("[", "{"):
        # Too deep for the parser is too deep for any key, whose check refuses the text.
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text, parse_float=_finite, parse_constant=_finite)
    return text


def _finite(text: str) -> float:
    """Refuses NaN and infinite numbers: Python's parser accepts them, and reads 1e400 as one."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number
