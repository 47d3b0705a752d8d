"""Ownership of clusters and registries: provably a stack's, whatever they are called.

A name proves nothing. A resource is the stack's if its id is in the state or in an earlier checkpoint, or if the state
has a pending creation of it. So is one that was created with the name of a failed `up` while that `up` ran. A cluster
that is being deleted is the stack's if one of the stack's updates used its name.
"""

import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from infra.config.cluster import ClusterSettings
from infra.config.node_pools import DEFAULT_POOL_TAG
from infra.config.types import default_pool_name
from ops.account.documents import Cluster, Registry
from ops.pulumi import state as states
from ops.pulumi.backend import Backend
from ops.pulumi.stack import Stack, history, own_keys, plain
from ops.pulumi.state import CLUSTER, REGISTRY, VPC, State

AUTOMATIC_NAME = re.compile(r"kong-doks-[0-9a-f]{7}")
"""The name that Pulumi gives to a registry that the configuration doesn't name; those of all stacks look alike."""
_DEFAULT_CLUSTER_NAME = ClusterSettings.model_fields["cluster_name"].default
_MARGIN = timedelta(seconds=10)
"""Tolerance for times in whole seconds, and for the error of a clock that NTP synchronizes."""


class Names(NamedTuple):
    """The names of the billed resources of a configuration; None if it creates none of that kind."""

    cluster: str | None
    registry: str | None
    """Empty: an automatic name."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Names":
        """Reads them from a configuration that may have unreadable secrets, or be one of another version."""
        # A secret has no value here; a registry with a password is none of DigitalOcean's.
        registry = plain(values.get("registry", {}))
        registry = registry if isinstance(registry, dict) else {"kind": "other"}
        makes_cluster = not values.get("kubeContext")
        makes_registry = (
            makes_cluster
            and registry.get("kind", "digitalocean") == "digitalocean"
            and not registry.get("existing")
            and (
                any(_builds(plain(values.get(key, []))) for key in ("services", "aggregates"))
                or _has_page(plain(values.get("gateway", {})))
            )
        )
        return cls(
            str(values.get("clusterName") or _DEFAULT_CLUSTER_NAME) if makes_cluster else None,
            str(registry.get("name") or "") if makes_registry else None,
        )


def _builds(workloads: object) -> bool:
    """True if any of these is built. An aggregate always is; a value that can't be read may be."""
    if workloads is None:
        return True
    if isinstance(workloads, list):
        return any(_builds(workload) for workload in workloads)
    if isinstance(workloads, dict):
        return bool(workloads.get("build") or workloads.get("backends")) or any(map(_builds, workloads.values()))
    return False


def _has_page(gateway: object) -> bool:
    """True if the gateway has a page, whose image is built; settings that can't be read may have one."""
    return gateway is None or (isinstance(gateway, dict) and gateway.get("page") not in (None, False))


class Attempt(NamedTuple):
    """An update that may have created a resource of this name."""

    name: str
    """Empty: an automatic one."""
    begin: datetime | None = None
    end: datetime | None = None
    """The times are unknown (None) if the update was killed."""

    def covers(self, name: str, created: datetime, clock_error: timedelta) -> bool:
        """True if the update may have created a resource.

        Args:
            name: of the resource.
            created: time of its creation, by DigitalOcean's clock.
            clock_error: difference between this machine's clock and DigitalOcean's.
        """
        skew = clock_error + _MARGIN
        if name != self.name and (self.name or not AUTOMATIC_NAME.fullmatch(name)):
            return False
        return (self.begin is None or self.begin - skew <= created) and (self.end is None or created <= self.end + skew)


@dataclass(frozen=True)
class Ownership:
    """Pulumi's records of a stack: its state and its history."""

    clusters: Collection[str] = ()
    """Ids in the state."""
    registries: Collection[str] = ()
    """Names in the state."""
    used_registries: Collection[str] = ()
    """Names of registries that the state only reads."""
    vpcs: Collection[str] = ()
    """Ids in the state."""
    cluster_names: Collection[str] = ()
    """Names that any of the stack's updates configured."""
    cluster_attempts: Sequence[Attempt] = ()
    registry_attempts: Sequence[Attempt] = ()
    other_stacks: Callable[[], Mapping[tuple[str, str], str]] = dict
    """The backend's other stacks, by type and id of what they have, or by type and name of what they began to create.

    Read on demand: Pulumi exports each of them.
    """
    earlier_ids: Callable[[], Collection[str]] = set
    """Ids in the stack's earlier checkpoints. Read on demand, as well."""
    clock_error: Callable[[], timedelta] = timedelta
    """Difference between this machine's clock and DigitalOcean's. Read on demand: it comes with the API's answers."""
    has_history: bool = True
    """False if Pulumi has no update of the stack: its state may have been lost then."""

    def owns_cluster(self, cluster: Cluster) -> bool:
        if cluster.id in self.clusters:
            return True
        if cluster.name not in self.cluster_names or not has_own_node_pool(cluster):
            return False
        if self.other_stack(CLUSTER, cluster.id, cluster.name):
            return False
        # The bill waits for a cluster that is being deleted, and nothing else can be done with it. A state that was
        # restored by an import has no checkpoint of it.
        if cluster.is_being_deleted:
            return True
        # What a successful update created is in its checkpoint.
        return self._covers(self.cluster_attempts, cluster) or cluster.id in self.earlier_ids()

    def owns_registry(self, registry: Registry, registries: Collection[Registry]) -> bool:
        """True if the registry is the stack's.

        Args:
            registry: the registry.
            registries: all registries of the account.
        """
        if registry.name in self.registries:
            return True
        # An update creates one registry at most. If the state has the one of an attempt, another registry with an
        # automatic name was created by somebody else.
        own = [candidate for candidate in registries if candidate.name in self.registries]
        attempts = [
            attempt
            for attempt in self.registry_attempts
            if attempt.name or not any(self._covers([attempt], candidate) for candidate in own)
        ]
        tried = self._covers(attempts, registry)
        return tried and not self.other_stack(REGISTRY, registry.name, registry.name)

    def _covers(self, attempts: Sequence[Attempt], resource: Cluster | Registry) -> bool:
        return any(attempt.covers(resource.name, resource.created_at, self.clock_error()) for attempt in attempts)

    def other_stack(self, kind: str, identifier: str, name: str) -> str:
        """The other stack that has a cluster or a registry, if one does."""
        if identifier in {*self.clusters, *self.registries}:
            return ""
        others = self.other_stacks()
        return next((others[kind, key] for key in (identifier, name) if (kind, key) in others), "")


