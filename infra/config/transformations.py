"""Changes to requests and responses, which Kong's configuration has as "name:value"."""

from typing import Annotated

from pydantic import Field

from infra.config.types import HeaderName, Model

# Kong ends the name at a colon, refuses an empty value, and strips colons from the start of a value.
_Name = Annotated[str, Field(pattern=r"^[^:]+$")]
_Value = Annotated[str, Field(pattern=r"^[^:]")]
_HeaderValue = Annotated[str, Field(pattern=r"^[^:\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")]

_NAMES = "names without a colon"
_VALUES = "with values that aren't empty and don't begin with a colon"
_HEADERS = "names of letters, digits, hyphens and _"
_HEADER_VALUES = f"{_VALUES}, on one line"


class Changes(Model):
    """Changes to query or body, by name. `set` replaces a present field, `add` doesn't."""

    assign: dict[_Name, _Value] = Field(
        {}, alias="set", description=f"{_NAMES}, {_VALUES}", examples=[{"via": "gateway"}]
    )
    add: dict[_Name, _Value] = Field({}, description=f"{_NAMES}, {_VALUES}", examples=[{"via": "gateway"}])
    rename: dict[_Name, _Name] = Field({}, description=f"{_NAMES}, old ones with new ones", examples=[{"old": "new"}])
    remove: list[_Name] = Field([], description=_NAMES, examples=[["debug"]])


class HeaderChanges(Changes):
    """Changes to headers, whose names and values may have fewer characters."""

    assign: dict[HeaderName, _HeaderValue] = Field(
        {}, alias="set", description=f"{_HEADERS}, {_HEADER_VALUES}", examples=[{"X-Via": "gateway"}]
    )
    add: dict[HeaderName, _HeaderValue] = Field(
        {}, description=f"{_HEADERS}, {_HEADER_VALUES}", examples=[{"X-Via": "gateway"}]
    )
    rename: dict[HeaderName, HeaderName] = Field(
        {}, description=f"{_HEADERS}, old ones with new ones", examples=[{"X-Old": "X-New"}]
    )
    remove: list[HeaderName] = Field([], description=_HEADERS, examples=[["X-Debug"]])
