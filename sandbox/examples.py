"""A stack for an example: its stack file, and what else the sandbox needs for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import yaml

from sandbox.charts import repository as charts
from sandbox.environment import environment
from sandbox.host.addresses import ACME, API
from sandbox.host.paths import PROJECT, RUN
from sandbox.host.process import ANSWER_SECONDS
from sandbox.host.progress import Report
from sandbox.images import catalog as images
from sandbox.toolchain.build import demand

NAMES = sorted(path.stem for path in (PROJECT / "examples").glob("*.yaml"))


def stack_name(example: str) -> str:
    return f"sandbox-{example}"


def stack_file(example: str) -> Path:
    """The generated stack file. Git ignores it."""
    return PROJECT / f"Pulumi.{stack_name(example)}.yaml"


def prepare(example: str, report: Report, start_acme: Callable[[], None]) -> None:
    """Writes the example's stack file with the sandbox's addresses, and provides the images and services it needs."""
    base = yaml.safe_load((PROJECT / "Pulumi.sandbox.yaml").read_text())
    config: dict[str, Any] = yaml.safe_load((PROJECT / "examples" / f"{example}.yaml").read_text())["config"]
    own = {key: value for key, value in base["config"].items() if str(value).startswith("http://127.")}
    config |= own | {"protect": base["config"]["protect"]}
    images.publish(report.say, [images.valkey()])
    if domain := config.get("domain"):
        start_acme()
        config["acme"] = {"server": ACME, "ca": (RUN / "acme" / "ca.crt").read_text()}
        _add_zone(domain.partition(".")[2])
    if monitoring := config.get("gateway", {}).get("monitoring"):
        demand("prometheus", report)
        images.publish(report.say, [images.PROMETHEUS])
        config["gateway"]["monitoring"] = (monitoring if isinstance(monitoring, dict) else {}) | {"grafana": False}
    if any("autoscale" in pods for pods in [config.get("gateway", {}), *config.get("services", [])]):
        add_metrics_server(report)
    stack_file(example).write_text(yaml.safe_dump(base | {"config": config}, sort_keys=False))


def add_metrics_server(report: Report) -> None:
    """Provides what a stack with autoscale needs: metrics-server's image and chart."""
    demand("metrics-server", report)
    images.publish(report.say, [images.METRICS_SERVER])
    charts.add_metrics_server()


def _add_zone(zone: str) -> None:
    bearer = {"Authorization": f"Bearer {environment()['DIGITALOCEAN_TOKEN']}"}
    answer = httpx.post(
        f"{API}/v2/domains", json={"name": zone}, headers=bearer, timeout=ANSWER_SECONDS, trust_env=False
    )
    if answer.status_code != httpx.codes.UNPROCESSABLE_ENTITY:  # exists from an earlier run
        answer.raise_for_status()