def has_own_node_pool(cluster: Cluster) -> bool:
    """True if the cluster has the node pool that the program gives to its clusters."""
    name = default_pool_name(cluster.name)
    return any(pool.name == name and DEFAULT_POOL_TAG in pool.tags for pool in cluster.node_pools)


def read(stack: Stack, state: State, clock_error: Callable[[], timedelta]) -> Ownership:
    """Reads the stack's history.

    Args:
        stack: the stack.
        state: its state.
        clock_error: difference between this machine's clock and DigitalOcean's.

    Raises:
        OpsError: Pulumi can't read it.
    """
    updates = [_Update.of(entry, stack.project) for entry in history(stack)]
    # A successful update leaves no pending creation: one in the state is younger.
    since = max((update.end for update in updates if update.is_update and update.succeeded), default=None)
    killed = {
        kind: [
            Attempt(operation.name, since)
            for operation in state.pending
            if operation.type == kind and operation.operation == "creating"
        ]
        for kind in (CLUSTER, REGISTRY)
    }
    # The ids of what a successful update created are in its checkpoint. Only failed updates are compared by name and
    # time, by which another stack's resource may match too.
    failed = [update for update in updates if update.is_update and update.registered and not update.succeeded]
    return Ownership(
        clusters=state.of(CLUSTER).keys(),
        registries=state.of(REGISTRY).keys(),
        used_registries=state.read_of(REGISTRY).keys(),
        vpcs=state.of(VPC).keys(),
        cluster_names={update.names.cluster for update in updates if update.names.cluster is not None}
        | {update.name for update in killed[CLUSTER]},
        cluster_attempts=[
            *(
                Attempt(update.names.cluster, update.begin, update.end)
                for update in failed
                if update.names.cluster is not None
            ),
            *killed[CLUSTER],
        ],
        registry_attempts=[
            *(
                Attempt(update.names.registry, update.begin, update.end)
                for update in failed
                if update.names.registry is not None
            ),
            *killed[REGISTRY],
        ],
        clock_error=clock_error,
        other_stacks=functools.cache(lambda: resources_of_other_stacks(stack)),
        earlier_ids=functools.cache(lambda: Backend(stack).earlier_ids(stack)),
        has_history=bool(updates) or bool(state.resources) or bool(state.pending),
    )


class _Update(NamedTuple):
    """An update in Pulumi's history."""

    names: Names
    begin: datetime
    end: datetime
    is_update: bool
    succeeded: bool
    registered: bool
    """False: the program ended before its first resource, and so created none."""

    @classmethod
    def of(cls, document: dict[str, Any], project: str) -> "_Update":
        config = {key: entry.get("value") for key, entry in (document.get("config") or {}).items()}
        # Pulumi Cloud also lists an update that runs, or was killed: that one has no end.
        end = document.get("endTime")
        return cls(
            Names.of(own_keys(project, config)),
            datetime.fromisoformat(document["startTime"]),
            datetime.fromisoformat(end) if end else datetime.now(UTC),
            document["kind"] == "update",
            document["result"] == "succeeded",
            # The stack itself counts as one; empty without a summary, as of a killed update.
            sum((document.get("resourceChanges") or {}).values()) != 1,
        )


def resources_of_other_stacks(stack: Stack) -> dict[tuple[str, str], str]:
    """Reads the resources of the project's other stacks, as in `Ownership.other_stacks`.

    Raises:
        OpsError: Pulumi can't read one of them.
    """
    owners: dict[tuple[str, str], str] = {}
    for listed in stack.pulumi_json("stack", "ls", "--json"):
        name = listed["name"]
        if not stack.is_named(name):
            other = states.read(stack, name)
            owners |= {(kind, identifier): name for kind in (CLUSTER, REGISTRY) for identifier in other.of(kind)}
            owners |= {(pending.type, pending.name): name for pending in other.pending if pending.name}
    return owners
