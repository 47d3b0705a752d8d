"""The cluster's network: a bridge joins the control plane, the nodes and, over one veth pair, the machine.

The bridge is in the control plane's network namespace, where no firewall of the machine's sees it. Each node has a
range of the pods' addresses; every place has a route to each range, so nodes come and go without a change. Entries for
the nodes' hardware addresses are permanent: packets to a node that has gone get no answer, not even an ICMP error.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.cluster.linux_namespaces import Namespaces
from sandbox.cluster.remains import LINK
from sandbox.host.addresses import CONTROL_PLANE, NODE_ADDRESSES, NODE_GATEWAY, PODS, SERVICES

_BRIDGE = "nodes"
_MACHINE = "machine"
_HARDWARE = "02:00:00:74:00:ff"
"""The bridge's own address. By itself it takes one of its ports', another one as soon as that node has gone."""


@dataclass(frozen=True)
class Place:
    """A node's place in the network, by its number from 0 on."""

    number: int

    @property
    def address(self) -> str:
        return NODE_ADDRESSES[self.number]

    @property
    def pods(self) -> str:
        """The range of its pods' addresses."""
        first, second, _ = PODS.split(".", 2)
        return f"{first}.{second}.{self.number}.0/24"

    @property
    def hardware(self) -> str:
        """Its hardware address, whichever node is there."""
        return f"02:00:00:74:00:{self.number:02x}"

    @property
    def port(self) -> str:
        """Its interface on the bridge."""
        return f"node{self.number}"


PLACES = tuple(map(Place, range(len(NODE_ADDRESSES))))


def connect_control_plane(control_plane: Namespaces) -> None:
    """Makes the bridge, and joins the machine to it."""
    _ip("link", "add", LINK, "type", "veth", "peer", "name", _MACHINE, "netns", control_plane.first)
    _ip("address", "add", f"{NODE_GATEWAY}/24", "dev", LINK)
    _ip("link", "set", LINK, "up")
    for place in PLACES:
        _ip(*_neighbour(place, LINK).split()[1:])
    control_plane.run(f"""
ip link add {_BRIDGE} address {_HARDWARE} type bridge
ip link set {_MACHINE} master {_BRIDGE} up
ip address add {CONTROL_PLANE}/24 dev {_BRIDGE}
ip link set {_BRIDGE} up
{_routes(PLACES, _BRIDGE)}
""")


def connect_node(control_plane: Namespaces, node: Namespaces, place: Place) -> None:
    """Joins a node to the bridge."""
    others = [other for other in PLACES if other != place]
    _ip(
        *("link", "add", "eth0", "address", place.hardware, "netns", node.first),
        *("type", "veth", "peer", "name", place.port, "netns", control_plane.first),
    )
    control_plane.run(f"ip link set {place.port} master {_BRIDGE} up")
    node.run(f"""
ip address add {place.address}/24 dev eth0
ip link set eth0 up
# The kubelet's own requests to Services: without any route to them it wouldn't even begin.
ip route add {SERVICES} dev eth0
{_routes(others, "eth0")}
""")


def disconnect_node(control_plane: Namespaces, place: Place) -> None:
    """Takes a node that has ended off the bridge; the kernel does the same, in its own time."""
    command = control_plane.command("ip", "link", "delete", place.port)
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def reach_services(control_plane: Namespaces, place: Place) -> None:
    """Routes the API server's requests to Services, such as webhooks, over a node and its kube-proxy."""
    control_plane.run(f"ip route replace {SERVICES} via {place.address}")


def _routes(places: Iterable[Place], device: str) -> str:
    """Returns the commands that add routes from a network namespace to nodes and their pods."""
    routes = (f"ip route add {place.pods} via {place.address}\n{_neighbour(place, device)}" for place in places)
    return "\n".join(routes)


def _neighbour(place: Place, device: str) -> str:
    return f"ip neighbour replace {place.address} lladdr {place.hardware} nud permanent dev {device}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
