"""Prometheus and Grafana, from their communities' charts, watching the gateway. Neither can be reached from outside."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.config import versions
from infra.kubernetes import network_policy as network
from infra.kubernetes.namespace import namespace_options
from infra.monitoring import alerts, dashboard


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """Prometheus, and Grafana.

    Attributes:
        namespace: its own; created.
        cluster: the stack's own, with which all of it goes; None: one that was there before.
        kube_context: the kubeconfig's context that leads to the cluster, if the user has one for it.
        prometheus_charts: URL of a Helm repository with the chart `prometheus`.
        grafana_charts: URL of one with the chart `grafana`; None: no Grafana.
        retention: how long Prometheus keeps what it sees, as it writes durations.
        gateway_namespace: where Kong's pods are.
        gateway: the resource that is this namespace.
        api_ports: where the cluster's API servers listen.
        services_namespace: where the services are.
        services: their names, in the dashboard's order.
    """

    namespace: str
    cluster: pulumi.Resource | None
    kube_context: str | None
    prometheus_charts: str
    grafana_charts: str | None
    retention: str
    gateway_namespace: str
    gateway: pulumi.Resource
    api_ports: Sequence[pulumi.Input[int]]
    services_namespace: str
    services: Sequence[str]


class Monitoring(pulumi.ComponentResource):
    """Prometheus and Grafana. `commands` are what has to be typed to look at them, by the output that each becomes."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:monitoring:Monitoring", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=args.cluster)
        created = kubernetes.core.v1.Namespace(
            name,
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=args.namespace),
            opts=pulumi.ResourceOptions.merge(child, namespace_options(args.cluster)),
        )
        # Prometheus has no password. In a cluster that was there before, the namespace may have other pods.
        policies = network.monitoring_policy(args.gateway_namespace, args.api_ports) if args.cluster else {}
        namespace = network.closed(created.metadata.name, policies, child)

        def config_map(name: str, data: Mapping[str, str], labels: Mapping[str, str] | None = None) -> pulumi.Resource:
            return kubernetes.core.v1.ConfigMap(
                name,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=labels),
                data=data,
                opts=child,
            )

        def release(name: str, version: str, charts: str, values: Mapping[str, Any], *needs: pulumi.Resource) -> None:
            kubernetes.helm.v3.Release(
                name,
                name=name,
                namespace=namespace,
                chart=name,
                version=version,
                repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=charts),
                values=values,
                # An install that failed half-way is removed; its name would be "still in use" for the next one.
                atomic=True,
                # Its pods don't start before the files that they mount.
                opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*needs])),
            )

        files = prometheus_files(args.gateway_namespace)
        # The chart mounts <release>-config in place of what it would write by itself.
        config = config_map("prometheus-config", files)
        panels = config_map(
            "gateway-dashboard",
            {"gateway.json": json.dumps(dashboard.dashboard(args.services_namespace, args.services), indent=1)},
            # By which the sidecar of a Grafana that somebody else runs in the cluster finds it.
            {"grafana_dashboard": "1"},
        )
        _let_see_pods(namespace, args, child)
        values = prometheus_values(args.retention, files)
        release("prometheus", versions.PROMETHEUS_CHART, args.prometheus_charts, values, config)
        context = f"--context {shlex.quote(args.kube_context)} " if args.kube_context else ""
        kubectl = f"kubectl {context}--namespace {args.namespace}"
        self.commands = {"prometheus_command": f"{kubectl} port-forward service/prometheus-server 9090:80"}
        if args.grafana_charts:
            release("grafana", versions.GRAFANA_CHART, args.grafana_charts, grafana_values(), panels)
            template = "'go-template={{index .data \"admin-password\" | base64decode}}'"
            self.commands["grafana_command"] = f"{kubectl} port-forward service/grafana 3000:80"
            self.commands["grafana_password_command"] = f"{kubectl} get secret grafana --output {template}"
        self.register_outputs({})


