"""Builders of NetworkPolicies: the parts from which each package makes its own policies.

Cilium, which enforces policies on DOKS, matches pods, nodes and the API server by identity: an `ipBlock` never matches
one of these, whatever its address. So a rule for a process that may run on a node has a port and no peer. Ports are
those of pods, not of Services. The kubelet's probes come from the node and always pass.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import pulumi
from pulumi_kubernetes import meta, networking

from infra.config.network import Egress
from infra.kubernetes.labels import SERVICE_LABEL

EgressRule = networking.v1.NetworkPolicyEgressRuleArgs
IngressRule = networking.v1.NetworkPolicyIngressRuleArgs
Peer = networking.v1.NetworkPolicyPeerArgs
Policy = networking.v1.NetworkPolicySpecArgs
Selector = meta.v1.LabelSelectorArgs

GATEWAY_PODS = Selector(match_labels={"app.kubernetes.io/name": "kong", "app.kubernetes.io/instance": "kong"})
"""The pods of Kong's release."""
METRICS_PORT = 8100

# Private addresses are the account's other machines, and without Cilium the API server's. 169.254.169.254, the cloud's
# metadata service, serves the data that the node was started with.
_PUBLIC_ADDRESSES = {
    "0.0.0.0/0": ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
    "::/0": ["fc00::/7", "fe80::/10"],
}


def ports(
    *numbers: pulumi.Input[int | str], protocols: Sequence[str] = ("TCP",)
) -> list[networking.v1.NetworkPolicyPortArgs]:
    """Returns ports by number or, as each pod has it, by name."""
    return [
        networking.v1.NetworkPolicyPortArgs(port=number, protocol=protocol)
        for number in numbers
        for protocol in protocols
    ]


# DNS may be a pod, or a process of the node as NodeLocal DNSCache is.
DNS = EgressRule(ports=ports(53, protocols=("UDP", "TCP")))


def policy(selector: Selector, ingress: Sequence[IngressRule] = (), egress: Sequence[EgressRule] = ()) -> Policy:
    """Returns a policy that allows the selected pods these connections and no others."""
    return Policy(
        pod_selector=selector,
        policy_types=["Ingress", "Egress"],
        ingress=[*ingress] or None,
        egress=[*egress] or None,
    )


def service_pods(services: Iterable[str]) -> Selector:
    """Selects the pods of services, in all their versions."""
    return Selector(
        match_expressions=[meta.v1.LabelSelectorRequirementArgs(key=SERVICE_LABEL, operator="In", values=[*services])]
    )


def namespace_selector(name: str) -> Selector:
    # Kubernetes sets this label on every namespace.
    return Selector(match_labels={"kubernetes.io/metadata.name": name})


def namespace_peer(name: str, pods: Selector | None = None) -> Peer:
    """The pods of a namespace, or those of them that the selector matches."""
    return Peer(namespace_selector=namespace_selector(name), pod_selector=pods)


def api_server_egress(api_ports: Sequence[pulumi.Input[int]]) -> EgressRule:
    """Allows connections to the API servers, which are processes of a node or of DigitalOcean."""
    return EgressRule(ports=ports(*api_ports))


def egress_rules(egress: Egress) -> Iterator[EgressRule]:
    """Allows the connections that a section of the configuration names."""
    peers = [namespace_peer(name) for name in egress.namespaces]
    peers += [_block(str(network)) for network in egress.networks]
    if egress.internet:
        peers += [_block(cidr, excluded) for cidr, excluded in _PUBLIC_ADDRESSES.items()]
    if peers:
        yield EgressRule(to=peers)


def url_egress(url: str, own_namespace: str, *, internet: bool = True) -> Iterator[EgressRule]:
    """Allows connections to the host of a URL: a Service object by its DNS name, an address, or any other name.

    Any other name is one of a public address, and allowed only with `internet`.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    blocks: Mapping[str, Sequence[str]] = _PUBLIC_ADDRESSES
    namespace: str | None = None
    match host.rstrip(".").split("."):
        case [_]:
            namespace, blocks = own_namespace, {}
        case [_, named, "svc", *_]:
            namespace, blocks = named, {}
        case [_, named]:
            namespace = named
        case labels if all(label.isdecimal() for label in labels):
            blocks = {f"{host}/32": ()}
    if namespace:
        # Only the Service object has the ports of its pods, so all ports are allowed.
        yield EgressRule(to=[namespace_peer(namespace)])
    if blocks and (internet or blocks is not _PUBLIC_ADDRESSES):
        yield EgressRule(to=[_block(cidr, excluded) for cidr, excluded in blocks.items()], ports=ports(port))


def _block(cidr: str, excluded: Sequence[str] = ()) -> Peer:
    return Peer(ip_block=networking.v1.IPBlockArgs(cidr=cidr, except_=[*excluded] or None))
