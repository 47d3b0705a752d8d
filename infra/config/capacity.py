"""Room for the stack's pods on its nodes, also while they are updated. Pure arithmetic."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from infra.config.node_pools import DEFAULT_POOL, MAX_NODES
from infra.config.pod_resources import (
    CERT_MANAGER,
    GRAFANA,
    KONG,
    KONG_CONTROLLER,
    METRICS_SERVER,
    PROMETHEUS,
    RATE_LIMIT_STORE,
)
from infra.config.settings import Settings
from infra.config.types import quantity

_MIB = 2**20


class Amount(NamedTuple):
    """An amount of CPU in thousandths, and of memory in MiB."""

    cpu: int
    memory: int

    def __str__(self) -> str:
        return f"{self.cpu}m CPU and {self.memory} MiB"

    def plus(self, other: "Amount") -> "Amount":
        return Amount(self.cpu + other.cpu, self.memory + other.memory)

    def minus(self, other: "Amount") -> "Amount":
        return Amount(self.cpu - other.cpu, self.memory - other.memory)

    def holds(self, other: "Amount") -> bool:
        return self.cpu >= other.cpu and self.memory >= other.memory


def total_requests(*containers: Mapping[str, str]) -> Amount:
    """Returns the sum of Kubernetes quantities, each rounded up; a missing one counts as 0."""
    return Amount(
        sum(math.ceil(round(quantity(container.get("cpu", "0")) * 1000, 3)) for container in containers),
        sum(math.ceil(quantity(container.get("memory", "0")) / _MIB) for container in containers),
    )


DOKS_NODE = Amount(512, 465)
"""Requests of DigitalOcean's own pods on each node: cilium, konnectivity, node agents (`kubectl describe node`)."""
DOKS_CLUSTER = Amount(200, 286)
"""Requests of the two pods of CoreDNS, once in a cluster."""
_TRIED_NODES = 64
"""More nodes that a fix may propose."""
_RESERVED_CPU = 100
"""Thousandths of a CPU of each node that no pod gets."""
_NODE_MEMORY = {2048: 1574, 4096: 2560, 8192: 6144, 16384: 13312, 32768: 28672}
"""MiB for pods by the Droplet's MiB: the smallest was measured, the rest is from the Kubernetes limits page."""


class NodeSize(NamedTuple):
    """A Droplet size."""

    vcpus: int
    memory: int
    """MiB"""

    @property
    def allocatable(self) -> Amount:
        """The part of a node that pods get."""
        largest = max((step for step in _NODE_MEMORY if step <= self.memory), default=0)
        memory = _NODE_MEMORY[largest] + self.memory - largest if largest else 0
        return Amount(self.vcpus * 1000 - _RESERVED_CPU, memory)


def node_size(slug: str) -> NodeSize | None:
    """Reads a slug such as s-1vcpu-2gb; None for one that doesn't name vCPUs and memory."""
    match = re.search(r"-(\d+)vcpu-(\d+)gb", slug)
    return NodeSize(int(match[1]), int(match[2]) * 1024) if match else None


class Pod(NamedTuple):
    """A pod of the stack: what it requests, and where it may run."""

    amount: Amount
    pool: str | None = None
    """The node pool that it runs on; None: any whose taints don't repel it."""


class PodKind(NamedTuple):
    """Equal pods of the stack."""

    name: str
    pod: Pod
    most: int = 1
    """The largest number of pods."""
    surges: bool = False
    """True if an update starts a new pod before it ends an old one."""


def pod_kinds(settings: Settings) -> Iterator[PodKind]:
    """Yields each kind of pod of the stack."""
    yield PodKind("Kong", Pod(total_requests(KONG, KONG_CONTROLLER)), settings.gateway.max_replicas, surges=True)
    if settings.needs_rate_limit_store:
        yield PodKind("rate-limit store", Pod(total_requests(RATE_LIMIT_STORE)))
    if settings.installs_metrics_server:
        yield PodKind("metrics-server", Pod(total_requests(METRICS_SERVER)))
    if settings.gateway.monitoring:
        yield PodKind("Prometheus", Pod(total_requests(PROMETHEUS)))
        if settings.gateway.monitoring.grafana:
            yield PodKind("Grafana", Pod(total_requests(GRAFANA)))
    if settings.tls:
        for name, container in CERT_MANAGER.items():
            yield PodKind(f"cert-manager's {name}", Pod(total_requests(container)))
    for workload in settings.workloads:
        pod = Pod(total_requests(workload.resources.requests.model_dump()), workload.pool)
        for name, version in workload.versions.items():
            yield PodKind(f"service {name}", pod, version.max_replicas, surges=True)


