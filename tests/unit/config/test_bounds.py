"""Bounds of every key match its description, which error lines and the reference page repeat."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from infra.config.settings import Settings

SAID = (r"(?P<least>\d+) to (?P<most>\d+)", r"from (?P<least>\d+)", r"up to (?P<most>\d+)", r"at most (?P<most>\d+)")
SAID_OF_TEXTS = (r"at least (?P<least>\d+) characters", r"at most (?P<most>\d+)")
LEAST, MOST = ("minimum", "exclusiveMinimum", "minLength", "minItems"), ("maximum", "maxLength")
UNSAID = {
    "connect": (0.001, 3600),
    "autoscale of GatewayPolicies": (None, None),
    "cpu": (None, 24),
    "cpu of PodAutoscale": (1, 10000),
    "domain": (None, 253),
    "health": (None, 1024),
    "key of Jwt": (1, None),
    "key of Taint": (None, 317),
    "memory": (None, 24),
    "memory of PodAutoscale": (1, 10000),
    "message": (1, None),
    "name of Registry": (None, 63),
    "name of Vpc": (None, 255),
    "origins": (1, None),
    "path": (None, 1024),
    "pool": (None, 24),
    "read": (0.001, 3600),
    "rewrite": (None, 1024),
    "status": (200, 599),
    "timeout": (0, 60),
    "write": (0.001, 3600),
}
"""Bounds that descriptions omit, because realistic values are far from them."""


def fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    schema = Settings.model_json_schema()
    for name, model in {"Settings": schema, **schema["$defs"]}.items():
        yield from ((name, key, field) for key, field in model.get("properties", {}).items())


FIELDS = {f"{key} of {name}": (key, field) for name, key, field in fields()}


@pytest.mark.parametrize("name", FIELDS)
def test_bounds_match_their_descriptions(name: str) -> None:
    key, field = FIELDS[name]
    schemas = [field, *field.get("anyOf", [])]
    is_text = any(schema.get("type") == "string" for schema in schemas)
    bounds = tuple(
        next((schema[word] for schema in schemas for word in words if word in schema), None) for words in (LEAST, MOST)
    )
    said: dict[str, float] = {}
    for pattern in SAID_OF_TEXTS if is_text else SAID:
        if (match := re.search(pattern, field.get("description", ""))) and not {*match.groupdict()} & {*said}:
            said |= {bound: float(number) for bound, number in match.groupdict().items()}
    assert bounds == UNSAID.get(name, UNSAID.get(key, (said.get("least"), said.get("most"))))


def test_every_omitted_bound_belongs_to_a_key() -> None:
    assert UNSAID.keys() <= FIELDS.keys() | {key for key, _ in FIELDS.values()}
