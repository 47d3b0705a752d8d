"""NetworkPolicies of the services' pods."""

from infra.config import namespaces
from infra.config.bundled_app import AnyWorkload
from infra.config.settings import Settings
from infra.kubernetes.network_policy import (
    DNS,
    GATEWAY_PODS,
    EgressRule,
    IngressRule,
    Peer,
    Policy,
    egress_rules,
    namespace_peer,
    policy,
    ports,
    service_pods,
    url_egress,
)
from infra.services.deployment import PORT_NAME


def service_policy(service: AnyWorkload, config: Settings) -> Policy:
    """Returns the policy of a service's pods: it lets Kong and the calling services reach the service's port."""
    port_of = {other.name: other.port for other in config.workloads}
    callers = [other.name for other in config.workloads if service.name in other.calls(port_of)]
    peers = [
        namespace_peer(namespaces.GATEWAY, GATEWAY_PODS),
        *([Peer(pod_selector=service_pods(callers))] if callers else []),
        *(namespace_peer(name) for name in service.ingress.namespaces),
    ]
    egress = [DNS, *egress_rules(service.egress)]
    if config.gateway.tracing and service.tracing:
        egress += url_egress(config.gateway.tracing.url, config.namespace, internet=service.egress.internet)
    egress += [
        EgressRule(to=[Peer(pod_selector=service_pods([name]))], ports=ports(port_of[name]))
        for name in sorted(service.calls(port_of))
    ]
    # The port by name: while a change of the number rolls out, Kong connects to pods with either.
    return policy(service_pods([service.name]), [IngressRule(from_=peers, ports=ports(PORT_NAME))], egress)