class Shortage(NamedTuple):
    """Why the pods don't fit on the nodes of a pool."""

    key: str
    """Key of the pool in the stack file."""
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.problem}; fix: {self.fix}"


SizeOf = Callable[[str], NodeSize | None]
"""Looks up a Droplet size by its slug; None: its vCPUs and memory are unknown."""


def shortage(settings: Settings, size_of: SizeOf = node_size) -> Shortage | None:
    """Returns why the pods don't fit on the nodes while one is updated; None if they fit.

    An update starts a new pod before it ends the old one: one more pod of Kong, or of the largest service, has to fit.
    An autoscaled pool counts with its largest number of nodes. A pool of unknown size has room for everything.
    """
    nodes = {key: pool.most for key, pool in settings.all_pools.items()}
    sizes = {key: size for key, pool in settings.all_pools.items() if (size := size_of(pool.size))}
    place = _full_pool(settings, sizes, nodes)
    if place is None:
        return None
    total = Amount(0, 0)
    for pod in _pods(settings):
        if (pod.pool or DEFAULT_POOL) == place:
            total = total.plus(pod.amount)
    count, room = nodes[place], sizes[place].allocatable.minus(DOKS_NODE)
    own = DOKS_CLUSTER if place == DEFAULT_POOL else Amount(0, 0)
    free = Amount(room.cpu * count - own.cpu, room.memory * count - own.memory)
    named = f"{count} node{'s' * (count > 1)} {settings.all_pools[place].size}"
    others = sum(number for key, number in nodes.items() if key != place)
    most_nodes = min(count + _TRIED_NODES, MAX_NODES - others)
    enough = next(
        (
            more
            for more in range(count + 1, most_nodes + 1)
            if _full_pool(settings, sizes, nodes | {place: more}) != place
        ),
        None,
    )
    key = _count_key(settings, place) if enough else _size_key(place)
    path = "--path " if "." in key else ""
    most = ", at the max of autoscale," if settings.has_autoscale else ""
    return Shortage(
        key,
        f"the pods{most} request {total} while one of them is updated, and {named} offer {free} "
        "beside DigitalOcean's own pods",
        f"pulumi config set {path}{key} {enough}" if enough else f"a larger {key}, or smaller resources.requests",
    )


def _count_key(settings: Settings, place: str) -> str:
    """The key of a pool's largest number of nodes."""
    scaled = settings.all_pools[place].autoscale
    if place == DEFAULT_POOL:
        return "nodeAutoscale.max" if scaled else "nodeCount"
    return f"nodePools.{place}.{'autoscale.max' if scaled else 'count'}"


def _size_key(place: str) -> str:
    return "nodeSize" if place == DEFAULT_POOL else f"nodePools.{place}.size"


def _full_pool(settings: Settings, sizes: Mapping[str, NodeSize], nodes: Mapping[str, int]) -> str | None:
    """Returns the pool in which the scheduler finds no node for a pod, the largest ones first; None if all fit."""
    free = [(key, size.allocatable.minus(DOKS_NODE)) for key, size in sizes.items() for _ in range(nodes[key])]
    open_pools = [key for key, pool in settings.all_pools.items() if not pool.repels]
    half = Amount(DOKS_CLUSTER.cpu // 2, DOKS_CLUSTER.memory // 2)
    pods = [*_pods(settings), Pod(half), Pod(half)]
    for pod in sorted(pods, key=lambda pod: pod.amount, reverse=True):
        places = [pod.pool] if pod.pool else open_pools
        if any(place not in sizes for place in places):
            continue
        index = next(
            (index for index, (key, room) in enumerate(free) if key in places and room.holds(pod.amount)), None
        )
        if index is None:
            return pod.pool or DEFAULT_POOL
        key, room = free[index]
        free[index] = key, room.minus(pod.amount)
    return None


def _pods(settings: Settings) -> list[Pod]:
    """Returns all pods, with those that exist during an update only."""
    pods = [kind.pod for kind in pod_kinds(settings) for _ in range(kind.most)]
    return [*pods, *_surges(settings)]


def _surges(settings: Settings) -> Iterator[Pod]:
    """Yields the largest new pod of an update for each place that it may run in.

    One rollout at a time adds a pod to a pool.
    """
    rolling = [kind.pod for kind in pod_kinds(settings) if kind.surges]
    for place in dict.fromkeys(pod.pool for pod in rolling):
        amounts = [pod.amount for pod in rolling if pod.pool == place]
        yield Pod(Amount(max(amount.cpu for amount in amounts), max(amount.memory for amount in amounts)), place)
