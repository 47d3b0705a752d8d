"""The data of all checks, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.config import namespaces as namespaces_of_stack
from infra.config.settings import Settings
from ops.account.dns import domain_records, own_record
from ops.account.documents import Record
from ops.account.inventory import Inventory, inventory
from ops.account.ownership import Names
from ops.account.ownership import read as read_ownership
from ops.cluster import helm_records
from ops.cluster.client import Kubernetes, connected
from ops.cluster.nodes import Node, unavailable
from ops.cluster.objects import Comparison, compare, compare_release
from ops.cluster.pods import Container, containers, pods
from ops.cluster.refusals import Refusal, refusals
from ops.digitalocean import Api
from ops.errors import OpsError
from ops.pulumi import state as states
from ops.pulumi.backend import Lock
from ops.pulumi.stack import Stack
from ops.pulumi.state import State


@dataclass(frozen=True)
class ClusterView:
    """Releases, objects, pods and nodes of the stack's cluster.

    Attributes:
        installed: the objects of the stack's Helm releases, by the record of the revision that installed them.
        failing: containers that don't become ready.
        unavailable: nodes that accept no pod.
        refused: objects that Kong doesn't accept.
    """

    id: str
    releases: list[helm_records.Record]
    objects: Comparison
    installed: Mapping[helm_records.Record, Comparison]
    failing: list[Container]
    unavailable: list[Node]
    refused: list[Refusal]


@dataclass(frozen=True)
class Snapshot:
    """A stack with its account and its cluster at one moment."""

    settings: Settings
    names: Names
    locks: list[Lock]
    state: State
    inventory: Inventory
    a_records: Mapping[str, list[Record]] = field(default_factory=dict)
    """The A records of the stack's domain, by zone."""
    own_records: Mapping[str, Record | None] = field(default_factory=dict)
    """The records of the state, by id; None for one that was deleted by hand."""
    missing_file: str = ""
    """The name of the stack's file, if that isn't there."""
    cluster: ClusterView | None = None
    not_read: list[str] = field(default_factory=list)
    """Parts that couldn't be read, and why."""


def read(api: Api, stack: Stack, locks: list[Lock]) -> Snapshot:
    """Reads the state, the account and the cluster.

    Raises:
        OpsError: state or account can't be read. A cluster that doesn't answer is noted in the snapshot.
    """
    state = states.read(stack)
    names = Names.of(stack.values)
    billed = inventory(api, names, read_ownership(stack, state, api.clock_error))
    cluster, not_read = _cluster(api, stack.settings, state, billed)
    return Snapshot(
        settings=stack.settings,
        names=names,
        locks=locks,
        state=state,
        inventory=billed,
        a_records={
            zone: [record for record in records if record.type == "A"]
            for zone, records in domain_records(api, stack.settings).items()
        },
        own_records={
            identifier: own_record(api, identifier, resource)
            for identifier, resource in state.of(states.RECORD).items()
        },
        missing_file=stack.missing_file,
        cluster=cluster,
        not_read=not_read,
    )


def _cluster(api: Api, settings: Settings, state: State, inventory: Inventory) -> tuple[ClusterView | None, list[str]]:
    if settings.kube_context:
        return None, [f"the cluster of kubeContext {settings.kube_context}"]
    # An id that the account doesn't have is a finding of its own.
    known = [inventory.clusters[key] for key in state.of(states.CLUSTER) if key in inventory.clusters]
    cluster = next((cluster for cluster in known if cluster.runs), None)
    if cluster is None:
        return None, [f"the inside of cluster {cluster.id}: it is {cluster.status.state}" for cluster in known]
    try:
        with connected(api, cluster.id) as kubernetes:
            return _view(kubernetes, cluster.id, settings, state), []
    except OpsError as error:
        return None, [f"the inside of the cluster: {error}"]


def _view(kubernetes: Kubernetes, identifier: str, settings: Settings, state: State) -> ClusterView:
    namespaces = [settings.namespace, *namespaces_of_stack.RESERVED]
    failing = [
        container
        for namespace in namespaces
        for pod in pods(kubernetes, namespace)
        for container in containers(pod)
        if container.is_failing
    ]
    records = helm_records.records(kubernetes)
    known = state.names(states.RELEASE)
    installed = {
        record: compare_release(kubernetes, record.namespace, helm_records.manifest(kubernetes, record))
        for record in records
        if record.is_deployed
        and record.release in known
        and helm_records.NAMESPACES[record.release] == record.namespace
    }
    return ClusterView(
        id=identifier,
        releases=records,
        objects=compare(kubernetes, state),
        installed=installed,
        failing=failing,
        unavailable=list(unavailable(kubernetes)),
        refused=list(refusals(kubernetes)),
    )
