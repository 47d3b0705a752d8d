"""Values of Grafana's chart."""

from typing import Any

from infra.config import pod_resources, versions
from infra.monitoring import dashboard


def grafana_values() -> dict[str, Any]:
    """Returns the values of grafana-community's chart, which generates the password of `admin` in the cluster."""
    source = {"name": "Prometheus", "type": "prometheus", "uid": dashboard.SOURCE, "url": "http://prometheus-server"}
    provider = {"name": "gateway", "type": "file", "options": {"path": "/var/lib/grafana/dashboards/gateway"}}
    return {
        "image": {"tag": versions.GRAFANA},
        # Grafana doesn't use the Kubernetes API.
        "rbac": {"create": False},
        "automountServiceAccountToken": False,
        "testFramework": {"enabled": False},
        "deploymentStrategy": {"type": "Recreate"},
        "resources": {"requests": dict(pod_resources.GRAFANA), "limits": {"cpu": "500m", "memory": "384Mi"}},
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
