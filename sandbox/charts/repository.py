"""The chart repository: stand-ins, Kong's with the real controller's CRDs; charts of Go modules; the Gateway API."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from infra.config import versions
from sandbox.host.addresses import CHARTS
from sandbox.host.errors import SandboxError
from sandbox.host.paths import RUN
from sandbox.toolchain.build import tool
from sandbox.toolchain.modules import GO, module_folder

_ENGINE = GO / "engine"
_CERTIFICATES = GO / "certificates"
_CERT_MANAGER = "github.com/cert-manager/cert-manager"
_METRICS = GO / "metrics"
_METRICS_SERVER = "sigs.k8s.io/metrics-server"
_STAND_INS = ("kong", "prometheus")
_TYPES = {bool: "boolean", int: "integer", str: "string", list: "array"}
_OPEN = {"env", "labels", "lifecycle", "podAnnotations", "livenessProbe", "readinessProbe"} | {
    "securityContext", "containerSecurityContext", "customEnv"
}  # fmt: skip
"""Values that are maps with arbitrary keys."""
_CRDS = "github.com/kong/kubernetes-configuration"
_GATEWAY_API = "sigs.k8s.io/gateway-api"


class ChartError(SandboxError):
    """The repository can't be made; the message is helm's."""


def package(report: Callable[[str], None], folder: Path = RUN / "charts") -> Path:
    """Makes a Helm repository, to be served at `sandbox.host.addresses.CHARTS`.

    Args:
        report: gets a line with the charts.
        folder: is emptied.

    Returns:
        The repository: `index.yaml` and the charts, and under `gateway-api` a release of that.

    Raises:
        ChartError: helm refuses the chart.
    """
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    for chart in _STAND_INS:
        copy_stand_in(chart, source / chart)
    fill_crds(source / "kong" / "crds")
    charts = sorted(source.iterdir())
    report(f"charts {' '.join(chart.name for chart in charts)}")
    _helm("package", *map(str, charts), "--destination", str(folder))
    shutil.rmtree(source)
    _helm("repo", "index", str(folder), "--url", CHARTS)
    _release_gateway_api(folder / "gateway-api" / f"v{versions.GATEWAY_API}")
    return folder


def copy_stand_in(chart: str, target: Path) -> None:
    """Copies a stand-in, with a schema that allows the keys and types of its default values only."""
    shutil.copytree(Path(__file__).with_name(chart), target)
    values = yaml.safe_load((target / "values.yaml").read_text())
    (target / "values.schema.json").write_text(json.dumps(_schema(values)))


def _schema(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"type": _TYPES[type(value)]}
    if not value:
        return {"type": "object"}
    parts = {key: {"type": "object"} if key in _OPEN else _schema(part) for key, part in value.items()}
    return {"type": "object", "additionalProperties": False, "properties": parts}


def add_cert_manager(folder: Path = RUN / "charts") -> None:
    """Adds cert-manager's chart, as it is in its Go module; a release only fills its version in.

    Raises:
        ChartError: helm refuses the chart.
        ToolsError: the Go module can't be had.
    """

    def fill_in(source: Path) -> None:
        template = (source / "Chart.template.yaml").read_text()
        (source / "Chart.yaml").write_text(template.replace("{{IS_PRERELEASE}}", "false"))

    chart = module_folder(_CERTIFICATES, _CERT_MANAGER) / "deploy" / "charts" / "cert-manager"
    _add(chart, versions.CERT_MANAGER, versions.CERT_MANAGER, folder, fill_in)


def add_metrics_server(folder: Path = RUN / "charts") -> None:
    """Adds metrics-server's chart, as it is in its Go module; a release of the chart raises both versions.

    Raises:
        ChartError: helm refuses the chart.
        ToolsError: the Go module can't be had.
    """
    chart = module_folder(_METRICS, _METRICS_SERVER) / "charts" / "metrics-server"
    _add(chart, versions.METRICS_SERVER_CHART, versions.METRICS_SERVER.removeprefix("v"), folder)


def _add(
    chart: Path, version: str, app_version: str, folder: Path, prepare: Callable[[Path], None] = lambda _: None
) -> None:
    """Adds a published chart to the repository in `folder`."""
    source = folder / "source" / chart.name
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(chart, source)
    source.chmod(0o755)
    prepare(source)
    _helm("package", str(source), "--version", version, "--app-version", app_version, "--destination", str(folder))
    shutil.rmtree(folder / "source")
    _helm("repo", "index", str(folder), "--url", CHARTS)


def _release_gateway_api(target: Path) -> None:
    """Joins the manifests of the standard channel, as the project's releases do."""
    target.mkdir(parents=True)
    source = module_folder(_ENGINE, _GATEWAY_API) / "config" / "crd" / "standard"
    documents = [path.read_text() for path in sorted(source.glob("gateway.networking.k8s.io_*.yaml"))]
    (target / "standard-install.yaml").write_text("---\n".join(documents))


def fill_crds(target: Path) -> None:
    """Copies Kong's CRDs into `target`, in the version that the sandbox's controller is built with.

    Raises:
        ToolsError: the Go module that holds them can't be had.
    """
    target.mkdir()
    source = module_folder(_ENGINE, _CRDS) / "config" / "crd" / "ingress-controller"
    for path in source.glob("*konghq.com_*.yaml"):
        shutil.copyfile(path, target / path.name)


def _helm(*arguments: str) -> None:
    done = subprocess.run([tool("helm"), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ChartError(f"helm {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
