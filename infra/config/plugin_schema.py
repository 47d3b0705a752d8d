"""The configuration of Kong's own plugins, as models made from kong_plugins.yaml, which says what its words mean."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)

from infra.config.errors import Complaint, found, raise_any

_FILE = Path(__file__).with_name("kong_plugins.yaml")
_NUMBER = re.compile(r"(?P<kind>integer|number)( >(?P<over>\S+)| (?P<least>[^.]\S*?)?\.\.(?P<most>\S+)?)?")
_AT_LEAST_ONE = "?"
_EXACTLY_ONE = "1"
_RULES = (_AT_LEAST_ONE, _EXACTLY_ONE)
NEED_A_DATABASE = ("oauth2",)
"""Plugins of the image that write to Kong's database, which there is none of (oauth2's own documentation)."""

Schema = Any
"""A value of kong_plugins.yaml: a word, a list of one schema, or a record or map of them."""


@cache
def _document() -> Mapping[str, Schema]:
    document: dict[str, Schema] = yaml.safe_load(_FILE.read_text())
    return {name: schema for name, schema in document.items() if not name.startswith(".")}


def plugins() -> list[str]:
    """The plugins in Kong's open-source image."""
    return sorted(_document())


def complaints(plugin: str, config: Mapping[str, Any]) -> Iterator[Complaint]:
    """What Kong would refuse in a plugin's configuration, as far as the schema tells."""
    model = _record(plugin, _document()[plugin])
    try:
        model.model_validate(config)
    except ValidationError as error:
        yield from found(model, error)


class _Record(BaseModel):
    """Kong turns no type into another, and knows no other fields."""

    model_config = ConfigDict(strict=True, extra="forbid")
    needs: ClassVar[list[list[str]]] = []
    """At least one of each of these groups of fields."""
    choices: ClassVar[list[list[str]]] = []
    """Exactly one of each of these."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        raise_any(self._complaints())
        return self

    def _complaints(self) -> Iterator[Complaint]:
        # To Kong what is empty isn't there.
        fields = type(self).model_fields
        present = [fields[name].alias for name, value in self if value not in (None, "", [], {})]
        for group in [*self.needs, *self.choices]:
            given = [name for name in group if name in present]
            allowed = ", ".join(group) if group in self.needs else f"exactly one of {', '.join(group)}"
            if not given:
                yield Complaint("", None, allowed, f"set for example {group[0]}", "has none of what it needs")
            elif len(given) > 1 and group in self.choices:
                yield Complaint("", None, allowed, f"remove {' or '.join(given)}", f"has {' and '.join(given)}")


def _record(name: str, schema: Mapping[str, Schema]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for index, (key, inner) in enumerate(schema.items()):
        if key in _RULES:
            continue
        annotation, allowed, example = _type(f"{name}.{key}", inner)
        field = Field(
            ... if key.endswith("!") else None, alias=key.removesuffix("!"), description=allowed, examples=[example]
        )
        # Names of our own: Kong has some that a model keeps for itself.
        fields[f"field_{index}"] = (annotation if key.endswith("!") else annotation | None, field)
    model = create_model(name, __base__=_Record, **fields)
    model.needs = schema.get(_AT_LEAST_ONE, [])
    model.choices = schema.get(_EXACTLY_ONE, [])
    return model


def _type(name: str, schema: Schema) -> tuple[Any, str, Any]:
    """The type of a schema, what it allows in words, and an example."""
    if isinstance(schema, list):
        item, allowed, example = _type(name, schema[0])
        return list[item], f"a list, each {allowed}", [example]  # type: ignore[valid-type]  # made from the file
    if isinstance(schema, dict) and set(schema) == {"*"}:
        item, allowed, example = _type(name, schema["*"])
        return dict[str, item], f"names, each with {allowed}", {"name": example}  # type: ignore[valid-type]  # the same
    if isinstance(schema, dict):
        fields = {key.removesuffix("!"): value for key, value in schema.items() if key not in _RULES}
        shown = [key.removesuffix("!") for key in schema if key.endswith("!")] or list(fields)[:1]
        example = {key: _type(name, fields.get(key, schema.get(f"{key}!")))[2] for key in shown}
        return _record(name, schema), f"a record of {', '.join(fields)}", example
    return _word(schema)


def _word(word: str) -> tuple[Any, str, Any]:
    if word == "any":
        return Any, "what Kong documents", {}
    if word == "boolean":
        return bool, "true or false", True
    if word == "string":
        return str, "text", "text"
    if word == "address":
        return Annotated[str, AfterValidator(_address)], "an address or a CIDR block", "10.0.0.0/8"
    if match := _NUMBER.fullmatch(word):
        return _number(match)
    values: list[Any] = [part.strip() for part in word.removeprefix("= ").split("|")]
    if all(value.lstrip("-").isdigit() for value in values):
        values = [int(value) for value in values]
    return Literal[tuple(values)], ", ".join(map(str, values)), values[0]


def _number(match: re.Match[str]) -> tuple[Any, str, Any]:
    over, least, most = (float(match[name]) if match[name] else None for name in ("over", "least", "most"))
    whole = match["kind"] == "integer"
    kind = Annotated[int, BeforeValidator(_whole)] if whole else float
    bounds = [
        f"{word} {limit:g}" for word, limit in (("over", over), ("from", least), ("up to", most)) if limit is not None
    ]
    allowed = " ".join(["a whole number" if whole else "a number", *bounds])
    example = next(limit for limit in (least, most, 1) if limit is not None)
    return (
        Annotated[kind, Field(gt=over, ge=least, le=most)],
        allowed,
        int(example) if example == int(example) else example,
    )


def _address(value: str) -> str:
    """A block may be written by any address in it; of its size, Kong takes no netmask, and of an address no zone."""
    address, _, size = value.partition("/")
    if "%" in address or "." in size:
        raise ValueError(value)
    ipaddress.ip_interface(value)
    return value


def _whole(value: Any) -> Any:  # noqa: ANN401 -- what stands in the file
    """To Kong 5.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
