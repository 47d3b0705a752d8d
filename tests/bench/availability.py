"""python -m tests.bench.availability: requests that fail while the stack changes or something in it breaks.

The real engine, Kubernetes, ingress controller and pods of the sandbox; load balancer and proxy are its stand-ins. Each
event is measured alone: requests to /foo and /bar begin before it and end after it.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.console import Console

from sandbox.host.paths import PROJECT, RUN
from tests.bench import availability_page as page
from tests.bench.load import RATE, figures, load
from tests.e2e.stack import Stack, control, copy_checkout, eventually, stack_file

RESULTS = PROJECT / "tests" / "bench" / "availability.json"
QUIET = 3.0
"""Seconds of requests before and after each event."""
NODE = 20.0
"""Seconds until a new node runs. DigitalOcean's takes minutes: in both cases the load balancer knows it by then."""
AWAY = 60.0
"""Seconds that something is away."""
PATHS = ("/foo", "/bar")
SERVICES = [{"name": "foo", "path": "/foo", "build": "apps/foo"}, {"name": "bar", "path": "/bar", "build": "apps/bar"}]
RATE_LIMIT_STORE = "rate-limits"
"""The label `app` of its pod."""
Configuration = dict[str, Any]
SETUPS: dict[str, Configuration] = {
    "one": {"nodeCount": 1, "services": SERVICES},
    "two": {
        "nodeCount": 2,
        "gateway": {"replicas": 2},
        # A limit that no request reaches: it is counted in the rate-limit store.
        "services": [service | {"replicas": 2, "rateLimit": {"second": 100_000}} for service in SERVICES],
    },
}
"""One pod of each on one node; and two of each on two nodes."""


