"""Which clusters a stack has made, whatever its configuration calls them by now."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ops.api import OpsError
from ops.stack import NAMESPACE, Stack
from ops.state import CLUSTER, State

_CLOCKS = timedelta(minutes=5)
"""By how much DigitalOcean's clock and this machine's may differ."""
_UPDATES = 100


class Attempt(NamedTuple):
    """An update of the stack that may have made a cluster of this name; an update that was killed has no times."""

    name: str
    begin: datetime | None = None
    end: datetime | None = None

    def made(self, cluster: dict[str, Any]) -> bool:
        """Whether a cluster has that name and was created then: a name alone may have been another's, and refused."""
        if cluster["name"] != self.name or self.begin is None or self.end is None:
            return bool(cluster["name"] == self.name)
        return self.begin - _CLOCKS <= datetime.fromisoformat(cluster["created_at"]) <= self.end + _CLOCKS


@dataclass(frozen=True)
class Past:
    """What Pulumi remembers of a stack: the clusters in its state, and its updates."""

    clusters: Collection[str] = ()
    attempts: Sequence[Attempt] = ()

    def made(self, cluster: dict[str, Any]) -> bool:
        return cluster["id"] in self.clusters or any(attempt.made(cluster) for attempt in self.attempts)


def read(stack: Stack, state: State) -> Past:
    """What is remembered; nothing of a stack that isn't there (yet).

    Raises:
        OpsError: pulumi isn't there, or can't read it.
    """
    try:
        updates = stack.pulumi("stack", "history", "--json", f"--page-size={_UPDATES}", "--stack", stack.name)
    except OpsError as error:
        if "no stack named" in str(error):
            return Past()
        raise
    killed = [Attempt(each.name) for each in state.pending if each.type == CLUSTER]
    return Past(state.of(CLUSTER).keys(), [*_finished(json.loads(updates)), *killed])


def _finished(updates: list[dict[str, Any]]) -> Iterator[Attempt]:
    for update in updates:
        if name := (update.get("config") or {}).get(f"{NAMESPACE}:clusterName"):
            yield Attempt(name["value"], *(datetime.fromisoformat(update[key]) for key in ("startTime", "endTime")))