def _let_see_pods(namespace: pulumi.Input[str], args: MonitoringArgs, opts: pulumi.ResourceOptions) -> None:
    """Prometheus sees Kong's pods and nothing else of the cluster; its chart would let it see all."""
    rbac = kubernetes.rbac.v1
    after_namespace = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[args.gateway]))
    metadata = kubernetes.meta.v1.ObjectMetaArgs(name="prometheus", namespace=args.gateway_namespace)
    pods = rbac.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["get", "list", "watch"])
    role = rbac.Role("prometheus", metadata=metadata, rules=[pods], opts=after_namespace)
    rbac.RoleBinding(
        "prometheus",
        metadata=metadata,
        role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=role.metadata.name),
        subjects=[rbac.SubjectArgs(kind="ServiceAccount", name="prometheus-server", namespace=namespace)],
        opts=opts,
    )


def prometheus_files(gateway_namespace: str) -> dict[str, str]:
    """Prometheus's configuration, as JSON, which is YAML too."""
    config = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "30s"},
        "rule_files": ["/etc/config/alerts.yml"],
        "scrape_configs": [
            {
                "job_name": "kong",
                # Every pod of Kong, however many there are: behind a Service each scrape would meet another one.
                "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [gateway_namespace]}}],
                "relabel_configs": [
                    # The port that Kong's chart names so: 8100, which the load balancer doesn't lead to.
                    {
                        "source_labels": ["__meta_kubernetes_pod_container_port_name"],
                        "regex": "status",
                        "action": "keep",
                    },
                    {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed", "action": "drop"},
                    {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
                ],
            }
        ],
    }
    return {"prometheus.yml": json.dumps(config, indent=1), "alerts.yml": json.dumps(alerts.rules(), indent=1)}


def prometheus_values(retention: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Values of prometheus-community's chart: nothing but the server."""
    return {
        **{
            part: {"enabled": False}
            for part in ("alertmanager", "kube-state-metrics", "prometheus-node-exporter", "prometheus-pushgateway")
        },
        "rbac": {"create": False},
        # A container less: pods are replaced when the files change.
        "configmapReload": {"prometheus": {"enabled": False}},
        "server": {
            "image": {"repository": "prom/prometheus", "tag": versions.PROMETHEUS},
            "configMapOverrideName": "config",
            "podAnnotations": {"kong-doks/config": hashlib.sha256(json.dumps(files).encode()).hexdigest()},
            # Otherwise whoever reaches it can stop it.
            "extraFlags": [],
            "retention": retention,
            # Whichever comes first. A volume of its own would be billed, and stay when the cluster goes.
            "retentionSize": "1GB",
            "persistentVolume": {"enabled": False},
            "emptyDir": {"sizeLimit": "2Gi"},
            "readinessProbeInitialDelay": 5,
            "containerSecurityContext": {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            # See Requests in infra/config/service.py.
            "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
        },
    }


def grafana_values() -> dict[str, Any]:
    """Values of grafana-community's chart, which makes up a password for `admin` in the cluster and keeps it there."""
    source = {"name": "Prometheus", "type": "prometheus", "uid": dashboard.SOURCE, "url": "http://prometheus-server"}
    provider = {"name": "gateway", "type": "file", "options": {"path": "/var/lib/grafana/dashboards/gateway"}}
    return {
        "image": {"tag": versions.GRAFANA},
        # It asks nothing of the cluster.
        "rbac": {"create": False},
        "automountServiceAccountToken": False,
        "testFramework": {"enabled": False},
        "deploymentStrategy": {"type": "Recreate"},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "384Mi"}},
        "datasources": {
            "datasources.yaml": {
                "apiVersion": 1,
                "datasources": [source | {"access": "proxy", "isDefault": True, "jsonData": {"timeInterval": "15s"}}],
            }
        },
        "dashboardProviders": {"dashboardproviders.yaml": {"apiVersion": 1, "providers": [provider]}},
        "dashboardsConfigMaps": {"gateway": "gateway-dashboard"},
        "grafana.ini": {
            "analytics": {"reporting_enabled": False, "check_for_updates": False, "check_for_plugin_updates": False},
            "dashboards": {"default_home_dashboard_path": "/var/lib/grafana/dashboards/gateway/gateway.json"},
        },
    }
