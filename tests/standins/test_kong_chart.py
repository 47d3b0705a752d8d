"""The stand-in for Kong's chart renders deterministically, and refuses values that the real chart lacks."""

import functools
import json
import re
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from infra.config import versions
from infra.config.settings import Settings
from infra.gateway.helm_values import kong_values
from sandbox.charts import repository as charts
from sandbox.host.addresses import CHARTS
from sandbox.toolchain.build import tool
from tests.support import PATIENCE, free_port

pytestmark = pytest.mark.skipif(not tool("helm").exists(), reason="helm isn't built")

VALUES = json.dumps(kong_values(Settings.model_validate({"chartRepository": CHARTS})))
"""The program's own."""


@functools.cache
def chart() -> str:
    """The folder of the chart as it is packaged."""
    folder = Path(tempfile.mkdtemp()) / "kong"
    charts.copy_stand_in("kong", folder)
    return str(folder)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool("helm"), *arguments], input=VALUES, check=False, capture_output=True, text=True)


def template(*options: str) -> subprocess.CompletedProcess[str]:
    """The chart with the program's values, and `options` over them."""
    return helm("template", "kong", chart(), "--namespace", "kong", "--values", "-", *options)


@functools.cache
def rendered() -> dict[tuple[str, str], Any]:
    """The objects that the chart makes of the program's values, by kind and name."""
    done = template("--api-versions", "networking.k8s.io/v1/IngressClass")
    assert done.returncode == 0, done.stderr
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout)}


def containers() -> dict[str, Any]:
    return {one["name"]: one for one in rendered()["Deployment", "kong"]["spec"]["template"]["spec"]["containers"]}


def variables(container: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in containers()[container]["env"] if "value" in one}


def test_helm_lint_passes() -> None:
    done = helm("lint", "--strict", chart(), "--values", "-")
    assert done.returncode == 0, done.stdout


def test_rendering_is_deterministic() -> None:
    first = template().stdout
    assert "kind: Deployment" in first
    assert template().stdout == first


def test_the_objects_have_the_real_charts_names() -> None:
    proxy = rendered()["Service", "kong-proxy"]
    assert proxy["spec"]["type"] == "LoadBalancer"
    assert {(one["name"], one["port"], one["targetPort"]) for one in proxy["spec"]["ports"]} == {
        ("kong-proxy", 80, 8000),
        ("kong-proxy-tls", 443, 8443),
    }
    assert rendered()["IngressClass", "kong"]["spec"]["controller"] == "ingress-controllers.konghq.com/kong"
    assert list(containers()) == ["proxy", "ingress-controller"]


def test_the_programs_values_configure_kongs_listeners() -> None:
    kong, controller = variables("proxy"), variables("ingress-controller")
    assert kong["KONG_ADMIN_LISTEN"] == "127.0.0.1:8444 http2 ssl, [::1]:8444 http2 ssl"
    assert controller["CONTROLLER_KONG_ADMIN_URL"] == "https://localhost:8444"
    assert controller["CONTROLLER_PUBLISH_SERVICE"] == "kong/kong-proxy"
    assert kong["KONG_PROXY_LISTEN"] == (
        "0.0.0.0:8000 proxy_protocol, [::]:8000 proxy_protocol, "
        "0.0.0.0:8443 http2 proxy_protocol ssl, [::]:8443 http2 proxy_protocol ssl"
    )
    assert (kong["KONG_REAL_IP_HEADER"], kong["KONG_PORT_MAPS"]) == ("proxy_protocol", "80:8000, 443:8443")


@pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")
def test_the_proxy_starts_with_the_charts_environment(tmp_path: Path) -> None:
    """The environment is the pod's, but for the ports, which may be taken here, and the folder."""
    settings = variables("proxy") | {"KONG_PREFIX": str(tmp_path)}
    ports: dict[str, str] = {}

    def free(match: re.Match[str]) -> str:
        return ":" + ports.setdefault(match[0], str(free_port()))

    for name in ("KONG_PROXY_LISTEN", "KONG_ADMIN_LISTEN", "KONG_STATUS_LISTEN"):
        settings[name] = re.sub(r":\d{4}\b", free, settings[name])
    with subprocess.Popen([tool("kong"), "docker-start"], env=settings) as process:
        status = f"http://127.0.0.1:{ports[':8100']}/status"
        try:
            while process.poll() is None:
                try:
                    assert httpx.get(status, trust_env=False, timeout=PATIENCE).status_code == 200
                    break
                except httpx.ConnectError:
                    time.sleep(0.01)
            assert process.poll() is None
        finally:
            process.terminate()


