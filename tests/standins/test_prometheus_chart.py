"""The stand-in for the chart of Prometheus renders the program's values and refuses others."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.monitoring.prometheus import prometheus_files, prometheus_values
from sandbox.charts.repository import copy_stand_in
from sandbox.toolchain.build import tool

pytestmark = pytest.mark.skipif(not tool("helm").exists(), reason="helm isn't built")

VALUES = json.dumps(prometheus_values("7d", prometheus_files("kong")))


def template(*options: str) -> subprocess.CompletedProcess[str]:
    """The chart with the program's values, and `options` over them."""
    with tempfile.TemporaryDirectory() as folder:
        copy_stand_in("prometheus", Path(folder, "prometheus"))
        command = [str(tool("helm")), "template", "prometheus", f"{folder}/prometheus", "--namespace", "monitoring"]
        command += ["--values", "-", *options]
        return subprocess.run(command, input=VALUES, check=False, capture_output=True, text=True)


def test_prometheus_mounts_the_programs_files() -> None:
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


def test_unsupported_parts_must_be_disabled() -> None:
    for part in ("alertmanager.enabled", "rbac.create"):
        done = template("--set", f"{part}=true")
        assert f"{part}" in done.stderr
        assert "not in the stand-in; set" in done.stderr


@pytest.mark.parametrize("value", ["server.retenton=7d", "grafana.enabled=true", "server.retention=7"])
def test_an_unknown_value_is_refused(value: str) -> None:
    done = template("--set", value)
    assert done.returncode != 0
    assert "meet the specifications of the schema" in done.stderr
