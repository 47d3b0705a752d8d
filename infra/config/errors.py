"""Mistakes in the configuration, each as one line: key, value, what is allowed, the fix."""

import difflib
import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn, get_args

import pulumi
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

_SHOWN = 32
"""Exit status by which Pulumi's language host knows that people have been told; any other adds an "unhandled error"."""


def refuse(message: str) -> NoReturn:
    """Ends the program with an error of our own words, and no other."""
    pulumi.log.error(message)
    sys.exit(_SHOWN)


class Complaint(NamedTuple):
    """What a model's own rule finds. `key` is relative to that model; "" is the model itself."""

    key: str
    value: object
    allowed: str
    fix: str
    problem: str = "is not allowed"


def raise_any(complaints: Iterable[Complaint]) -> None:
    """For validators: one error for all that a rule finds, so that people see it at once."""
    if found := list(complaints):
        raise PydanticCustomError("complaints", "the rule's own complaints", {"complaints": found})


def lines(model: type[BaseModel], error: ValidationError, secrets: Collection[str]) -> Iterator[str]:
    """One line for each mistake. Values under the top-level keys in `secrets` are not shown."""
    for place, fields, complaint in _complaints(model, error):
        hidden = any(_is_secret(field) for field in fields) or bool(place and place[0] in secrets)
        shown = json.dumps(complaint.value) if isinstance(complaint.value, str | int | float) else ""
        told = f"allowed: {complaint.allowed}; fix: {complaint.fix}"
        if hidden and shown:
            shown, told = "(secret)", _without(told, str(complaint.value))
        line = f"{shown} {complaint.problem}; {told}".lstrip()
        yield _on_one_line(f"{complaint.key}: {line}")


def found(model: type[BaseModel], error: ValidationError) -> Iterator[Complaint]:
    """What a model that is none of the settings' own finds, for a rule of one of those."""
    for _, _, complaint in _complaints(model, error):
        yield complaint


def _complaints(
    model: type[BaseModel], error: ValidationError
) -> Iterator[tuple[tuple[int | str, ...], Sequence[FieldInfo], Complaint]]:
    """All mistakes: their place, the fields on the way there, and the complaint with its key from the model on."""
    for detail in error.errors(include_url=False):
        place = tuple(part for part in detail["loc"] if part != "[key]")
        fields = list(_fields(model, place))
        for each in detail.get("ctx", {}).get("complaints") or [_translate(model, fields, place, detail)]:
            yield place, fields, each._replace(key=_join(*place, *([each.key] if each.key else [])))


def _join(*parts: int | str) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _without(text: str, value: str) -> str:
    """A text that may repeat a secret value, as a word of its own."""
    return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "(secret)", text) if value.strip() else text


def _on_one_line(text: str) -> str:
    """Keys are the user's own, and may hold anything."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _fields(model: type[BaseModel], place: tuple[int | str, ...]) -> Iterator[FieldInfo]:
    """The fields on the way to a place."""
    models: list[type[BaseModel]] = [model]
    for part in place:
        if found := [field for each in models for field in each.model_fields.values() if field.alias == part]:
            yield found[0]
            models = list(_models(found[0].annotation))


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _translate(
    model: type[BaseModel], fields: Sequence[FieldInfo], place: tuple[int | str, ...], detail: ErrorDetails
) -> Complaint:
    """A complaint of Pydantic's in our words: the field's description says what is allowed, its example the fix."""
    field = fields[-1] if fields else None
    models = list(_models(field.annotation)) if field else [model]
    key = str(place[-1])
    if detail["type"] == "extra_forbidden":
        known = [field.alias for each in models for field in each.model_fields.values() if field.alias]
        close = difflib.get_close_matches(key, known, n=1)
        return Complaint(
            "", None, ", ".join(known), f"write {close[0]}" if close else f"remove {key}", problem="is not a known key"
        )
    allowed, example = _describe(field) if field else ("", "")
    if detail["type"] == "missing":
        return Complaint("", None, allowed, f"add for example {key}: {example}", problem="is missing")
    return Complaint("", detail["input"], allowed, f"write for example {example}")


def _describe(field: FieldInfo) -> tuple[str, str]:
    example = (field.examples or [field.default])[0]
    return field.description or "", example if isinstance(example, str) else json.dumps(example, default=dict)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 -- annotations have no common type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
