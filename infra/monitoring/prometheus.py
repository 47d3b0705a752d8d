"""Configuration of Prometheus and values of its chart."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.config import pod_resources, versions
from infra.kubernetes.pod_security import CHART_CONTAINER

_ALERTS = Path(__file__).with_name("alerts.yaml")


def prometheus_files(gateway_namespace: str) -> dict[str, str]:
    """Returns the files of Prometheus, as JSON, which is YAML too."""
    config = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "30s"},
        "rule_files": ["/etc/config/alerts.yml"],
        "scrape_configs": [
            {
                "job_name": "kong",
                # Scrapes every pod of Kong: through a Service object each scrape would reach one of them.
                "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [gateway_namespace]}}],
                "relabel_configs": [
                    # Kong's chart names port 8100 so, which the load balancer doesn't expose.
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
    alerts = yaml.safe_load(_ALERTS.read_text("utf-8"))
    return {"prometheus.yml": json.dumps(config, indent=1), "alerts.yml": json.dumps(alerts, indent=1)}


def prometheus_values(retention: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Returns the values of prometheus-community's chart: the server alone."""
    return {
        **{
            part: {"enabled": False}
            for part in ("alertmanager", "kube-state-metrics", "prometheus-node-exporter", "prometheus-pushgateway")
        },
        "rbac": {"create": False},
        # Saves a container: the annotation below replaces pods when the files change.
        "configmapReload": {"prometheus": {"enabled": False}},
        "server": {
            "image": {"repository": "prom/prometheus", "tag": versions.PROMETHEUS},
            "configMapOverrideName": "config",
            "podAnnotations": {"kong-doks/config": hashlib.sha256(json.dumps(files).encode()).hexdigest()},
            # The chart's default allows anybody who reaches Prometheus to stop it.
            "extraFlags": [],
            "retention": retention,
            # Retention ends at the first of both limits. A persistent volume would be billed, and outlive the cluster.
            "retentionSize": "1GB",
            "persistentVolume": {"enabled": False},
            "emptyDir": {"sizeLimit": "2Gi"},
            "readinessProbeInitialDelay": 5,
            "containerSecurityContext": CHART_CONTAINER,
            "resources": {"requests": dict(pod_resources.PROMETHEUS), "limits": {"cpu": "500m", "memory": "256Mi"}},
        },
    }
