"""Declarations of resources, and what follows from them: checked inputs, differences, replacement, previews."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sandbox.digitalocean.provider.client import Client, ProviderError
from sandbox.digitalocean.provider.properties import UNKNOWN, Properties, unknown

Change = tuple[str, str, bool]
"""(path, "ADD" | "UPDATE" | "DELETE", whether the resource must be replaced)"""
DEFAULTS = "__defaults"
"""The key under which inputs list which of them the program did not set."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input.

    `default` counts when the program sets nothing, unless the value is `computed`: then the API's own choice stands.
    """

    required: bool = False
    default: Any = None
    computed: bool = False
    force_new: bool = False
    is_set: bool = False
    shape: "Shape | None" = None
    invalid: Callable[[Any], str | None] = lambda _: None
    suppress: Callable[[Any, Properties], bool] = lambda _new, _state: False
    replaces: Callable[[Any, Any], bool] = lambda _old, _new: False

    def equal(self, one: Any, other: Any) -> bool:  # noqa: ANN401 -- values of any type
        """Compares two values: null, false, zero and empty are equal, and a set has no order."""
        if self.is_set and isinstance(one, list) and isinstance(other, list):
            return sorted(one, key=str) == sorted(other, key=str)
        return bool(one == other or not (one or other))


@dataclass(frozen=True)
class Shape:
    """An object: the inputs that the program may set, and the outputs that only the API has."""

    inputs: Mapping[str, Input]
    outputs: tuple[str, ...] = ()
    secrets: frozenset[str] = field(default_factory=frozenset)

    def settled(self, news: Properties, olds: Properties) -> Properties:
        """Every input with the value that it has when an operation runs."""
        values = {
            key: news.get(key, olds.get(key) if declared.computed else declared.default)
            for key, declared in self.inputs.items()
        }
        for key, declared in self.inputs.items():
            nested = values[key]
            if declared.shape and isinstance(nested, dict):
                values[key] = declared.shape.settled(nested, olds.get(key) or {})
        return values

    def planned(self, news: Properties, olds: Properties | None) -> Properties:
        """The state that an operation leads to, as far as it is known before; without `olds`, a create."""
        computed = (key for key, declared in self.inputs.items() if declared.computed)
        plan: Properties = dict.fromkeys([*self.outputs, *computed], UNKNOWN) if olds is None else dict(olds)
        for key, declared in self.inputs.items():
            value = news.get(key)
            if declared.shape and isinstance(value, dict):
                value = declared.shape.planned(value, olds if olds is None else olds.get(key) or {})
            if value is not None or not (declared.computed or declared.equal(plan.get(key), None)):
                plan[key] = value
        return plan

    def check(self, news: Properties, path: str = "") -> tuple[Properties, list[tuple[str, str]]]:
        """Returns the inputs with defaults, and the failures as pairs of property and reason."""
        checked = {key: value for key, value in news.items() if key != DEFAULTS}
        failures = [(path + key, f"not in the stand-in: {path}{key}") for key in checked if key not in self.inputs]
        added = []
        for key, declared in self.inputs.items():
            if key not in checked and declared.required:
                failures.append((path + key, _MISSING.format(key)))
            elif key not in checked and declared.default:
                checked[key] = declared.default
                added.append(key)
            elif key in checked and not unknown(checked[key]):
                if reason := declared.invalid(checked[key]):
                    failures.append((path + key, f"expected {key} {reason}, got {checked[key]}"))
                elif declared.shape:
                    checked[key], nested = declared.shape.check(checked[key], f"{path}{key}.")
                    failures += nested
        return checked | {DEFAULTS: added}, failures

    def differences(self, olds: Properties, news: Properties, path: str = "") -> Iterator[Change]:
        """Yields each change."""
        for key, declared in self.inputs.items():
            old, new = olds.get(key), news.get(key, declared.default)
            if declared.computed and key not in news:
                continue
            if declared.shape and isinstance(old, dict) and isinstance(new, dict):
                yield from declared.shape.differences(old, new, f"{path}{key}.")
            elif unknown(new) or not (declared.equal(old, new) or declared.suppress(new, olds)):
                kind = "ADD" if old is None else "UPDATE" if key in news else "DELETE"
                yield path + key, kind, declared.force_new or declared.replaces(old, new)

    def defaults_beside(self, changes: list[Change], olds: Properties) -> Iterator[Change]:
        """Yields defaults that the state lacks, as after an import: changes only if there is another one."""
        changed = {path for path, _, _ in changes}
        for key, declared in self.inputs.items():
            if changed and key not in changed and declared.default is not None and olds.get(key) is None:
                yield key, "ADD", False

    def inputs_of(self, state: Properties, old_inputs: Properties) -> Properties:
        """The inputs that would lead to `state`: those of before, or at an import all but defaults."""
        keys = old_inputs or {
            key: None for key, declared in self.inputs.items() if not declared.equal(state.get(key), declared.default)
        }
        inputs = {key: state[key] for key in keys if key in self.inputs and state.get(key) is not None}
        for key, declared in self.inputs.items():
            if declared.shape and isinstance(inputs.get(key), dict):
                inputs[key] = declared.shape.inputs_of(inputs[key], old_inputs.get(key) or {})
        return inputs | {DEFAULTS: old_inputs.get(DEFAULTS, [])}


_MISSING = 'Missing required argument. The argument "{}" is required, but no definition was found.'


class Resource(ABC):
    """A kind of resource. `config` below is what `Shape.settled` makes of the program's inputs."""

    shape: ClassVar[Shape]
    create_seconds: ClassVar[float] = 1800
    delete_seconds: ClassVar[float] = 1800

    @abstractmethod
    def create(self, api: Client, config: Properties, seconds: float) -> tuple[str, Properties]:
        """Creates the resource; returns its id and state.

        Raises:
            PartlyCreatedError: it exists and belongs in the stack's state, though something failed.
            ProviderError: anything else; what was created until then is in no state.
        """

    @abstractmethod
    def read(self, api: Client, identity: str, state: Properties) -> Properties | None:
        """Returns its current state; None if it is gone."""

    @abstractmethod
    def update(self, api: Client, identity: str, olds: Properties, config: Properties) -> Properties | None:
        """Updates the resource in place and returns its state; None if it is gone."""

    @abstractmethod
    def delete(self, api: Client, identity: str, state: Properties, seconds: float) -> None:
        """Deletes the resource. What waits until it is gone does so for `seconds` at most."""

    def created(
        self, api: Client, identity: str, config: Properties, known: Properties | None = None
    ) -> tuple[str, Properties]:
        """Returns what `create` does: id and state of a resource that the API has just created.

        Raises:
            PartlyCreatedError: it can't be read; the stack's state gets what is known, by default the inputs.
        """
        try:
            return identity, self.read(api, identity, config) or {}
        except ProviderError as error:
            raise PartlyCreatedError(identity, known or config, str(error)) from None

    def changed(self, olds: Properties, config: Properties) -> set[str]:
        """The top-level inputs that an update is about."""
        return {path.partition(".")[0] for path, _, _ in self.shape.differences(olds, config)}


class PartlyCreatedError(ProviderError):
    def __init__(self, identity: str, state: Properties, reason: str) -> None:
        super().__init__(reason)
        self.identity = identity
        self.state = state


def automatic_name(logical_name: str, seed: bytes) -> str:
    """The logical name and seven hexadecimal digits, the same for the same seed."""
    return f"{logical_name}-{hashlib.sha256(seed).hexdigest()[:7]}"


def one_of(*allowed: str) -> Callable[[Any], str | None]:
    """Input.invalid for a fixed choice."""
    listed = " ".join(f'"{value}"' for value in allowed)
    return lambda value: None if value in allowed else f"to be one of [{listed}]"


def within(low: int, high: int | None = None) -> Callable[[Any], str | None]:
    """Input.invalid for a range."""
    expected = f"to be at least ({low})" if high is None else f"to be in the range ({low} - {high})"
    return lambda value: None if low <= value and (high is None or value <= high) else expected


def not_empty(value: object) -> str | None:
    """Input.invalid for text that must be there."""
    return None if value else "to not be an empty string"
