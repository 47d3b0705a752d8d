"""Configuration errors, each as one line: key, value, what is allowed, the fix. Pure: no Pulumi, no network."""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError


class InvalidConfigError(Exception):
    """A configuration that was refused. `lines` has one line for each error, which starts with the full key."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        super().__init__("\n".join(self.lines))


class ConfigError(NamedTuple):
    """A violation found by a model's own validator. `key` is relative to that model; "" is the model itself.

    "{key}" in `fix` is replaced by the whole key.
    """

    key: str
    value: object
    allowed: str
    fix: str
    problem: str = "is not allowed"


def raise_if_any(errors: Iterable[ConfigError]) -> None:
    """Raises all errors of a validator at once, as Pydantic expects them."""
    if violations := list(errors):
        raise PydanticCustomError("config_errors", "the model's own errors", {"errors": violations})


_LONGEST = 200
"""Characters of a value that a line shows."""


def error_lines(model: type[BaseModel], error: ValidationError, secret_keys: Collection[str]) -> Iterator[str]:
    """Yields a line for each error, with the key from the model on. Values below `secret_keys` are not shown."""
    for place, fields, config_error in _located_errors(model, error):
        hidden = any(_is_secret(field) for field in fields) or bool(place and place[0] in secret_keys)
        yield error_line(config_error, hidden=hidden)


def error_line(error: ConfigError, *, hidden: bool) -> str:
    """Returns the error as one line. Its value is replaced by "(secret)" if it is hidden."""
    value = json.dumps(error.value) if isinstance(error.value, str | int | float) else ""
    if len(value) > _LONGEST:
        value = f"{value[:_LONGEST]}..."
    advice = f"allowed: {error.allowed}; fix: {error.fix}"
    if hidden and value:
        value, advice = "(secret)", _without(advice, str(error.value))
    line = f"{value} {error.problem}; {advice}".lstrip()
    return _on_one_line(f"{error.key}: {line}")


def errors_from(model: type[BaseModel], error: ValidationError) -> Iterator[ConfigError]:
    """Yields the errors of a nested model, for a validator of the model around it."""
    for _, _, config_error in _located_errors(model, error):
        yield config_error


def _located_errors(
    model: type[BaseModel], error: ValidationError
) -> Iterator[tuple[tuple[int | str, ...], Sequence[FieldInfo], ConfigError]]:
    """Yields each error with its path, the fields along that path, and its key from the model on."""
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        fields = list(_fields(model, path))
        for config_error in detail.get("ctx", {}).get("errors") or [_translate(model, fields, path, detail)]:
            key = _join(*path, *([config_error.key] if config_error.key else []))
            yield path, fields, config_error._replace(key=key, fix=config_error.fix.replace("{key}", key))


def _join(*parts: int | str) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _without(text: str, value: str) -> str:
    """Replaces a secret value where the text repeats it as a word of its own."""
    return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "(secret)", text) if value.strip() else text


def _on_one_line(text: str) -> str:
    """Escapes what isn't printable: a key of the stack file may contain line breaks."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> Iterator[FieldInfo]:
    """Yields the fields along a path."""
    models: list[type[BaseModel]] = [model]
    for part in path:
        fields = [field for model in models for field in model.model_fields.values() if field.alias == part]
        if fields:
            yield fields[0]
            models = list(_models(fields[0].annotation))


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _translate(
    model: type[BaseModel], fields: Sequence[FieldInfo], path: tuple[int | str, ...], detail: ErrorDetails
) -> ConfigError:
    """Translates an error of Pydantic: a field's description is what is allowed, its first example the fix."""
    field = fields[-1] if fields else None
    models = list(_models(field.annotation)) if field else [model]
    key = str(path[-1])
    if detail["type"] == "extra_forbidden":
        known = [field.alias for model in models for field in model.model_fields.values() if field.alias]
        close = difflib.get_close_matches(key, known, n=1)
        return ConfigError(
            "", None, ", ".join(known), f"write {close[0]}" if close else f"remove {key}", problem="is not a known key"
        )
    # An error of a mapping's key is located at "[key]" below the value.
    described = _key_field(field) if field and "[key]" in detail["loc"] else field
    allowed, example = _describe(described) if described else ("", "")
    if detail["type"] == "string_type" and isinstance(detail["input"], bool | int | float):
        # What was written is lost: YAML reads 1.10 as 1.1, 0755 as 493 and yes as true.
        return ConfigError("", detail["input"], "text", "write it in quotes")
    if detail["input"] is None:
        remove = f"remove {key}, or " if field and not (field.is_required() and field.alias == key) else ""
        return ConfigError("", None, allowed, f"{remove}write for example {example}", problem="is empty")
    if detail["type"] == "missing":
        return ConfigError("", None, allowed, f"add for example {key}: {example}", problem="is missing")
    return ConfigError("", detail["input"], allowed, f"write for example {example}")


def _key_field(field: FieldInfo) -> FieldInfo:
    """Returns the constraints of a mapping's keys, if they have a description of their own; else the field."""
    constraints = [argument for key in get_args(field.annotation)[:1] for argument in get_args(key)]
    return next(
        (constraint for constraint in constraints if isinstance(constraint, FieldInfo) and constraint.description),
        field,
    )


def _describe(field: FieldInfo) -> tuple[str, str]:
    example = (field.examples or [field.default])[0]
    return field.description or "", example if isinstance(example, str) else json.dumps(example, default=dict)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 -- annotations have no common type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