class Lab(Stack):
    """The stack in one of the setups, and what can be done to it."""

    def __init__(self, folder: Path, setup: str) -> None:
        super().__init__(folder)
        self._file = folder / "Pulumi.sandbox.yaml"
        self.setup = setup
        self._changed = False
        self._nodes = SETUPS[setup]["nodeCount"]

    def change(self, **changes: Any) -> None:  # noqa: ANN401 -- YAML
        """Brings the stack up with the setup's configuration, and with changes until the event is measured."""
        document = stack_file(PROJECT / "Pulumi.sandbox.yaml")
        document["config"] |= SETUPS[self.setup] | changes
        self._file.write_text(yaml.safe_dump(document))
        self._changed = bool(changes)
        self.up()

    def services(self, **changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- YAML
        """The setup's services, foo with changes."""
        foo, bar = SETUPS[self.setup]["services"]
        return [foo | changes, bar]

    @property
    def cluster(self) -> dict[str, Any]:
        (cluster,) = self.api("GET", "/v2/kubernetes/clusters")["kubernetes_clusters"]
        found: dict[str, Any] = cluster
        return found

    @property
    def pool(self) -> str:
        return f"/v2/kubernetes/clusters/{self.cluster['id']}/node_pools/{self.cluster['node_pools'][0]['id']}"

    def resize(self, count: int) -> None:
        self.api("PUT", self.pool, json={"name": self.cluster["node_pools"][0]["name"], "count": count})
        self.settle_nodes(count)

    def node_of(self, app: str) -> str:
        """The node of an app's first pod."""
        (pod, *_) = self.kubernetes("pods", "-A", "-l", f"app={app}")["items"]
        return str(pod["spec"]["nodeName"])

    def settle_nodes(self, count: int, seconds: float = 180) -> None:
        def settled() -> bool:
            states = [node["status"]["state"] for pool in self.cluster["node_pools"] for node in pool["nodes"]]
            return states == ["running"] * count and len(self.kubernetes("nodes")["items"]) == count

        eventually(settled, seconds)

    def settle(self) -> None:
        """Takes changes back and waits until the stack is whole again, and the load balancer has its nodes back."""
        if self._changed:
            self.change()
        self.settle_nodes(self._nodes)
        for node in self.kubernetes("nodes")["items"]:
            self.run("kubectl", "uncordon", node["metadata"]["name"])

        def whole() -> bool:
            deployments = self.kubernetes("deployments", "-A")["items"]
            return all(d["status"].get("readyReplicas") == d["spec"]["replicas"] for d in deployments)

        eventually(whole, 180)
        if self._nodes > 1:
            self.spread()
            time.sleep(18)  # five health checks of the load balancer

    def spread(self) -> None:
        """Puts each pair of pods on two nodes again: nothing moves them by itself."""
        for name, namespace in (("kong", "kong"), ("foo-deployment", "default"), ("bar-deployment", "default")):
            app = name.removesuffix("-deployment")
            pods = self.kubernetes("pods", "-n", namespace, "-l", f"app={app}")["items"]
            if len({pod["spec"]["nodeName"] for pod in pods}) < self._nodes:
                self.run("kubectl", "delete", "pod", "-n", namespace, pods[0]["metadata"]["name"])
                self.run("kubectl", "rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=90s")


def _process_ids(*, command: str, environment: str = "") -> list[int]:
    """The processes with these texts in their command line and environment, the oldest first."""

    def read(process: Path, name: str) -> str:
        try:
            return (process / name).read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended
            return ""

    found = (p for p in Path("/proc").glob("[0-9]*") if command in read(p, "cmdline"))
    return sorted(int(p.name) for p in found if environment in read(p, "environ"))


def kill(lab: Lab, app: str, command: str) -> None:
    """Ends a container of an app's first pod at once, as the kernel does where memory is short."""
    (pod, *_) = lab.kubernetes("pods", "-A", "-l", f"app={app}")["items"]
    os.kill(_process_ids(command=command, environment=f"HOSTNAME={pod['metadata']['name']} ")[0], signal.SIGKILL)
    time.sleep(10)


def update_image(lab: Lab) -> None:
    source = lab.folder / "apps" / "foo" / "app.py"
    source.write_text(source.read_text() + f"\n# {time.time()}\n")
    lab.up()


def replace_kong(lab: Lab) -> None:
    lab.change(gateway=SETUPS[lab.setup].get("gateway", {}) | {"headerLimit": 20})


def promote_canary(lab: Lab) -> None:
    canary = {"build": "apps/foo", "env": {"VERSION": "2"}}
    for weight in (50, 100):
        lab.change(services=lab.services(canary=canary | {"weight": weight}))
    lab.change(services=lab.services(env={"VERSION": "2"}, canary=canary | {"weight": 100}))
    lab.change(services=lab.services(env={"VERSION": "2"}))


def drain_node(lab: Lab) -> None:
    lab.run("kubectl", "drain", lab.node_of("kong"), "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")


def kill_node(lab: Lab) -> None:
    name = lab.node_of("kong")
    nodes = [node for pool in lab.cluster["node_pools"] for node in pool["nodes"]]
    (droplet,) = [node["droplet_id"] for node in nodes if node["name"] == name]
    lab.api("DELETE", f"/v2/droplets/{droplet}")
    eventually(lambda: name not in {node["metadata"]["name"] for node in lab.kubernetes("nodes")["items"]}, 180)
    lab.settle_nodes(2)


def kill_foo(lab: Lab) -> None:
    kill(lab, "foo", "gunicorn")


def kill_kong(lab: Lab) -> None:
    kill(lab, "kong", "/usr/local/bin/kong")


def kill_controller(lab: Lab) -> None:
    kill(lab, "kong", "/manager")


def kill_store(lab: Lab) -> None:
    kill(lab, RATE_LIMIT_STORE, "valkey-server")


def stop_api_server(_: Lab) -> None:
    key = f"--service-account-key-file={RUN}/"
    process = _process_ids(command=key)[-1]  # the other one entered the namespaces for it
    os.kill(process, signal.SIGSTOP)
    time.sleep(AWAY)
    os.kill(process, signal.SIGCONT)
    time.sleep(20)


def refuse_digitalocean(_: Lab) -> None:
    control("POST", "faults", json={"path": "/v2/", "kind": "refuse", "times": None})
    try:
        time.sleep(AWAY)
    finally:
        control("DELETE", "faults")


def resize_pool(lab: Lab) -> None:
    lab.resize(3)
    lab.resize(2)


def recycle_node(lab: Lab) -> None:
    name = lab.node_of("kong")
    (node,) = [node for node in lab.cluster["node_pools"][0]["nodes"] if node["name"] == name]
    lab.api("DELETE", f"{lab.pool}/nodes/{node['id']}?replace=1")
    eventually(lambda: name not in {node["metadata"]["name"] for node in lab.kubernetes("nodes")["items"]}, 180)
    lab.settle_nodes(2)


def upgrade(lab: Lab) -> None:
    cluster = f"/v2/kubernetes/clusters/{lab.cluster['id']}"
    versions: list[str] = control("GET", "settings")["versions"]
    following = versions[versions.index(lab.cluster["version"]) - 1]
    lab.api("POST", f"{cluster}/upgrade", json={"version": following})
    eventually(lambda: lab.cluster["status"]["state"] == "running", 300)


@dataclass(frozen=True)
class Event:
    """What happens.

    Attributes:
        act: Does it; returns when it is over for the one who did it.
        setups: In which it is measured.
    """

    act: Callable[[Lab], None]
    setups: tuple[str, ...] = ("one", "two")


EVENTS: dict[str, Event] = {
    "nothing": Event(lambda _: time.sleep(20)),
    "image of foo updated": Event(update_image),
    "Kong's pods replaced": Event(replace_kong),
    "node drained": Event(drain_node, ("two",)),
    "node killed": Event(kill_node, ("two",)),
    "foo killed": Event(kill_foo),
    "Kong killed": Event(kill_kong),
    "controller killed": Event(kill_controller),
    "API server away": Event(stop_api_server),
    "DigitalOcean's API away": Event(refuse_digitalocean),
    "rate-limit store killed": Event(kill_store, ("two",)),
    "canary promoted": Event(promote_canary),
    "node recycled": Event(recycle_node, ("two",)),
    "pool resized": Event(resize_pool, ("two",)),
    "cluster upgraded": Event(upgrade, ("two",)),
}


@contextmanager
def running(setup: str) -> Iterator[Lab]:
    """The stack on a sandbox of its own."""

    def sandbox(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "sandbox", *arguments], cwd=PROJECT, check=True)

    sandbox("start")
    try:
        if SETUPS[setup].get("gateway"):
            sandbox("image", "valkey")
        with tempfile.TemporaryDirectory() as folder:
            copy_checkout(Path(folder), without=("sandbox/", "tests/"))
            control("PUT", "settings", json={"node_create": NODE})
            lab = Lab(Path(folder), setup)
            lab.change()
            lab.settle()
            yield lab
            lab.pulumi("destroy", "--yes", "--skip-preview")
    finally:
        sandbox("stop")


