"""metrics-server, which reports the use of CPU and memory, from its project's chart. DOKS doesn't include it."""

import pulumi

from infra.cluster.cluster import Cluster
from infra.config import pod_resources, versions
from infra.config.settings import Settings
from infra.kubernetes import helm
from infra.kubernetes.eviction import EVICTABLE


class MetricsServer(pulumi.ComponentResource):
    """metrics-server, which autoscalers and `kubectl top` read."""

    def __init__(self, name: str, config: Settings, *, cluster: Cluster) -> None:
        super().__init__("kong-doks:metrics:MetricsServer", name, None, cluster.deleted_with_cluster_options)
        helm.release(
            name,
            version=versions.METRICS_SERVER_CHART,
            repository=config.metrics_server_chart_repository,
            # The project's own namespace for it. The chart gives it the priority of a part of the cluster.
            namespace="kube-system",
            values={
                "image": {"tag": versions.METRICS_SERVER},
                **({"podAnnotations": EVICTABLE} if config.scales_nodes else {}),
                # The chart's default requests are for a hundred nodes: a thousandth of a CPU and 2 MiB each.
                "resources": {
                    "requests": dict(pod_resources.METRICS_SERVER),
                    "limits": {"cpu": "250m", "memory": "192Mi"},
                },
            },
            opts=pulumi.ResourceOptions(parent=self, deleted_with=cluster.resource),
        )
        self.register_outputs({})
