"""Lua code for Kong's serverless plugins, pre-function and post-function."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from infra.config.transformations import Changes

_FOLDER = Path(__file__).with_name("lua")
IDENTITY_HEADERS = (
    "X-Consumer-ID",
    "X-Consumer-Custom-ID",
    "X-Consumer-Username",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Credential-Username",
    "X-Anonymous-Consumer",
    "X-Authenticated-Groups",
)
"""Headers by which Kong names the consumer to a service."""
FORWARDED_HEADERS = (
    "X-Real-IP",
    "X-Kong-Request-Id",
    *(f"X-Forwarded-{name}" for name in ("For", "Proto", "Host", "Port", "Path", "Prefix")),
)
"""Other headers that Kong sets for a service."""


@cache
def _file(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text("utf-8")


def clean_request() -> str:
    """Returns code for the rewrite phase: it lower-cases host names, and removes headers that claim an identity."""
    lists = (_list(_quote(name.lower()) for name in names) for names in (IDENTITY_HEADERS, FORWARDED_HEADERS))
    return f"local identity_headers, forwarded_headers = {', '.join(lists)}\n{_file('clean_request')}"


def edit_json(phase: str, changes: Changes) -> str:
    """Returns code that changes JSON bodies: of requests in the phase access, of responses in the others."""
    tables = {
        "remove": _list(_table({"name": _quote(name)}) for name in changes.remove),
        "rename": _list(_table({"old": _field(old), "new": _field(new)}) for old, new in changes.rename.items()),
        "set": _list(_field(name, value) for name, value in changes.assign.items()),
        "add": _list(_field(name, value) for name, value in changes.add.items()),
    }
    return f"local phase, changes = {_quote(phase)}, {_table(tables)}\n{_file('edit_json')}"


def _field(name: str, value: str | None = None) -> str:
    field = {"name": _quote(name), "written": _quote(json.dumps(name))}
    return _table(field if value is None else {**field, "value": _quote(json.dumps(value))})


def _table(entries: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name} = {value}" for name, value in entries.items()) + "}"


def _list(items: Iterable[str]) -> str:
    return "{" + ", ".join(items) + "}"


def _quote(text: str) -> str:
    """Returns a Lua string literal, with all but plain characters as byte escapes."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in text.encode())  # noqa: PLR2004 -- ASCII
    return '"' + "".join(plain) + '"'
