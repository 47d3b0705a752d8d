"""Pydantic models of Kong's plugin configurations, built from kong_plugins.yaml. The file's head explains its words."""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal, Self, get_origin

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

from infra.config.errors import ConfigError, errors_from, raise_if_any

_FILE = Path(__file__).with_name("kong_plugins.yaml")
_NUMBER = re.compile(r"(?P<kind>integer|number)( >(?P<over>\S+)| (?P<least>[^.]\S*?)?\.\.(?P<most>\S+)?)?")
_MATCH = re.compile(r"(?P<kind>match|template) (?P<pattern>\S+) like (?P<example>.+)")
NEED_A_DATABASE = ("oauth2",)
"""Plugins of the image that need Kong's database (oauth2's own documentation); this Kong has none."""
GLOBAL_ONLY = ("acme",)
"""Plugins that Kong accepts on no service and no route."""

Schema = Any
"""A value of kong_plugins.yaml: a word, a list of one schema, or a record or map of them."""


@cache
def _document() -> Mapping[str, Schema]:
    document: dict[str, Schema] = yaml.safe_load(_FILE.read_text("utf-8"))
    return {name: schema for name, schema in document.items() if not name.startswith(".")}


def plugins() -> list[str]:
    """Returns the names of the plugins in Kong's open-source image."""
    return sorted(_document())


def config_errors(plugin: str, config: Mapping[str, Any]) -> Iterator[ConfigError]:
    """Yields the violations of Kong's schema in a plugin's configuration."""
    model = _record(plugin, _document()[plugin])
    try:
        model.model_validate(config)
    except ValidationError as error:
        yield from errors_from(model, error)


