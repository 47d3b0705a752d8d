"""Prometheus and Grafana, from their communities' charts, watching the gateway. Neither is reachable from outside."""

import json
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from infra.cluster.cluster import Cluster
from infra.config import namespaces, versions
from infra.config.settings import Settings
from infra.gateway.gateway import Gateway
from infra.kubernetes import helm
from infra.kubernetes.namespace import isolate_namespace, namespace_options
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
    namespace_peer,
    policy,
    ports,
)
from infra.kubernetes.pod_security import namespace_labels
from infra.monitoring.dashboard import dashboard
from infra.monitoring.grafana import grafana_values
from infra.monitoring.prometheus import prometheus_files, prometheus_values


class Monitoring(pulumi.ComponentResource):
    """Prometheus and, unless it is switched off, Grafana.

    Attributes:
        commands: that open them, by the stack output that each becomes.
    """

    def __init__(self, name: str, config: Settings, *, cluster: Cluster, gateway: Gateway, retention: str) -> None:
        """Creates the namespace, both releases and the objects that they mount.

        Args:
            name: of the component.
            config: of the stack.
            cluster: that both run in.
            gateway: Kong, whose metrics Prometheus reads.
            retention: how long Prometheus keeps metrics, as it writes durations.
        """
        super().__init__("kong-doks:monitoring:Monitoring", name, None, cluster.deleted_with_cluster_options)
        self._options = pulumi.ResourceOptions(parent=self, deleted_with=cluster.resource)
        self._namespace = self._create_namespace(name, cluster, gateway)
        _allow_listing_pods(self._namespace, gateway, self._options)
        self._install_prometheus(config.prometheus_chart_repository, retention)
        panels = self._create_dashboard(config)
        kubectl = cluster.kubectl(namespaces.MONITORING)
        self.commands = {"prometheus_command": f"{kubectl} port-forward service/prometheus-server 9090:80"}
        if config.has_grafana:
            self._install_grafana(config.grafana_chart_repository, panels)
            template = "'go-template={{index .data \"admin-password\" | base64decode}}'"
            self.commands["grafana_command"] = f"{kubectl} port-forward service/grafana 3000:80"
            self.commands["grafana_password_command"] = f"{kubectl} get secret grafana --output {template}"
        self.register_outputs({})

    def _create_namespace(self, name: str, cluster: Cluster, gateway: Gateway) -> pulumi.Output[str]:
        """Creates the isolated namespace, and returns its name."""
        created = kubernetes.core.v1.Namespace(
            name,
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=namespaces.MONITORING, labels=namespace_labels(cluster.resource)
            ),
            opts=pulumi.ResourceOptions.merge(self._options, namespace_options(cluster.resource)),
        )
        # Prometheus has no password. In an existing cluster, the namespace may hold other pods.
        policies = {"monitoring": _policy(gateway.api_ports)} if cluster.resource else {}
        return isolate_namespace(created.metadata.name, policies, self._options)

    def _install_prometheus(self, repository: str, retention: str) -> None:
        files = prometheus_files(namespaces.GATEWAY)
        helm.release(
            "prometheus",
            version=versions.PROMETHEUS_CHART,
            repository=repository,
            namespace=self._namespace,
            values=prometheus_values(retention, files),
            # The chart mounts <release>-config in place of the file that it would write.
            opts=self._after(self._config_map("prometheus-config", files)),
        )

    def _create_dashboard(self, config: Settings) -> pulumi.Resource:
        panels = dashboard(config.namespace, [workload.name for workload in config.workloads])
        # The sidecar of a Grafana that already runs in the cluster finds dashboards by this label.
        labels = {"grafana_dashboard": "1"}
        return self._config_map("gateway-dashboard", {"gateway.json": json.dumps(panels, indent=1)}, labels)

    def _install_grafana(self, repository: str, panels: pulumi.Resource) -> None:
        helm.release(
            "grafana",
            version=versions.GRAFANA_CHART,
            repository=repository,
            namespace=self._namespace,
            values=grafana_values(),
            opts=self._after(panels),
        )

    def _config_map(
        self, name: str, data: Mapping[str, str], labels: Mapping[str, str] | None = None
    ) -> pulumi.Resource:
        return kubernetes.core.v1.ConfigMap(
            name,
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name, namespace=self._namespace, labels=labels),
            data=data,
            opts=self._options,
        )

    def _after(self, files: pulumi.Resource) -> pulumi.ResourceOptions:
        # Pods don't start before the files that they mount.
        return pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=[files]))


def _policy(api_ports: Sequence[pulumi.Input[int]]) -> Policy:
    """Returns the policy of all pods of the namespace: each other, Kong's metrics, and the API servers."""
    all_pods = Selector()
    each_other = Peer(pod_selector=all_pods)
    metrics = EgressRule(to=[namespace_peer(namespaces.GATEWAY, GATEWAY_PODS)], ports=ports(METRICS_PORT))
    egress = [DNS, api_server_egress(api_ports), EgressRule(to=[each_other]), metrics]
    return policy(all_pods, [IngressRule(from_=[each_other])], egress)


def _allow_listing_pods(namespace: pulumi.Input[str], gateway: Gateway, opts: pulumi.ResourceOptions) -> None:
    """Lets Prometheus list Kong's pods and nothing else of the cluster; its chart would let it list everything."""
    rbac = kubernetes.rbac.v1
    after_namespace = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[gateway.namespace]))
    metadata = kubernetes.meta.v1.ObjectMetaArgs(name="prometheus", namespace=namespaces.GATEWAY)
    pods = rbac.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["get", "list", "watch"])
    role = rbac.Role("prometheus", metadata=metadata, rules=[pods], opts=after_namespace)
    rbac.RoleBinding(
        "prometheus",
        metadata=metadata,
        role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=role.metadata.name),
        subjects=[rbac.SubjectArgs(kind="ServiceAccount", name="prometheus-server", namespace=namespace)],
        opts=opts,
    )
