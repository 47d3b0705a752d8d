"""The stand-in for the chart of Prometheus renders what the program's values ask for, and takes no others."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from infra.monitoring.prometheus import prometheus_files, prometheus_values
from sandbox.host.paths import PROJECT
from sandbox.toolchain.build import tool

pytestmark = pytest.mark.skipif(not tool("helm").exists(), reason="helm isn't built")

VALUES = json.dumps(prometheus_values("7d", prometheus_files("kong")))


def template(*options: str) -> subprocess.CompletedProcess[str]:
    """The chart with the program's values, and `options` over them."""
    helm, chart = str(tool("helm")), str(PROJECT / "sandbox" / "charts" / "prometheus")
    command = [helm, "template", "prometheus", chart, "--namespace", "monitoring", "--values", "-", *options]
    return subprocess.run(command, input=VALUES, check=False, capture_output=True, text=True)


def test_it_is_a_server_that_mounts_the_programs_files() -> None:
    done = template()
    assert done.returncode == 0, done.stderr
    rendered: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    assert set(rendered) == {"ServiceAccount", "Service", "Deployment"}
    assert rendered["Service"]["metadata"]["name"] == "prometheus-server"
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "prometheus-server"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["config-volume"]["configMap"] == {"name": "prometheus-config"}
    assert volumes["storage-volume"]["emptyDir"] == {"sizeLimit": "2Gi"}
    arguments = pod["containers"][0]["args"]
    assert {"--storage.tsdb.retention.time=7d", "--config.file=/etc/config/prometheus.yml"} <= set(arguments)
    assert "--web.enable-lifecycle" not in arguments


@pytest.mark.parametrize("value", ["server.retenton=7d", "alertmanager.enabled=true", "grafana.enabled=true"])
def test_a_value_that_it_hasnt_got_is_refused(value: str) -> None:
    done = template("--set", value)
    assert done.returncode != 0
    assert "meet the specifications of the schema" in done.stderr
