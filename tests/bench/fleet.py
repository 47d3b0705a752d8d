"""python -m tests.bench.fleet: `up` of N services against kubectl with the same objects and the same waits.

The real engine, program and Kubernetes API server; nodes are pretended (see tests.reliability.nodeless), so that no pod
takes the processor. Each figure has a baseline of the same run, so a slow machine makes both slow.
"""

import argparse
import base64
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from ops.timeline import critical_path, draw, steps_of_events
from sandbox.host.paths import PROJECT
from sandbox.toolchain.build import tool
from tests.bench import report
from tests.bench.report import PICTURES
from tests.reliability.part import QUIET, until
from tests.reliability.whole import Whole
from tests.standins.digitalocean_provider.engine import TOKEN

RESULTS = PROJECT / "tests" / "bench" / "results.json"
CREATE_CLUSTER, CREATE_LOAD_BALANCER = 30.0, 9.0
"""Seconds: a tenth of what DigitalOcean takes."""
POLL = 1.0
"""Seconds between two looks at the cluster: a tenth of the provider's."""
SAMPLE = 5.0
"""Seconds before each life of a fleet, in which the other work of the machine is measured."""

Seconds = dict[str, list[float]]


class Fleet(Whole):
    """A stack of many services, each one image that is ready."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.environment["PULUMI_DEBUG_COMMANDS"] = "true"
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(_kubeconfig(self.relay.url, self.relay.ca_pem.decode(), self.relay.admin_token))
        self.peaks: dict[str, int] = {}
        self.processor: dict[str, float] = {}

    def configure_services(self, services: int) -> None:
        names = [f"s{number:03}" for number in range(services)]
        entries = [{"name": name, "path": f"/{name}", "image": "user/some:1"} for name in names]
        self.configure(services=entries, consumers=[])

    def time_command(self, *command: str) -> float:
        """Seconds that a command takes; notes the memory and the processor time of its processes."""
        self.processor.clear()
        began = time.monotonic()
        with watched(self.peaks, self.processor):
            self.run(*command)
        return round(time.monotonic() - began, 2)

    def destroy_stack(self) -> float:
        """Seconds that `destroy` takes; then waits, uncounted, until the account has taken the cluster down."""
        took = self.time_command("pulumi", "destroy", *QUIET)
        until(lambda: not self.account.cloud.clusters.records, seconds=600)
        return took

    def time_kubectl(self, *arguments: str) -> float:
        return self.time_command(str(tool("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments)


def measure(services: int, folder: Path, seconds: Seconds) -> dict[str, float]:
    """One life of a fleet and one of its baseline; adds to `seconds`.

    Returns:
        Sizes: of the state, and of the processes; which of them a no-op `up` keeps busy, and how long.
    """

    def note(name: str, took: float) -> None:
        print(f"{services} services, {name}: {took} s", file=sys.stderr)
        seconds.setdefault(name, []).append(took)

    fleet = Fleet(folder)
    try:
        fleet.configure_services(0)
        note("up of none", fleet.time_command("pulumi", "up", *QUIET))
        note("destroy of none", fleet.destroy_stack())
        fleet.configure_services(services)
        note("up", fleet.time_command("pulumi", "up", *QUIET, "--event-log", f"{folder}/events.json"))
        exported = json.loads(fleet.run("pulumi", "stack", "export").stdout)
        note("no-op up", fleet.time_command("pulumi", "up", *QUIET))
        processor = {f"CPU-seconds of the {name}, no-op up": round(took, 1) for name, took in fleet.processor.items()}
        note("preview", fleet.time_command("pulumi", "preview", "--non-interactive"))
        (file,) = (path for path in fleet.state.rglob("stacks/**/dev.json") if path.is_file())
        sizes: dict[str, float] = {
            "file": file.stat().st_size,
            "json": len(json.dumps(exported, separators=(",", ":"))),
            **fleet.peaks,
            **processor,
        }
        note("destroy", fleet.destroy_stack())
        objects = folder / "objects.json"
        items = [resource["inputs"] for resource in exported["deployment"]["resources"] if _of_services(resource)]
        objects.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        sizes["objects"] = len(items)
        file_option = f"--filename={objects}"
        note("kubectl apply", fleet.time_kubectl("apply", "--server-side", file_option) + _waits(fleet))
        note("kubectl apply, unchanged", fleet.time_kubectl("apply", "--server-side", file_option))
        note("kubectl delete", fleet.time_kubectl("delete", "--wait", "--ignore-not-found", file_option))
    finally:
        fleet.stop()
    return sizes


def _waits(fleet: Fleet) -> float:
    common = ("wait", "--namespace=services", "--all", "--timeout=20m")
    return fleet.time_kubectl(*common, "deployment", "--for=condition=Available") + fleet.time_kubectl(
        *common, "ingress", "--for=jsonpath={.status.loadBalancer.ingress}"
    )


def _of_services(resource: Mapping[str, Any]) -> bool:
    metadata = resource.get("inputs", {}).get("metadata", {})
    return resource["type"].startswith("kubernetes:") and "services" in (
        metadata.get("namespace"),
        metadata.get("name"),
    )


def tutorial(folder: Path) -> dict[str, float]:
    """`up` of the tutorial's two services, with DigitalOcean's delays at a tenth, and the same done by hand in order.

    No image is built on either side. Returns seconds; draws the timeline.
    """
    fleet = Fleet(folder)
    fleet.account.settings.cluster_create = CREATE_CLUSTER
    fleet.account.settings.load_balancer_create = CREATE_LOAD_BALANCER
    # More often is more than the account allows in a minute.
    fleet.environment["KONG_DOKS_SANDBOX_POLL_SECONDS"] = str(POLL)
    try:
        fleet.configure_services(2)
        took = fleet.time_command("pulumi", "up", *QUIET, "--event-log", f"{folder}/events.json")
        exported = json.loads(fleet.run("pulumi", "stack", "export").stdout)["deployment"]["resources"]
        with (folder / "events.json").open() as lines:
            steps = steps_of_events(lines, exported)
        path = critical_path(steps)
        (PICTURES / "timeline.svg").write_text(draw(steps, f"up of two services: {took:.0f} s, delays at a tenth"))
        fleet.destroy_stack()
        by_hand = _by_hand(fleet, folder, exported)
    finally:
        fleet.stop()
    return {"up": took, "critical path": sum(step.end - step.start for step in path), "by hand": by_hand}


def _by_hand(fleet: Fleet, folder: Path, resources: list[dict[str, Any]]) -> float:
    """The tutorial's commands one after the other: the cluster, the services, Kong, the routes."""
    release = next(resource["inputs"] for resource in resources if resource["type"].endswith(":Release"))
    values, services, routes = folder / "values.json", folder / "services.json", folder / "routes.json"
    values.write_text(json.dumps(release["values"]))
    items = [resource["inputs"] for resource in resources if _of_services(resource)]
    for file, is_route in ((services, False), (routes, True)):
        chosen = [item for item in items if (item["kind"] == "Ingress") is is_route]
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": chosen}))
    version = next(
        resource["inputs"]["version"] for resource in resources if resource["type"].endswith(":KubernetesCluster")
    )
    wanted = {"name": "by-hand", "region": "nyc1", "version": version}
    pools = {"node_pools": [{"size": "s-1vcpu-2gb", "count": 1, "name": "pool"}]}
    began = time.monotonic()
    with httpx.Client(base_url=fleet.account.url, headers={"Authorization": f"Bearer {TOKEN}"}) as api:
        created = api.post("/v2/kubernetes/clusters", json=wanted | pools).raise_for_status().json()
        url = f"/v2/kubernetes/clusters/{created['kubernetes_cluster']['id']}"
        while api.get(url).raise_for_status().json()["kubernetes_cluster"]["status"]["state"] != "running":
            time.sleep(POLL)
        fleet.time_kubectl("apply", "--server-side", f"--filename={services}")
        fleet.time_kubectl(
            *("wait", "--namespace=services", "--all", "--timeout=20m", "deployment", "--for=condition=Available")
        )
        fleet.time_command(
            *(str(tool("helm")), "install", release["name"], release["chart"], "--version", release["version"]),
            *("--repo", release["repositoryOpts"]["repo"], "--namespace", "kong", "--create-namespace", "--wait"),
            *("--values", str(values), "--kubeconfig", str(fleet.kubeconfig)),
        )
        fleet.time_kubectl("apply", "--server-side", f"--filename={routes}")
        fleet.time_kubectl(
            *("wait", "--namespace=services", "--all", "ingress", "--for=jsonpath={.status.loadBalancer.ingress}")
        )
    return round(time.monotonic() - began, 2)