class _Record(BaseModel):
    """A record of fields. Kong converts no type into another and refuses unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid")
    rules: ClassVar[Mapping[str, Sequence[Sequence[str]]]] = {}

    @model_validator(mode="after")
    def _validate_rules(self) -> Self:
        raise_if_any(self._violations())
        return self

    def value(self, path: str) -> Any:  # noqa: ANN401 -- any value of a stack file
        """Returns the value at a dotted path; None where it is absent or empty, which is the same to Kong."""
        name, _, rest = path.partition(".")
        fields = type(self).model_fields
        present = next((value for key, value in self if fields[key].alias == name), None)
        if rest:
            return present.value(rest) if isinstance(present, _Record) else None
        return None if present in ("", [], {}) else present

    def _violations(self) -> Iterator[ConfigError]:
        for kind, check in _CHECKS.items():
            for rule in self.rules.get(kind, ()):
                yield from check(self, rule)


def _at_least_one(record: _Record, group: Sequence[str]) -> Iterator[ConfigError]:
    if not any(record.value(name) is not None for name in group):
        yield ConfigError("", None, ", ".join(group), f"set for example {group[0]}", "has none of what it needs")


def _exactly_one(record: _Record, group: Sequence[str]) -> Iterator[ConfigError]:
    given = [name for name in group if record.value(name) is not None]
    allowed = f"exactly one of {', '.join(group)}"
    if not given:
        yield ConfigError("", None, allowed, f"set for example {group[0]}", "has none of what it needs")
    elif len(given) > 1:
        yield ConfigError("", None, allowed, f"remove {' or '.join(given)}", f"has {' and '.join(given)}")


def _at_most_one(record: _Record, group: Sequence[str]) -> Iterator[ConfigError]:
    given = [name for name in group if record.value(name)]
    if len(given) > 1:
        yield ConfigError(
            "", None, f"at most one of {', '.join(group)}", f"remove {given[0]}", f"has {' and '.join(given)}"
        )


def _all_or_none(record: _Record, group: Sequence[str]) -> Iterator[ConfigError]:
    missing = [name for name in group if record.value(name) is None]
    if 0 < len(missing) < len(group):
        yield ConfigError(missing[0], None, f"set with {', '.join(set(group) - {*missing})}", "set it", "is missing")


def _ascending(record: _Record, group: Sequence[str]) -> Iterator[ConfigError]:
    given = [(name, value) for name in group if (value := record.value(name)) is not None]
    for (lower, less), (upper, more) in pairwise(given):
        if more < less:
            yield ConfigError(upper, _whole(more), f"at least as much as {lower}, {less:g}", f"write {less:g} or more")


def _same(record: _Record, group: Sequence[str]) -> Iterator[ConfigError]:
    old, new = group
    before, after = record.value(old), record.value(new)
    if before is not None and after is not None and before != after:
        yield ConfigError(old, None, f"the value of {new}, or neither", f"remove {old}", f"differs from {new}")


def _unique(record: _Record, rule: Sequence[str]) -> Iterator[ConfigError]:
    name, field = rule
    values = [item.value(field) for item in record.value(name) or ()]
    for index, value in enumerate(values):
        if value in values[:index]:
            yield ConfigError(
                f"{name}[{index}].{field}", value, "one that differs", f"rename {value}", "is there twice"
            )


def _present_if(record: _Record, rule: Sequence[str]) -> Iterator[ConfigError]:
    name, values, needed = rule
    value = record.value(name)
    holds = value is not None if values == "*" else value in values.split("|")
    alternatives = needed.split("|")
    if holds and all(record.value(field) is None for field in alternatives):
        shown = name if values == "*" else f"{name}: {value}"
        yield ConfigError(alternatives[0], None, f"set with {shown}", "set it", "is missing")


def _fits_if(record: _Record, rule: Sequence[str]) -> Iterator[ConfigError]:
    name, values, needed, allowed = rule
    value, other = record.value(name), record.value(needed)
    if _is_one_of(value, values) and not _is_one_of(other, allowed):
        example = allowed.partition("|")[0]
        annotation = next(
            (field.annotation for field in type(record).model_fields.values() if field.alias == needed), None
        )
        fix = f"write {needed}: {f'[{example}]' if get_origin(annotation) is list else example}"
        where = f"{name} unset" if value is None else f"{name}: {_text(value)}"
        problem = "is missing" if other is None else "is not allowed"
        yield ConfigError(needed, _whole(other), f"{example} with {where}", fix, problem)


def _is_one_of(value: Any, words: str) -> bool:  # noqa: ANN401 -- any value of a stack file
    """True if a value, or one of a list, is among the words; "-" stands for none, and "!" before them negates."""
    texts = {_text(item) for item in (value if isinstance(value, list) else [value])}
    return bool(texts & {*words.removeprefix("!").split("|")}) != words.startswith("!")


def _text(value: Any) -> str:  # noqa: ANN401 -- any value of a stack file
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


_CHECKS: Mapping[str, Callable[[_Record, Sequence[str]], Iterator[ConfigError]]] = {
    "?": _at_least_one,
    "1": _exactly_one,
    "all": _all_or_none,
    "not": _at_most_one,
    "<": _ascending,
    "same": _same,
    "unique": _unique,
    "if": _present_if,
    "then": _fits_if,
}


def _record(name: str, schema: Mapping[str, Schema]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for index, (key, inner) in enumerate(schema.items()):
        if key in _CHECKS:
            continue
        annotation, allowed, example = _type(f"{name}.{key}", inner, required=key.endswith("!"))
        field = Field(
            ... if key.endswith("!") else None, alias=key.removesuffix("!"), description=allowed, examples=[example]
        )
        # Some of Kong's names are reserved in Pydantic. Kong refuses null for every field that has a default.
        fields[f"field_{index}"] = (annotation, field)
    model = create_model(name, __base__=_Record, **fields)
    model.rules = {kind: schema[kind] for kind in _CHECKS if kind in schema}
    return model


def _type(name: str, schema: Schema, *, required: bool = False) -> tuple[Any, str, Any]:
    """Returns the type of a schema, a description of allowed values, and an example."""
    if isinstance(schema, list):
        element, least, most = (*schema, None, None)[:3]
        item, allowed, example = _type(name, element, required=True)
        items = Annotated[list[item], Field(min_length=least or 0, max_length=most)]  # type: ignore[valid-type]  # made from the file
        bounds = f" of {least} to {most}" if most else " that isn't empty" if least else ""
        return items, f"a list{bounds}, each {allowed}", [example]
    if isinstance(schema, dict) and len(schema) == 1 and (key := next(iter(schema))).startswith("*"):
        item, allowed, example = _type(name, schema[key], required=True)
        names, allowed_names, name_example = _word(key[2:] or "string")
        mapping = Annotated[dict[names, item], Field(min_length=int(required))]  # type: ignore[valid-type]  # the same
        return mapping, f"names, each {allowed_names}, with {allowed}", {name_example: example}
    if isinstance(schema, dict):
        fields = {key.removesuffix("!"): value for key, value in schema.items() if key not in _CHECKS}
        shown = [key.removesuffix("!") for key in schema if key.endswith("!")] or list(fields)[:1]
        example = {key: _type(name, fields[key])[2] for key in shown}
        return _record(name, schema), f"a record of {', '.join(fields)}", example
    return _word(schema)


def _word(word: str) -> tuple[Any, str, Any]:
    if word in _WORDS:
        kind, allowed, example = _WORDS[word]
        return kind, allowed, example
    if match := _MATCH.fullmatch(word):
        matches = AfterValidator(partial(_matches, pattern=re.compile(match["pattern"], re.DOTALL)))
        checks = [matches, AfterValidator(_template)] if match["kind"] == "template" else [matches]
        return Annotated[str, *checks], f"text like {match['example']}", match["example"]
    if match := _NUMBER.fullmatch(word):
        return _number(match)
    values: list[Any] = [part.strip() for part in word.removeprefix("= ").split("|")]
    if all(value.lstrip("-").isdigit() for value in values):
        values = [int(value) for value in values]
    # To Python, true is 1.
    kind = Annotated[Literal[tuple(values)], BeforeValidator(_no_boolean)]
    return kind, ", ".join(map(str, values)), values[0]


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


def _matches(value: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(value)
    return value


_OWN_ESCAPES = re.compile(r"(?:[^\\]|\\(?![uU]|x\{0*[1-9A-Fa-f][0-9A-Fa-f]{2,}\}).)*", re.DOTALL)
"""Matches patterns without `\\u0041` and `\\x{100}`: the package `pcre2` accepts them, and Kong's PCRE refuses them."""