def test_only_the_controller_has_an_api_token() -> None:
    assert rendered()["Deployment", "kong"]["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    mounted = {
        name: [one["mountPath"] for one in container["volumeMounts"]] for name, container in containers().items()
    }
    token = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 -- a folder
    assert {name: token in paths for name, paths in mounted.items()} == {"proxy": False, "ingress-controller": True}


AUTOSCALE = ("--set", "autoscaling.enabled=true,autoscaling.maxReplicas=4,priorityClassName=first")
BUDGET = ("--set", "podDisruptionBudget.enabled=true")


def test_the_controller_may_do_no_more_than_with_the_real_chart() -> None:
    allowed = {
        (group, resource, verb)
        for rule in rendered()["ClusterRole", "kong"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    gateway = {(resource, verb) for group, resource, verb in allowed if group == "gateway.networking.k8s.io"}
    assert {resource for resource, verb in gateway if verb == "patch"} == {
        "grpcroutes/status",
        "backendtlspolicies/status",
    }
    assert {resource for resource, verb in gateway if verb == "update"} == {
        "backendtlspolicies/status",
        "gateways",
        *(f"{kind}/status" for kind in ("gatewayclasses", "gateways", "grpcroutes", "httproutes")),
        *(f"{kind}/status" for kind in ("tcproutes", "tlsroutes", "udproutes")),
    }
    assert {verb for group, resource, verb in allowed if (group, resource) == ("", "secrets")} == {"list", "watch"}


def test_with_autoscaling_the_chart_sets_no_replicas() -> None:
    done = template(*AUTOSCALE, *BUDGET)
    objects = {one["kind"]: one["spec"] for one in yaml.safe_load_all(done.stdout) if one and "spec" in one}
    assert "replicas" not in objects["Deployment"]
    assert objects["Deployment"]["template"]["spec"]["priorityClassName"] == "first"
    scaler = objects["HorizontalPodAutoscaler"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kong"}
    assert objects["PodDisruptionBudget"]["maxUnavailable"] == 1
    assert "HorizontalPodAutoscaler" not in {kind for kind, _ in rendered()}


@pytest.mark.parametrize("options", [BUDGET, (*AUTOSCALE, *BUDGET, "--set", "autoscaling.minReplicas=1")])
def test_a_budget_for_a_single_pod_is_refused(options: tuple[str, ...]) -> None:
    assert template(*options).returncode != 0


@pytest.mark.parametrize(
    "key",
    [
        "proxy.externalTraficPolicy",
        "ingressController.replicas",
        "image.digest",
        "gateway",
        "podDisruptionBudget.maximum",
        "autoscaling.minimum",
        "envs",
    ],
)
def test_an_unknown_value_is_refused(key: str) -> None:
    done = template("--set", f"{key}=x")
    assert done.returncode != 0
    assert f"'{key.rpartition('.')[2]}' not allowed" in done.stderr


@pytest.mark.parametrize(
    "key", ["manager.enabled", "admin.enabled", "ingressController.admissionWebhook.enabled", "serviceMonitor.enabled"]
)
def test_unsupported_values_of_the_real_chart_are_refused_with_a_hint(key: str) -> None:
    done = template("--set", f"{key}=true")
    assert f"{key}: this stand-in for Kong's chart" in done.stderr
    assert "set it to false" in done.stderr


def test_the_repository_holds_the_chart_with_the_controllers_crds(tmp_path: Path) -> None:
    folder = charts.package(lambda _: None, tmp_path / "charts")
    (entry,) = yaml.safe_load((folder / "index.yaml").read_text())["entries"]["kong"]
    assert (entry["version"], entry["urls"]) == ("3.4.1", [f"{CHARTS}/kong-3.4.1.tgz"])
    with tarfile.open(folder / "kong-3.4.1.tgz") as archive:
        crds = [name for name in archive.getnames() if name.startswith("kong/crds/")]
    assert len(crds) == 12
    assert "kong/crds/configuration.konghq.com_kongplugins.yaml" in crds


def test_the_repository_holds_the_pinned_gateway_api_release(tmp_path: Path) -> None:
    folder = charts.package(lambda _: None, tmp_path / "charts")
    manifest = (folder / "gateway-api" / f"v{versions.GATEWAY_API}" / "standard-install.yaml").read_text()
    definitions = {
        definition["metadata"]["name"]: definition["metadata"]["annotations"]
        for definition in yaml.safe_load_all(manifest)
    }
    assert {"gatewayclasses", "gateways", "httproutes", "referencegrants"} <= {
        name.split(".")[0] for name in definitions
    }
    releases = {annotations["gateway.networking.k8s.io/bundle-version"] for annotations in definitions.values()}
    assert releases == {f"v{versions.GATEWAY_API}"}
