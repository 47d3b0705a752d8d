"""NetworkPolicies: pods talk to whom the stack, or its configuration, says, and to nobody else.

DigitalOcean's clusters enforce them with Cilium, which knows pods, nodes and the API server by what they are: there an
`ipBlock` never matches one of these, whatever its address. So what may be on a node is allowed by port alone. Ports are
those of pods: policies apply behind Services. The kubelet's probes come from the node and always pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

import pulumi
from pulumi_kubernetes import meta, networking

from infra.config.aggregate import Aggregate
from infra.config.gateway import GatewayPolicies, Tracing
from infra.config.network import Egress
from infra.config.service import Service

Workload = Service | Aggregate
Outward = networking.v1.NetworkPolicyEgressRuleArgs
Inward = networking.v1.NetworkPolicyIngressRuleArgs
Peer = networking.v1.NetworkPolicyPeerArgs
Policy = networking.v1.NetworkPolicySpecArgs
Port = networking.v1.NetworkPolicyPortArgs

SERVICE_LABEL = "kong-doks/service"
"""A label of pods: whose they are. All versions of a service have it, those that come or go with an update too."""
GATEWAY_PODS = {"app.kubernetes.io/name": "kong", "app.kubernetes.io/instance": "kong"}
"""The labels of the pods of Kong's release."""
SOLVER_PODS = {"acme.cert-manager.io/http01-solver": "true"}
"""The labels of cert-manager's pods, in the services' namespace, that answer an ACME server."""
PROXY_PORTS = (8000, 8443)
METRICS_PORT = 8100

# 169.254.169.254, the cloud's metadata, tells whoever asks what the node was started with.
_ANY = {"0.0.0.0/0": ["169.254.0.0/16"], "::/0": ["fe80::/10"]}
_PUBLIC = {
    "0.0.0.0/0": ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"],
    "::/0": ["fc00::/7", "fe80::/10"],
}
# DNS may be a pod or a process of the node, as NodeLocal DNSCache is.
_DNS = Outward(ports=[Port(port=53, protocol=protocol) for protocol in ("UDP", "TCP")])


