"""The Lua that the stack writes itself: whatever a stack file says stays text in it."""

import json
from typing import Any

import pytest
from lupa import luajit21

from infra.config import kong_lua
from infra.config.transformations import Changes

ODD = ['a"b', "a\\b", 'a\\"]] b', "a\nb", "é\x7f", "]]--", '"; os.exit() --', "plain"]


def tables(changes: Changes) -> Any:  # noqa: ANN401 -- Lua's table
    """Returns the table that the code for these changes begins with."""
    first = kong_lua.edit_json("access", changes).partition("\n")[0]
    return luajit21.LuaRuntime(encoding="utf-8").execute(f"{first}\nreturn changes")


@pytest.mark.parametrize("text", ODD)
def test_names_and_values_are_text_in_lua(text: str) -> None:
    lua = tables(Changes.model_validate({"remove": [text], "add": {"it": text}, "rename": {"it": text}}))
    assert lua.remove[1].name == text
    assert lua.rename[1].new.name == text
    assert json.loads(lua.add[1].value) == text


def test_the_code_is_lua() -> None:
    runtime = luajit21.LuaRuntime()
    changes = Changes.model_validate({"remove": ["a"], "add": {"b": "c"}})
    for code in (kong_lua.clean_request(), *(kong_lua.edit_json(phase, changes) for phase in ("access", "log"))):
        runtime.compile(code)
