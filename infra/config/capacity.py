"""Room for the stack's pods on its nodes, also while they are updated. Pure arithmetic."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from infra.config.settings import Settings
from infra.config.types import quantity

Requests = Mapping[str, str]
KONG: Requests = {"cpu": "40m", "memory": "128Mi"}
KONG_CONTROLLER: Requests = {"cpu": "10m", "memory": "96Mi"}
RATE_LIMIT_STORE: Requests = {"cpu": "10m", "memory": "16Mi"}
PROMETHEUS: Requests = {"cpu": "20m", "memory": "48Mi"}
GRAFANA: Requests = {"cpu": "20m", "memory": "64Mi"}
CERT_MANAGER: Mapping[str, Requests] = {
    "controller": {"cpu": "10m", "memory": "32Mi"},
    "webhook": {"cpu": "10m", "memory": "16Mi"},
    "cainjector": {"cpu": "10m", "memory": "24Mi"},
}
"""So small that they fit on the smallest node beside DigitalOcean's own pods; limits are what a busy pod needs."""

_MIB = 2**20


class Amount(NamedTuple):
    """Thousandths of a CPU, and MiB."""

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


DOKS_NODE = Amount(512, 465)
"""Requests of DigitalOcean's own pods on each node: cilium, konnectivity, node agents (`kubectl describe node`)."""
DOKS_CLUSTER = Amount(200, 286)
"""Requests of the two pods of CoreDNS, once in a cluster."""
_RESERVED_CPU = 100
"""Thousandths of a CPU of each node that no pod gets."""
_NODE_MEMORY = {2048: 1574, 4096: 2560, 8192: 6144, 16384: 13312, 32768: 28672}
"""MiB for pods by the Droplet's MiB: measured for the smallest; else of DigitalOcean's Kubernetes limits page."""


class NodeSize(NamedTuple):
    """A Droplet size."""

    vcpus: int
    memory: int
    """MiB"""

    @property
    def allocatable(self) -> Amount:
        """The part of a node that pods get."""
        largest = max((each for each in _NODE_MEMORY if each <= self.memory), default=0)
        memory = _NODE_MEMORY[largest] + self.memory - largest if largest else 0
        return Amount(self.vcpus * 1000 - _RESERVED_CPU, memory)


def node_size(slug: str) -> NodeSize | None:
    """Reads a slug such as s-1vcpu-2gb; None for one that doesn't name vCPUs and memory."""
    match = re.search(r"-(\d+)vcpu-(\d+)gb", slug)
    return NodeSize(int(match[1]), int(match[2]) * 1024) if match else None


def requests(settings: Settings) -> Iterator[tuple[str, Amount, int]]:
    """Yields each kind of pod of the stack, with what one of them requests and how many there are."""
    yield "Kong", _amount(KONG, KONG_CONTROLLER), settings.gateway.replicas
    if settings.needs_rate_limit_store:
        yield "rate-limit store", _amount(RATE_LIMIT_STORE), 1
    if settings.gateway.monitoring:
        yield "Prometheus", _amount(PROMETHEUS), 1
        if settings.gateway.monitoring.grafana:
            yield "Grafana", _amount(GRAFANA), 1
    if settings.tls:
        for name, container in CERT_MANAGER.items():
            yield f"cert-manager's {name}", _amount(container), 1
    for workload in settings.workloads:
        amount = _amount(workload.resources.requests.model_dump())
        for name, version in workload.versions.items():
            yield f"service {name}", amount, version.replicas


def shortage(settings: Settings, size: NodeSize) -> str:
    """Returns why the pods don't fit on the nodes while one is updated, with the fix; empty if they fit.

    An update starts a new pod before it ends the old one: one more pod of Kong, or of the largest service, has to fit.
    """
    nodes = settings.node_count
    if _fits(settings, size, nodes):
        return ""
    pods = [each for _, each, count in requests(settings) for _ in range(count)]
    total = Amount(0, 0)
    for each in [*pods, _surge(settings)]:
        total = total.plus(each)
    room = size.allocatable.minus(DOKS_NODE)
    free = Amount(room.cpu * nodes - DOKS_CLUSTER.cpu, room.memory * nodes - DOKS_CLUSTER.memory)
    named = f"{nodes} node{'s' * (nodes > 1)} {settings.node_size}"
    enough = next((count for count in range(nodes + 1, nodes + 65) if _fits(settings, size, count)), None)
    fix = f"pulumi config set nodeCount {enough}" if enough else "a larger nodeSize, or smaller resources.requests"
    return (
        f"the pods request {total} while one of them is updated, and {named} offer {free} beside DigitalOcean's own "
        f"pods; fix: {fix}"
    )


def _fits(settings: Settings, size: NodeSize, nodes: int) -> bool:
    """True if the scheduler finds a node for every pod, the largest one first."""
    free = [size.allocatable.minus(DOKS_NODE) for _ in range(nodes)]
    pods = [each for _, each, count in requests(settings) for _ in range(count)]
    half = Amount(DOKS_CLUSTER.cpu // 2, DOKS_CLUSTER.memory // 2)
    for pod in sorted([*pods, _surge(settings), half, half], reverse=True):
        place = next((index for index, room in enumerate(free) if room.holds(pod)), None)
        if place is None:
            return False
        free[place] = free[place].minus(pod)
    return True


def _surge(settings: Settings) -> Amount:
    """The most that a new pod of Kong or of a service needs during an update; monitoring's old pod ends first."""
    rolling = [each for name, each, _ in requests(settings) if name == "Kong" or name.startswith("service ")]
    return Amount(max(each.cpu for each in rolling), max(each.memory for each in rolling))


def _amount(*containers: Requests) -> Amount:
    return Amount(
        sum(math.ceil(round(quantity(each["cpu"]) * 1000, 3)) for each in containers),
        sum(math.ceil(quantity(each["memory"]) / _MIB) for each in containers),
    )