def closed(
    namespace: pulumi.Output[str], policies: Mapping[str, Policy], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The namespace's name, once the policies are there: for all that may not be there before."""
    made = [
        networking.v1.NetworkPolicy(
            name, metadata=meta.v1.ObjectMetaArgs(name=name, namespace=namespace), spec=policy, opts=opts
        ).metadata.name
        for name, policy in policies.items()
    ]
    return pulumi.Output.all(namespace, *made).apply(lambda known: str(known[0]))


def default_deny() -> Mapping[str, Policy]:
    """Nothing in, nothing out, for every pod of the namespace that no other policy is about."""
    # The other policies have names of services, in which there is no dot.
    return {"default.deny": _policy(meta.v1.LabelSelectorArgs())}


def solver_policy(gateway_namespace: str) -> Mapping[str, Policy]:
    """For the pods by which cert-manager answers an ACME server: the question comes through the gateway."""
    # No service has a dot in its name.
    solvers = meta.v1.LabelSelectorArgs(match_labels=SOLVER_PODS)
    return {"acme.solver": _policy(solvers, inward=[Inward(from_=[_kong(gateway_namespace)])])}


def service_policies(
    services: Sequence[Workload], gateway_namespace: str, namespace: str, tracing: Tracing | None
) -> Mapping[str, Policy]:
    """For each service: in comes the gateway, to the service's port."""
    ports = {service.name: service.port for service in services}

    def policy(service: Workload) -> Policy:
        callers = [other.name for other in services if service.name in other.calls]
        others = [Peer(pod_selector=_pods(callers))] if callers else []
        others += [Peer(namespace_selector=_namespace(name)) for name in service.ingress.namespaces]
        return _policy(
            _pods([service.name]),
            inward=[Inward(from_=[_kong(gateway_namespace), *others], ports=[Port(port=service.port, protocol="TCP")])],
            outward=[
                _DNS,
                *_outward(service.egress),
                *(_collector(tracing.url, namespace) if tracing and service.tracing else ()),
                *(
                    Outward(to=[Peer(pod_selector=_pods([name]))], ports=[Port(port=ports[name], protocol="TCP")])
                    for name in sorted(service.calls)
                ),
            ],
        )

    return {service.name: policy(service) for service in services}


def gateway_policy(
    *,
    metrics: bool,
    api_ports: Sequence[pulumi.Input[int]],
    outward: Sequence[Outward],
    counters: Mapping[str, str] | None = None,
) -> Mapping[str, Policy]:
    """For Kong: requests come in from everywhere, and the cluster's pods read the metrics, if there are any.

    Args:
        metrics: whether there are.
        api_ports: where the cluster's API servers listen.
        outward: where Kong may connect to besides.
        counters: labels of the pods in Kong's namespace that it counts with, if there are any; only it reaches them.
    """
    inward = [Inward(ports=[Port(port=port, protocol="TCP") for port in PROXY_PORTS])]
    if metrics:
        every_pod = Peer(namespace_selector=meta.v1.LabelSelectorArgs())
        inward.append(Inward(from_=[every_pod], ports=[Port(port=METRICS_PORT, protocol="TCP")]))
    to_api = _to_api(api_ports)
    selector = meta.v1.LabelSelectorArgs(match_labels=GATEWAY_PODS)
    kong = [_DNS, to_api, *outward]
    if not counters:
        return {"kong": _policy(selector, inward=inward, outward=kong)}
    counting = meta.v1.LabelSelectorArgs(match_labels=counters)
    kong.append(Outward(to=[Peer(pod_selector=counting)]))
    into_counters = Inward(from_=[Peer(pod_selector=selector)])
    return {
        "kong": _policy(selector, inward=inward, outward=kong),
        "rate-limits": _policy(counting, inward=[into_counters]),
    }


def monitoring_policy(gateway_namespace: str, api_ports: Sequence[pulumi.Input[int]]) -> Mapping[str, Policy]:
    """For all pods of monitoring's namespace: they reach each other, Kong's metrics and the API servers.

    Args:
        gateway_namespace: Kong's.
        api_ports: as of the gateway.
    """
    all_pods = meta.v1.LabelSelectorArgs()
    each_other = Peer(pod_selector=all_pods)
    metrics = Outward(to=[_kong(gateway_namespace)], ports=[Port(port=METRICS_PORT, protocol="TCP")])
    outward = [_DNS, _to_api(api_ports), Outward(to=[each_other]), metrics]
    return {"monitoring": _policy(all_pods, inward=[Inward(from_=[each_other])], outward=outward)}


def gateway_egress(
    policies: GatewayPolicies, services: Sequence[Workload], namespace: str, gateway_namespace: str, *, solvers: bool
) -> list[Outward]:
    """Where Kong connects to: the services, the collectors that its configuration names, and what it says besides.

    Args:
        policies: its configuration.
        services: all that it has routes to.
        namespace: theirs.
        gateway_namespace: its own.
        solvers: whether cert-manager answers ACME servers by it.
    """
    collectors = [collector.url for collector in (policies.http_log, policies.tracing) if collector]
    rules = [rule for url in collectors for rule in _collector(url, gateway_namespace)]
    if services:
        pods = Peer(namespace_selector=_namespace(namespace), pod_selector=_pods([each.name for each in services]))
        rules.append(Outward(to=[pods]))
    if solvers:
        pods = Peer(
            namespace_selector=_namespace(namespace), pod_selector=meta.v1.LabelSelectorArgs(match_labels=SOLVER_PODS)
        )
        rules.append(Outward(to=[pods]))
    return [*rules, *_outward(policies.egress)]


def _collector(url: str, own_namespace: str) -> Iterator[Outward]:
    """To a host, which may be a Service of the cluster, in the words of its DNS, or anything else."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    networks: Mapping[str, Sequence[str]] = _ANY
    namespace: str | None = None
    match host.rstrip(".").split("."):
        case [_]:
            namespace, networks = own_namespace, {}
        case [_, named, "svc", *_]:
            namespace, networks = named, {}
        case [_, named]:
            namespace = named
        case labels if all(label.isdecimal() for label in labels):
            networks = {f"{host}/32": ()}
    if namespace:
        # Which port its pods have the Service alone knows.
        yield Outward(to=[Peer(namespace_selector=_namespace(namespace))])
    if networks:
        to = [_block(cidr, *besides) for cidr, besides in networks.items()]
        yield Outward(to=to, ports=[Port(port=port, protocol="TCP")])


def _outward(egress: Egress) -> Iterator[Outward]:
    peers = [Peer(namespace_selector=_namespace(name)) for name in egress.namespaces]
    peers += [_block(str(network)) for network in egress.networks]
    if egress.internet:
        peers += [_block(cidr, *besides) for cidr, besides in _PUBLIC.items()]
    if peers:
        yield Outward(to=peers)


def _kong(namespace: str) -> Peer:
    return Peer(
        namespace_selector=_namespace(namespace), pod_selector=meta.v1.LabelSelectorArgs(match_labels=GATEWAY_PODS)
    )


def _to_api(ports: Sequence[pulumi.Input[int]]) -> Outward:
    return Outward(ports=[Port(port=port, protocol="TCP") for port in ports])


def _policy(
    selector: meta.v1.LabelSelectorArgs, inward: Sequence[Inward] = (), outward: Sequence[Outward] = ()
) -> Policy:
    return Policy(
        pod_selector=selector,
        policy_types=["Ingress", "Egress"],
        ingress=[*inward] or None,
        egress=[*outward] or None,
    )


def _pods(services: Sequence[str]) -> meta.v1.LabelSelectorArgs:
    return meta.v1.LabelSelectorArgs(
        match_expressions=[meta.v1.LabelSelectorRequirementArgs(key=SERVICE_LABEL, operator="In", values=[*services])]
    )


def _namespace(name: str) -> meta.v1.LabelSelectorArgs:
    # Every namespace has this label, by Kubernetes itself.
    return meta.v1.LabelSelectorArgs(match_labels={"kubernetes.io/metadata.name": name})


def _block(cidr: str, *besides: str) -> Peer:
    return Peer(ip_block=networking.v1.IPBlockArgs(cidr=cidr, except_=[*besides] or None))
