"""Values of Kong's Helm chart. They render the same text every time, so an unchanged stack stays unchanged."""

from typing import Any

import pulumi

from infra.config import pod_resources, versions
from infra.config.environment import gateway_environment
from infra.config.gateway import DEFAULT_CPU_TARGET, GatewayPolicies
from infra.config.load_balancer import ANNOTATION_PREFIX, QUICKEST_HEALTH_CHECK
from infra.config.scaling import PodAutoscale
from infra.config.settings import Settings
from infra.kubernetes.eviction import EVICTABLE, LEAVES_LOST_NODE
from infra.kubernetes.pod_security import CHART_CONTAINER

_PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
# Kong has its first configuration 8 s after its start. With the chart's probe every 10 s, a pod serves after 15 s only.
# A restarted container has its configuration at once: with the chart's delay of 5 s it would be without connections for
# that time. As with the chart's probe, a pod that doesn't answer gets no connections after 30 s.
_READINESS_PROBE = {"initialDelaySeconds": 1, "periodSeconds": 2, "failureThreshold": 15}
# Kong serves without its controller, but its pod gets no connections while one of the containers isn't ready. /readyz,
# the chart's choice, fails for 6 s, until a restarted controller has read the cluster. New pods wait for Kong's probe.
_CONTROLLER_READINESS_PROBE = {
    "httpGet": {"path": "/healthz"},
    "initialDelaySeconds": 0,
    "periodSeconds": 1,
    "failureThreshold": 30,
}


def kong_values(config: Settings, priority_class: pulumi.Input[str] | None = None) -> dict[str, Any]:
    has_proxy_protocol = config.creates_cluster and config.proxy_service_type == "LoadBalancer"
    return {
        # Names everything "kong", and the Service "kong-proxy"; otherwise "kong-kong".
        "fullnameOverride": "kong",
        "image": {"repository": "kong", "tag": versions.KONG},
        "env": {
            "database": "off",
            "router_flavor": "traditional",
            "anonymous_reports": "off",
            "admin_gui_listen": "off",
            "nginx_worker_processes": "1",
            # Kong takes the client's address from the load balancer, which is in the private network, only.
            **({"real_ip_header": "proxy_protocol", "trusted_ips": _PRIVATE_NETWORKS} if has_proxy_protocol else {}),
            **gateway_environment(config.gateway, config.body_buffer_mib),
        },
        # The admin API stays on the pod's loopback, for the controller beside it.
        "admin": {"enabled": False},
        "manager": {"enabled": False},
        "proxy": {"type": config.proxy_service_type, **(_proxy_protocol(config) if has_proxy_protocol else {})},
        **(_replica_values(config.gateway) if config.gateway.max_replicas > 1 else {}),
        **({"podAnnotations": EVICTABLE} if config.scales_nodes else {}),
        **({"priorityClassName": priority_class} if priority_class is not None else {}),
        "readinessProbe": _READINESS_PROBE,
        "resources": {"requests": dict(pod_resources.KONG), "limits": dict(pod_resources.KONG_LIMITS)},
        "containerSecurityContext": {"runAsNonRoot": True, "runAsUser": 1000, **CHART_CONTAINER},
        "ingressController": {
            "image": {"repository": "kong/kubernetes-ingress-controller", "tag": versions.KONG_CONTROLLER},
            # This would enable a template that reads the cluster.
            "installCRDs": False,
            # The chart would generate a new certificate at every rendering.
            "admissionWebhook": {"enabled": False},
            # The controller leaves out what Kong refuses, and goes on updating everything else.
            "env": {"anonymous_reports": "false", "feature_gates": "FallbackConfiguration=true"},
            "readinessProbe": _CONTROLLER_READINESS_PROBE,
            "resources": {
                "requests": dict(pod_resources.KONG_CONTROLLER),
                "limits": dict(pod_resources.KONG_CONTROLLER_LIMITS),
            },
        },
    }


def _proxy_protocol(config: Settings) -> dict[str, Any]:
    annotations = {
        # The default, REGIONAL_NETWORK, passes packets through to the Service's own ports, where Kong doesn't listen,
        # and has no PROXY protocol.
        f"{ANNOTATION_PREFIX}type": "REGIONAL",
        f"{ANNOTATION_PREFIX}enable-proxy-protocol": "true",
    }
    if config.gateway.max_replicas > 1:
        # With DigitalOcean's defaults, 3 checks that time out after 5 seconds each, a lost node gets connections twice
        # as long.
        for name, number in QUICKEST_HEALTH_CHECK.items():
            annotations[f"{ANNOTATION_PREFIX}healthcheck-{name}"] = str(number)
    if config.tls:
        # With an address in the Service's status, the nodes would send requests for it to Kong directly, without the
        # PROXY protocol. Among these is cert-manager's own check before it calls the ACME server.
        annotations[f"{ANNOTATION_PREFIX}hostname"] = config.tls.domain
    return {
        "annotations": annotations,
        # With Local, a node passes connections to its own pods of Kong only, and the load balancer's health check fails
        # on a node without a ready one. So the load balancer stops sending to a node when its pod ends, and no other
        # node sends connections to the pod of a lost node. A single pod doesn't get Local: it may move to a node that
        # the load balancer hasn't checked yet.
        **({"externalTrafficPolicy": "Local"} if config.gateway.min_replicas > 1 else {}),
        "http": {"parameters": ["proxy_protocol"]},
        "tls": {"parameters": ["http2", "proxy_protocol"]},
    }


def _replica_values(gateway: GatewayPolicies) -> dict[str, Any]:
    """Returns values that spread replicas over nodes, and let a drain evict one at a time."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app": "kong"}},
    }
    budget = {"enabled": True, "maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    number = _autoscaling(gateway.autoscale) if gateway.autoscale else {"replicaCount": gateway.replicas}
    return {
        **number,
        # The chart refuses a budget for what may be a single pod.
        **({"podDisruptionBudget": budget} if gateway.min_replicas > 1 else {}),
        "topologySpreadConstraints": [spread],
        "tolerations": LEAVES_LOST_NODE,
    }


def _autoscaling(autoscale: PodAutoscale) -> dict[str, Any]:
    """Returns values with which the chart creates an autoscaler, and leaves the number of pods to it."""
    metrics = [
        {
            "type": "Resource",
            "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": percent}},
        }
        for name, percent in autoscale.targets(DEFAULT_CPU_TARGET).items()
    ]
    bounds = {"minReplicas": autoscale.min, "maxReplicas": autoscale.max}
    return {"autoscaling": {"enabled": True, **bounds, "metrics": metrics}}
