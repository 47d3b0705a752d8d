"""Addresses of the sandbox's parts: loopback, but for the cluster's control plane and nodes."""

from urllib.parse import urlsplit

API = "http://127.0.0.1:7070"
"""DigitalOcean's API v2 (stand-in)."""

CHARTS = "http://127.0.0.1:7071"
"""Helm chart repository."""

STATE = "http://127.0.0.1:5555"
"""The object storage that keeps Pulumi's state, as Spaces would."""

KUBERNETES_PORT = 16443

REGISTRY = "127.0.0.1:5500"
"""DigitalOcean's container registry; the API issues its tokens."""

MIRROR = "127.0.0.1:5501"
"""The sandbox's mirror of Docker Hub."""

LOAD_BALANCERS = "127.77.0.0/24"
"""Load balancers take addresses from .10 on."""

FIRST_LOAD_BALANCER = "127.77.0.10"

CONTROL_PLANE = "10.116.0.2"
"""The cluster's API server."""

NODE_ADDRESSES = tuple(f"10.116.0.{10 + number}" for number in range(6))
"""The cluster's nodes: the addresses for their NodePorts. A veth pair is their only link to the machine."""

NODE = NODE_ADDRESSES[0]
"""The first node that a cluster begins with."""

SERVICES = "10.96.0.0/16"
"""The cluster's Services."""

PODS = "10.244.0.0/16"
"""The cluster's pods."""

NODE_GATEWAY = "10.116.0.1"
"""The machine's address for nodes and pods, and the only address outside the cluster that they reach."""

ACME_PORT = 14000

ACME = f"https://{NODE_GATEWAY}:{ACME_PORT}/dir"
"""The directory of the ACME authority, for stacks with a domain."""


def address(url: str) -> tuple[str, int]:
    """The host and port of a URL or of `//host:port`.

    Raises:
        ValueError: it names no host, or no port.
    """
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        raise ValueError(url)
    return parts.hostname, parts.port