def measure(lab: Lab, event: Event) -> dict[str, Any]:
    before = os.times()
    with load(lab.address, PATHS, QUIET) as requests:
        event.act(lab)
    after = os.times()
    return figures(requests.requests) | {"seconds": round(after.elapsed - before.elapsed - 2 * QUIET, 1)}


def main() -> int:
    """Returns 1 if an event couldn't be measured; the others are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setup", choices=SETUPS, action="append", help="by default each")
    parser.add_argument("--event", choices=EVENTS, action="append", help="by default each")
    chosen = parser.parse_args()
    console = Console(highlight=False)
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = 0
    for setup in chosen.setup or SETUPS:
        with running(setup) as lab:
            for name, event in EVENTS.items():
                if setup not in event.setups or name not in (chosen.event or EVENTS):
                    continue
                try:
                    row = measure(lab, event)
                    lab.settle()
                except (AssertionError, IndexError, httpx.HTTPError) as error:
                    console.print(f"{setup}: {name}: not measured: {error!r}", markup=False, soft_wrap=True)
                    failed = 1
                    continue
                results.setdefault(setup, {})[name] = row
                console.print(f"{setup}: {name}: {row}", markup=False, soft_wrap=True)
                results |= {
                    "date": datetime.now(UTC).strftime("%Y-%m-%d"),
                    "rate": RATE,
                    "machine": f"{os.cpu_count()} processors, Linux {platform.release().partition('-')[0]}",
                    "load": round(os.getloadavg()[1], 1),
                }
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
                page.write(results)
    console.print(page.tables(results), markup=False)
    return failed


if __name__ == "__main__":
    sys.exit(main())
