"""NetworkPolicies of Kong, its rate-limit store and cert-manager's solvers."""

from collections.abc import Iterator, Mapping, Sequence

import pulumi

from infra.config import namespaces
from infra.config.settings import Settings
from infra.gateway.rate_limit_store import PODS as STORE_PODS
from infra.kubernetes.network_policy import (
    DNS,
    GATEWAY_PODS,
    METRICS_PORT,
    EgressRule,
    IngressRule,
    Peer,
    Policy,
    Selector,
    api_server_egress,
    egress_rules,
    namespace_peer,
    policy,
    ports,
    service_pods,
    url_egress,
)

_PROXY_PORTS = (8000, 8443)
_SOLVER_PODS = Selector(match_labels={"acme.cert-manager.io/http01-solver": "true"})
"""Pods of cert-manager, in the services' namespace, that answer an ACME server."""


def gateway_policies(config: Settings, api_ports: Sequence[pulumi.Input[int]]) -> Mapping[str, Policy]:
    """Returns the policies of Kong's namespace: requests come from everywhere, metrics are for the cluster's pods.

    Args:
        config: of the stack.
        api_ports: ports of the cluster's API servers.
    """
    ingress = [IngressRule(ports=ports(*_PROXY_PORTS))]
    if config.gateway.has_metrics:
        ingress.append(IngressRule(from_=[Peer(namespace_selector=Selector())], ports=ports(METRICS_PORT)))
    egress = [DNS, api_server_egress(api_ports), *_egress(config)]
    if not config.needs_rate_limit_store:
        return {"kong": policy(GATEWAY_PODS, ingress, egress)}
    egress.append(EgressRule(to=[Peer(pod_selector=STORE_PODS)]))
    return {
        "kong": policy(GATEWAY_PODS, ingress, egress),
        "rate-limits": policy(STORE_PODS, [IngressRule(from_=[Peer(pod_selector=GATEWAY_PODS)])]),
    }


def _egress(config: Settings) -> Iterator[EgressRule]:
    """Allows Kong to connect to collectors, to the services, to ACME solvers, and to what the stack file names."""
    gateway = config.gateway
    for collector in (gateway.http_log, gateway.tracing):
        if collector:
            yield from url_egress(collector.url, namespaces.GATEWAY)
    if config.workloads:
        names = [workload.name for workload in config.workloads]
        yield EgressRule(to=[namespace_peer(config.namespace, service_pods(names))])
    if config.tls:
        yield EgressRule(to=[namespace_peer(config.namespace, _SOLVER_PODS)])
    yield from egress_rules(gateway.egress)


def solver_policy() -> Mapping[str, Policy]:
    """Returns the policy of cert-manager's solver pods: an ACME server's challenge reaches them through Kong."""
    # No service has a dot in its name.
    return {
        "acme.solver": policy(_SOLVER_PODS, [IngressRule(from_=[namespace_peer(namespaces.GATEWAY, GATEWAY_PODS)])])
    }
