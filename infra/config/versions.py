"""Versions that the stack pins. Python packages are pinned in requirements.in, base images in the Dockerfiles."""

import tomllib
from pathlib import Path

# renovate: datasource=endoflife-date depName=kubernetes versioning=loose
KUBERNETES = "1.35"
"""The newest minor version of DOKS that the controller supports as well (KIC, version compatibility)."""

# renovate: datasource=helm depName=kong registryUrl=https://charts.konghq.com
KONG_CHART = "3.4.1"

KONG_CHART_SHA256 = {KONG_CHART: "2c7dbf6bc59846d0c779e2509f45d041cc0dba5af85d6728294b9f37cd02e1d7"}
"""SHA-256 of that version's archive: `digest` in the repository's index.yaml. A new version needs a new one."""

# Not 3.10 or later: docs/adr/0004-kong-3.9-without-a-database.md.
# renovate: datasource=docker depName=kong
KONG = "3.9.3"

# Never 3.4.0: its images were withdrawn (GHSA-58mg-ww7q-xw3p).
# renovate: datasource=docker depName=kong/kubernetes-ingress-controller
KONG_CONTROLLER = "3.5.13"

# Not Redis: docs/adr/0007-valkey-for-shared-rate-limits.md.
# renovate: datasource=docker depName=valkey/valkey
VALKEY = "8.1.4"

# renovate: datasource=helm depName=prometheus registryUrl=https://prometheus-community.github.io/helm-charts
PROMETHEUS_CHART = "28.10.0"

# renovate: datasource=docker depName=prom/prometheus
PROMETHEUS = "v3.10.0"
"""The chart's default."""

# The chart moved here from grafana.github.io/helm-charts in January 2026.
# renovate: datasource=helm depName=grafana registryUrl=https://grafana-community.github.io/helm-charts
GRAFANA_CHART = "11.1.0"

# renovate: datasource=docker depName=grafana/grafana
GRAFANA = "12.3.2"
"""The chart's default."""

# renovate: datasource=helm depName=cert-manager registryUrl=https://charts.jetstack.io
CERT_MANAGER = "v1.20.3"
"""The chart and the images."""

# renovate: datasource=helm depName=metrics-server registryUrl=https://kubernetes-sigs.github.io/metrics-server
METRICS_SERVER_CHART = "3.13.0"
"""Supports Kubernetes 1.31 and newer (metrics-server's compatibility matrix)."""

# renovate: datasource=github-releases depName=kubernetes-sigs/metrics-server
METRICS_SERVER = "v0.8.0"
"""The chart's default."""

# The version that DOKS installs as well; the controller supports the next one (KIC, version compatibility).
# renovate: datasource=github-releases depName=kubernetes-sigs/gateway-api
GATEWAY_API = "1.2.1"


def project_version() -> str:
    """Returns the project's own version, from pyproject.toml."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])
