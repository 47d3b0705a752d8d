"""A real Prometheus watches the gateway, and the dashboard's queries have answers."""

import contextlib
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from rich.console import Console

from sandbox.host.paths import PROJECT
from sandbox.host.progress import Report
from sandbox.images import catalog as images
from sandbox.toolchain.build import demand
from tests.e2e import inside
from tests.e2e.configured import Configured, configured
from tests.e2e.pages import Guide
from tests.e2e.stack import Stack, connects
from tests.support import PATIENCE, eventually

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]  # Prometheus is compiled here, once

AWAY = {"name": "away", "path": "/away", "build": "apps/bar", "terminate": {"message": "Back at noon"}}


@pytest.fixture(scope="module")
def watched(stack: Stack) -> Iterator[Configured]:
    """The example, with a service that always fails. Grafana's image can't be had here, so without it."""
    demand("prometheus", Report(Console(file=sys.stderr)))
    images.publish(print, [images.PROMETHEUS])
    example = yaml.safe_load((PROJECT / "examples" / "monitoring.yaml").read_text())["config"]
    with configured(stack) as changed:
        gateway = example["gateway"]
        changed.set("gateway", gateway | {"monitoring": gateway["monitoring"] | {"grafana": False}})
        changed.up(*example["services"])
        # The dashboard is another one then, at the same place.
        changed.up(*example["services"], AWAY)
        eventually(lambda: changed.get("/away").status_code == 503)
        yield changed


@pytest.fixture(scope="module")
def prometheus(watched: Configured) -> Iterator[httpx.Client]:
    """Prometheus, by the command that the guide evaluates."""
    with Guide("how-to/observe-the-gateway.md") as guide:
        typed = guide.commands("grafana_password_command", "grafana_command")
    assert "prometheus_command" in typed
    command = shlex.split(watched.stack.output("prometheus_command"))
    with subprocess.Popen(command, env=watched.stack.environment, stdout=subprocess.DEVNULL) as forward:
        try:
            eventually(lambda: connects("127.0.0.1", 9090))
            with httpx.Client(base_url="http://127.0.0.1:9090/api/v1", timeout=PATIENCE, trust_env=False) as client:
                yield client
        finally:
            forward.terminate()


def ask(prometheus: httpx.Client, query: str) -> list[float]:
    answer = prometheus.get("/query", params={"query": query}).json()
    assert answer["status"] == "success", (query, answer)
    return [float(series["value"][1]) for series in answer["data"]["result"]]


def queries(panel: dict[str, Any]) -> list[str]:
    # Grafana would put at least four scrapes there.
    return [target["expr"].replace("$__rate_interval", "5m") for target in panel.get("targets", [])]


def test_every_panel_of_the_dashboard_has_data(watched: Configured, prometheus: httpx.Client) -> None:
    shown = watched.stack.kubernetes("configmap", "gateway-dashboard", "-n", "monitoring")
    panels = json.loads(shown["data"]["gateway.json"])["panels"]
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == ["Gateway", "foo", "bar", "away"]

    def all_have_answers() -> bool:
        for path in ("/foo", "/bar", "/away"):
            watched.get(path)
        answers = [ask(prometheus, query) for panel in panels for query in queries(panel)]
        return all(answer and not any(map(math.isnan, answer)) for answer in answers)

    eventually(all_have_answers)
    rates: dict[str, list[float]] = {}
    row = ""
    for panel in panels:
        row = panel["title"] if panel["type"] == "row" else row
        if panel["title"] == "Errors":
            rates[row] = [value for query in queries(panel) for value in ask(prometheus, query)]
    assert (rates["foo"], rates["bar"], rates["away"]) == ([0], [0], [1])
    assert 0 < rates["Gateway"][0] < 1


def test_every_pod_of_the_gateway_is_scraped(watched: Configured, prometheus: httpx.Client) -> None:
    def scale(pods: int) -> None:
        watched.stack.run("kubectl", "scale", "deployment/kong", "-n", "kong", f"--replicas={pods}")
        eventually(lambda: ask(prometheus, 'sum(up{job="kong"})') == [pods])

    with contextlib.ExitStack() as until:
        until.callback(scale, 1)
        scale(2)


def test_alerts_are_rules_that_prometheus_evaluates(watched: Configured, prometheus: httpx.Client) -> None:
    def rules() -> dict[str, dict[str, Any]]:
        (group,) = prometheus.get("/rules").json()["data"]["groups"]
        return {rule["name"]: rule for rule in group["rules"]}

    eventually(lambda: all(rule["health"] == "ok" for rule in rules().values()))
    wanted = {
        "GatewayDown": "inactive",
        "GatewayErrors": "pending",  # of the service that always fails; for five minutes it would fire
        "GatewaySlow": "inactive",
    }

    def states_are_wanted() -> bool:
        assert watched.get("/away").status_code == 503
        return {name: rule["state"] for name, rule in rules().items()} == wanted

    eventually(states_are_wanted)


def test_other_pods_cannot_reach_prometheus(watched: Configured) -> None:
    prometheus = f"{inside.address(watched.stack, '-n', 'monitoring')}:9090"
    with inside.stranger(watched.stack):
        assert inside.reached(watched.stack, inside.STRANGER, prometheus) == set()
        watched.stack.run("kubectl", "delete", "networkpolicy", "--all", "-n", "monitoring")
        assert inside.reached(watched.stack, inside.STRANGER, prometheus) == {prometheus}


def test_monitoring_has_no_public_address_and_no_volume(watched: Configured) -> None:
    services = watched.stack.kubernetes("services", "-n", "monitoring")["items"]
    assert {service["spec"]["type"] for service in services} == {"ClusterIP"}
    assert watched.stack.kubernetes("persistentvolumeclaims", "-A")["items"] == []
    assert watched.get("/metrics").status_code == 404