@contextmanager
def watched(peaks: dict[str, int], processor: dict[str, float]) -> Iterator[None]:
    """Notes the highest memory (MiB) and the processor time (seconds) of each kind of process below this one."""
    ended = threading.Event()
    used: dict[tuple[str, int], float] = {}

    def watch() -> None:
        while not ended.wait(0.1):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    command = " ".join(process.cmdline())
                    name = next((name for part, name in _PROCESSES.items() if part in command), None)
                    if name:
                        memory = f"MiB of the {name}"
                        peaks[memory] = max(peaks.get(memory, 0), process.memory_info().rss >> 20)
                        times = process.cpu_times()
                        used[name, process.pid] = times.user + times.system

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        for (name, _), seconds in used.items():
            processor[name] = processor.get(name, 0) + seconds


_PROCESSES = {
    "pulumi-language-python-exec": "program",
    "pip list": "list of Python packages",
    "pulumi-resource-kubernetes": "Kubernetes provider",
    "sandbox.digitalocean.provider": "DigitalOcean provider",
    "pulumi up": "engine",
    "pulumi preview": "engine",
    "pulumi destroy": "engine",
}


def _kubeconfig(server: str, authority: str, token: str) -> str:
    data = base64.b64encode(authority.encode()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": server, "certificate-authority-data": data}}],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    return json.dumps(config)


def _machine() -> str:
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return f"{os.cpu_count()} x {cpu.partition(':')[2].strip()}, Linux {platform.release()}"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kong-doks-bench-") as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, nargs="*", default=[2, 20], help="how many, one fleet for each")
    parser.add_argument("--rounds", type=int, default=1, help="lives of each fleet")
    parser.add_argument("--no-tutorial", action="store_true", help="leave out the two rows with DigitalOcean's delays")
    chosen = parser.parse_args()
    results: dict[str, Any] = {
        "commit": report.commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "busy": 0,
        "rounds": chosen.rounds,
        "seconds": {},
        "sizes": {},
    }
    for services in chosen.services:
        seconds: Seconds = {}
        for _ in range(chosen.rounds):
            results["busy"] = max(results["busy"], psutil.cpu_percent(SAMPLE))
            with _folder() as folder:
                results["sizes"][str(services)] = measure(services, folder, seconds)
        results["seconds"][str(services)] = seconds
    if not chosen.no_tutorial:
        with _folder() as folder:
            results["tutorial"] = tutorial(folder)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    report.write(results)
    print(report.tables(results))


if __name__ == "__main__":
    main()
