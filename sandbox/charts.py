"""The chart repository: the stand-ins for charts, Kong's with the CRDs of the real controller; the Gateway API."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from infra import versions
from sandbox.addresses import CHARTS
from sandbox.paths import PROJECT, RUN, tool
from sandbox.tools import module_folder

_CONTROLLER = PROJECT / "sandbox" / "go" / "controller"
_CRDS = "github.com/kong/kubernetes-configuration"
_GATEWAY_API = "sigs.k8s.io/gateway-api"


class ChartError(Exception):
    """The repository can't be made; the message is helm's."""


def package(report: Callable[[str], None], folder: Path = RUN / "charts") -> Path:
    """Makes a Helm repository, to be served at `sandbox.addresses.CHARTS`.

    Args:
        report: is told of each chart.
        folder: is emptied.

    Returns:
        The repository: `index.yaml` and the charts, and under `gateway-api` a release of that.

    Raises:
        ChartError: helm refuses the chart.
    """
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    shutil.copytree(PROJECT / "sandbox" / "chart", source)
    fill_crds(source / "kong" / "crds")
    charts = sorted(source.iterdir())
    report(f"charts {' '.join(chart.name for chart in charts)}")
    _helm("package", *map(str, charts), "--destination", str(folder))
    shutil.rmtree(source)
    _helm("repo", "index", str(folder), "--url", CHARTS)
    _release_gateway_api(folder / "gateway-api" / f"v{versions.GATEWAY_API}")
    return folder


def _release_gateway_api(target: Path) -> None:
    """Puts the manifest of the standard channel together, as the project's own releases have it."""
    target.mkdir(parents=True)
    source = module_folder(_CONTROLLER, _GATEWAY_API) / "config" / "crd" / "standard"
    documents = [path.read_text() for path in sorted(source.glob("gateway.networking.k8s.io_*.yaml"))]
    (target / "standard-install.yaml").write_text("---\n".join(documents))


def fill_crds(target: Path) -> None:
    """Copies Kong's CRDs into `target`, in the version that the sandbox's controller is built with.

    Raises:
        ToolsError: the Go module that holds them can't be had.
    """
    target.mkdir()
    source = module_folder(_CONTROLLER, _CRDS) / "config" / "crd" / "ingress-controller"
    for path in source.glob("*konghq.com_*.yaml"):
        shutil.copyfile(path, target / path.name)


def _helm(*arguments: str) -> None:
    done = subprocess.run([tool("helm"), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ChartError(f"helm {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
