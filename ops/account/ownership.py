"""Which clusters and registries a stack has made, whatever its configuration calls them by now."""

import functools
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from ops.digitalocean import OpsError
from ops.pulumi import state as states
from ops.pulumi.stack import NAMESPACE, Settings, Stack, plain
from ops.pulumi.state import CLUSTER, REGISTRY, State

AUTOMATIC_NAME = re.compile(r"kong-doks-[0-9a-f]{7}")
"""The name that Pulumi gives to a registry that the configuration doesn't name: nobody can tell whose it is by it."""
_CLOCKS = timedelta(minutes=5)
"""By how much DigitalOcean's clock and this machine's may differ."""
_UPDATES = 100


class Attempt(NamedTuple):
    """An update of the stack that may have made a thing of this name; an update that was killed has no times."""

    name: str
    """Empty: an automatic one."""
    begin: datetime | None = None
    end: datetime | None = None

    def made(self, thing: dict[str, Any]) -> bool:
        """Whether a thing has that name and was created then: a name alone may have been another's, and refused."""
        if thing["name"] != self.name and (self.name or not AUTOMATIC_NAME.fullmatch(thing["name"])):
            return False
        if self.begin is None or self.end is None:
            return True
        return self.begin - _CLOCKS <= datetime.fromisoformat(thing["created_at"]) <= self.end + _CLOCKS


@dataclass(frozen=True)
class Past:
    """What Pulumi remembers of a stack: what is in its state, and its updates."""

    clusters: Collection[str] = ()
    attempts: Sequence[Attempt] = ()
    """At a cluster."""
    registries: Collection[str] = ()
    registry_attempts: Sequence[Attempt] = ()
    elsewhere: Callable[[], Mapping[tuple[str, str], str]] = dict
    """The backend's other stacks, by type and id of what they have, or by type and name of what they have begun.

    Not asked without need: Pulumi exports each of them.
    """
    known: bool = False
    """Whether Pulumi has been asked, and has such a stack."""

    def made(self, cluster: dict[str, Any]) -> bool:
        tried = any(attempt.made(cluster) for attempt in self.attempts)
        return cluster["id"] in self.clusters or (tried and not self.other_stack(CLUSTER, cluster))

    def made_registry(self, registry: dict[str, Any]) -> bool:
        tried = any(attempt.made(registry) for attempt in self.registry_attempts)
        return registry["name"] in self.registries or (tried and not self.other_stack(REGISTRY, registry))

    def other_stack(self, kind: str, thing: dict[str, Any]) -> str:
        """The other stack whose a cluster or a registry is, if it is one's: it isn't this one's, whatever its name."""
        identifiers = {thing["id"]} if kind == CLUSTER else {thing["name"]}
        if identifiers & {*self.clusters, *self.registries}:
            return ""
        others = self.elsewhere()
        return next((others[kind, each] for each in identifiers | {thing["name"]} if (kind, each) in others), "")


def read(stack: Stack, state: State) -> Past:
    """What is remembered; nothing of a stack that isn't there (yet).

    Raises:
        OpsError: pulumi isn't there, or can't read it.
    """
    others = functools.cache(lambda: elsewhere(stack))
    try:
        updates = stack.pulumi("stack", "history", "--json", f"--page-size={_UPDATES}", "--stack", stack.name)
    except OpsError as error:
        if "no stack named" in str(error):
            return Past(elsewhere=others)
        raise
    finished = [_Update(each, stack.settings) for each in json.loads(updates)]
    killed = {
        kind: [Attempt(each.name) for each in state.pending if each.type == kind and each.name]
        for kind in (CLUSTER, REGISTRY)
    }
    return Past(
        state.of(CLUSTER).keys(),
        [*(each.at_cluster for each in finished), *killed[CLUSTER]],
        state.of(REGISTRY).keys(),
        [*(each.at_registry for each in finished if each.may_have_lost_a_registry), *killed[REGISTRY]],
        others,
        known=True,
    )


class _Update:
    """An update of the stack as Pulumi's history has it; `now` are the settings of today."""

    def __init__(self, document: dict[str, Any], now: Settings) -> None:
        self._document = document
        said = {
            key.partition(":")[2]: plain(entry["value"])
            for key, entry in (document.get("config") or {}).items()
            # What is secret isn't told.
            if key.startswith(f"{NAMESPACE}:") and not entry["secret"]
        }
        # A registry with a password is none of DigitalOcean's.
        then = now.model_dump(by_alias=True) | {"registry": {"kind": "other"}} | said
        try:
            self._settings = now.model_validate(then)
        except ValidationError:  # of another version of the program
            self._settings = now

    @property
    def may_have_lost_a_registry(self) -> bool:
        """What a successful one made is in the state; to look for an automatic name then would find other stacks'."""
        failed = self._document["kind"] == "update" and self._document["result"] != "succeeded"
        return failed and self._settings.makes_registry

    @property
    def at_cluster(self) -> Attempt:
        return Attempt(self._settings.cluster_name, *self._times)

    @property
    def at_registry(self) -> Attempt:
        return Attempt(self._settings.registry.name or "", *self._times)

    @property
    def _times(self) -> tuple[datetime, datetime]:
        # Pulumi Cloud also lists an update that goes on, or was killed: that one has no end.
        end = self._document.get("endTime")
        begin = datetime.fromisoformat(self._document["startTime"])
        return begin, datetime.fromisoformat(end) if end else datetime.now(UTC)


def elsewhere(stack: Stack) -> dict[tuple[str, str], str]:
    """What the backend's other stacks have, as `Past` has it.

    Raises:
        OpsError: pulumi isn't there, or can't read one of them.
    """
    found: dict[tuple[str, str], str] = {}
    for each in json.loads(stack.pulumi("stack", "ls", "--json")):
        if (name := each["name"]) != stack.name:
            other = states.read(stack, name)
            found |= {(kind, identifier): name for kind in (CLUSTER, REGISTRY) for identifier in other.of(kind)}
            found |= {(pending.type, pending.name): name for pending in other.pending if pending.name}
    return found
