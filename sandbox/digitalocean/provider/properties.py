"""Properties as Pulumi's engine sends them: structs in which signatures mark what is secret or not known yet."""

from collections.abc import Collection
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

Properties = dict[str, Any]

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 -- the mark of a secret, not one
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def decode(struct: Struct) -> Properties:
    """The plain values: secrets opened, nulls left out, whole numbers as ints."""
    plain = _plain(MessageToDict(struct))
    return plain if isinstance(plain, dict) else {}


def secrets_in(struct: Struct) -> set[str]:
    """The top-level keys that are secret or hold a secret somewhere."""
    return {key for key, value in MessageToDict(struct).items() if _holds_secret(value)}


def encode(properties: Properties, secrets: Collection[str] = ()) -> Struct:
    """The opposite of `decode`, with the values of the keys in `secrets` marked."""
    plain = {key: _plain(value) for key, value in properties.items() if value is not None}
    struct = Struct()
    struct.update(
        {key: {SIGNATURE: SECRET, "value": value} if key in secrets else value for key, value in plain.items()}
    )
    return struct


def unknown(value: object) -> bool:
    """Reports whether a value, or a part of it, is not known before the update."""
    if isinstance(value, dict):
        return any(unknown(part) for part in value.values())
    if isinstance(value, list):
        return any(unknown(part) for part in value)
    return value == UNKNOWN


def _plain(value: object) -> object:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return _plain(value.get("value"))
        return {key: _plain(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _holds_secret(value: object) -> bool:
    if isinstance(value, dict):
        return value.get(SIGNATURE) == SECRET or any(_holds_secret(part) for part in value.values())
    return isinstance(value, list) and any(_holds_secret(part) for part in value)