def _pattern(value: str) -> str:
    """Refuses patterns that PCRE, which Kong uses, can't compile. Kong compiles bytes."""
    # Imported on demand: few stacks need it.
    pcre = import_module("pcre2")
    if not _OWN_ESCAPES.fullmatch(value):
        raise ValueError(value)
    try:
        pcre.compile(value.encode())
    except pcre.PatternError as error:
        raise ValueError(value) from error
    return value


def _address(value: str) -> str:
    """Accepts any address within a block. Kong takes no netmask and no zone."""
    address, slash, size = value.partition("/")
    if "%" in address or "." in size or (len(size) > 1 and size.startswith("0")):
        raise ValueError(value)
    ipaddress.ip_interface(_unbracketed(address) + slash + size)
    return value


def _unbracketed(address: str) -> str:
    """Returns the IPv6 address in brackets."""
    return address[1:-1] if re.fullmatch(r"\[.*:.*\]", address) else address


_HOST_NAME = re.compile(r"(?![\d.]*$)[\w-]*\w(\.[\w-]*\w)*\.?", re.ASCII)


def _host_name(value: str) -> str:
    return _matches(value, _HOST_NAME)


def _host(value: str) -> str:
    """Accepts a name or an address, without a port."""
    if _HOST_NAME.fullmatch(value):
        return value
    if "%" in value or {":", "."} <= {*value}:
        raise ValueError(value)
    ipaddress.ip_address(_unbracketed(value))
    return value


def _host_or_reference(value: str) -> str:
    return value if re.fullmatch(r"\{vault://.*\}", value, re.DOTALL) else _host(value)


def _lua(code: str) -> str:
    """Refuses code that LuaJIT can't compile: Kong would leave out the plugin, with the program's own code in it."""
    lua = _lua_module()
    try:
        lua.LuaRuntime().compile(code)
    except lua.LuaError as error:
        # The place without the code itself, which may be a secret.
        where = re.search(r":(\d+): ", str(error))
        problem = f"isn't valid Lua: line {where[1] if where else 1}"
        raise_if_any([ConfigError("", None, "Lua that LuaJIT compiles, such as return", "correct it", problem)])
    return code


_CHECK_TEMPLATE = """
function(text)
  for expression in text:gmatch("%$(%b())") do
    assert(load("return tostring(" .. expression .. " or '')"))
  end
end"""
"""Lua that compiles what Kong's template library does of each expression."""


def _template(text: str) -> str:
    """Refuses templates with expressions that aren't Lua: each request to the route would fail."""
    if "$(" in text:
        lua = _lua_module()
        check = lua.LuaRuntime().eval(_CHECK_TEMPLATE)
        try:
            check(text)
        except lua.LuaError:
            raise_if_any(
                [ConfigError("", None, "Lua in each $(...)", "correct it", "has an expression that is no Lua")]
            )
    return text


def _lua_module() -> ModuleType:
    """Returns lupa's LuaJIT, the Lua of Kong. Its wheels for macOS have none: Lua 5.2 is the nearest in syntax."""
    # Imported on demand: few stacks need it.
    try:
        return import_module("lupa.luajit21")
    except ImportError:
        return import_module("lupa.lua52")


def _whole(value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
    """Returns 5 for 5.0, which Kong takes for an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _no_boolean(value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
    if isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004 -- Pydantic reports no TypeError
    return value


_NotEmpty = Annotated[str, Field(min_length=1)]
_WORDS: Mapping[str, tuple[Any, str, Any]] = {
    "boolean": (bool, "true or false", True),
    "string": (_NotEmpty, "text", "text"),
    "text": (str, "text", "text"),
    "address": (Annotated[str, AfterValidator(_address)], "an address or a CIDR block", "10.0.0.0/8"),
    "host": (Annotated[str, AfterValidator(_host)], "a host's name or address, without a port", "logs.example.com"),
    "host name": (Annotated[str, AfterValidator(_host_name)], "a host's name, without a port", "db.example.com"),
    "host | reference": (
        Annotated[str, AfterValidator(_host_or_reference)],
        "a host's name or address, without a port",
        "logs.example.com",
    ),
    "lua": (Annotated[_NotEmpty, AfterValidator(_lua)], "Lua code", "return"),
    "pattern": (Annotated[_NotEmpty, AfterValidator(_pattern)], "a regular expression", "curl"),
    "* | pattern": (
        Annotated[_NotEmpty, AfterValidator(lambda value: value if value == "*" else _pattern(value))],
        "* or a regular expression",
        "https://example.com",
    ),
}
