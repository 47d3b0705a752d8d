"""Events of a stack while requests are sent: changes by its owner, and faults."""

import json
import os
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.config import versions
from sandbox.host.addresses import ACME, CHARTS
from sandbox.host.paths import RUN
from sandbox.toolchain.build import tool
from tests.bench.lab import CHECKED, SETUPS, Lab
from tests.e2e import inside
from tests.e2e.stack import control
from tests.e2e.test_certificates import DOMAIN, certificate, trust
from tests.support import eventually, sandbox_command

AWAY = 60.0
"""Duration of an outage, in seconds."""
ROUTES = 100
_NEXT_CHART = "99.0.0"
_LARGER, _BATCH = "s-4vcpu-8gb", "batch"
_EAT = """

@app.get("/foo/eat")
def eat() -> str:
    return str(len(b"x" * (1 << 30)))
"""


@dataclass(frozen=True)
class Event:
    """A change or a fault that is measured.

    Attributes:
        act: Causes the event; returns when the caller sees its end.
        setups: The setups in which it is measured.
        prepare: Sets up its requirements, before requests are sent.
    """

    act: Callable[[Lab], None]
    setups: tuple[str, ...] = ("one", "two")
    prepare: Callable[[Lab], None] = lambda _: None


# Changes.


def update_image(lab: Lab) -> None:
    source = lab.folder / "apps" / "foo" / "app.py"
    source.write_text(source.read_text() + f"\n# {time.time()}\n")
    lab.up()


def change_port(lab: Lab) -> None:
    lab.change(services=lab.services(port=8080))


def promote_canary(lab: Lab) -> None:
    canary = {"build": "apps/foo", "env": {"VERSION": "2"}}
    for weight in (50, 100):
        lab.change(services=lab.services(canary=canary | {"weight": weight}))
    lab.change(services=lab.services(env={"VERSION": "2"}, canary=canary | {"weight": 100}))
    lab.change(services=lab.services(env={"VERSION": "2"}))


def replace_kong(lab: Lab) -> None:
    lab.change(gateway=SETUPS[lab.setup].get("gateway", {}) | {"headerLimit": 20})


def release_chart(_: Lab) -> None:
    """Adds a newer version of Kong's chart to the repository, as a release does."""
    charts = RUN / "charts"
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(charts / f"kong-{versions.KONG_CHART}.tgz") as archive:
            archive.extractall(folder, filter="data")
        for command in (
            ["package", f"{folder}/kong", "--version", _NEXT_CHART, "--destination", str(charts)],
            ["repo", "index", str(charts), "--url", CHARTS],
        ):
            subprocess.run([tool("helm"), *command], check=True, capture_output=True)


def bump_chart(lab: Lab) -> None:
    pins = lab.folder / "infra" / "config" / "versions.py"
    pins.write_text(pins.read_text().replace(f'CHART = "{versions.KONG_CHART}"', f'CHART = "{_NEXT_CHART}"'))
    lab.up()


def routes(letter: str) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": f"many-{number:02}", "namespace": "default", "labels": {"many": "routes"}},
            "spec": {
                "ingressClassName": "kong",
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": f"/{letter}{number:02}",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "foo-service", "port": {"name": "http"}}},
                                }
                            ]
                        }
                    }
                ],
            },
        }
        for number in range(ROUTES)
    ]


def apply_routes(lab: Lab, letter: str) -> None:
    file = lab.folder / "routes.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": routes(letter)}))
    lab.run("kubectl", "apply", "--server-side", "--filename", str(file))
    # Kong answers 404 in its own words, foo in others.
    eventually(lambda: all("no Route" not in lab.get(f"/{letter}{number:02}").text for number in (0, ROUTES - 1)), 90)


def change_routes(lab: Lab) -> None:
    for letter in ("s", "t"):
        apply_routes(lab, letter)
    lab.run("kubectl", "delete", "ingress", "-l", "many=routes")


KEYS = {name: f"planted-key-of-{name}-in-the-bench" for name in ("alice", "alice-2")}


def with_keys(lab: Lab, *names: str) -> None:
    services = [service | {"auth": "key-auth"} for service in SETUPS[lab.setup]["services"]]
    lab.configure(services=services, consumers=[{"name": name} for name in names])
    for index, name in enumerate(names):
        lab.pulumi("config", "set", "--secret", "--path", f"consumers[{index}].apiKey", KEYS[name])
    lab.up()


def add_key(lab: Lab) -> None:
    with_keys(lab, "alice")
    lab.client.headers = {"apikey": KEYS["alice"]}
    eventually(lambda: lab.get("/foo", headers=lab.client.headers).status_code == 200)


def rotate_key(lab: Lab) -> None:
    """A second consumer, until its key has replaced the first one's (docs/how-to/rotate-credentials.md)."""
    with_keys(lab, "alice", "alice-2")
    eventually(lambda: lab.get("/foo", headers={"apikey": KEYS["alice-2"]}).status_code == 200)
    time.sleep(5)  # the other pod of Kong has it, too
    lab.client.headers = {"apikey": KEYS["alice-2"]}
    with_keys(lab, "alice-2")
    eventually(lambda: lab.get("/foo", headers={"apikey": KEYS["alice"]}).status_code == 401)


def add_domain(lab: Lab) -> None:
    sandbox_command("certificates")
    if not lab.api("GET", "/v2/domains")["domains"]:
        lab.api("POST", "/v2/domains", json={"name": DOMAIN.partition(".")[2]})
    authority = (RUN / "acme" / "ca.crt").read_text()
    acme = {"server": ACME, "ca": authority, "profile": "minutes"}
    lab.change(domain=DOMAIN, email="ops@example.com", acme=acme)
    lab.client.scheme, lab.client.server_name, lab.client.trust = "https", DOMAIN, trust()
    lab.client.headers = {"Host": DOMAIN}
    time.sleep(10)  # each pod of Kong has the certificate


def renew_certificate(lab: Lab) -> None:
    context = trust()

    def serial() -> int | None:
        with suppress(OSError):  # the load counts what isn't served
            return certificate(lab.address, context).serial_number
        return None

    first = eventually(serial)
    eventually(lambda: serial() not in {None, first}, 5 * 60)
    time.sleep(5)


def autoscale(lab: Lab) -> None:
    sandbox_command("autoscaling")
    autoscale = {"min": lab.replicas, "max": 4, "cpu": 1000}
    lab.change(services=lab.services(replicas=None, autoscale=autoscale))

    def works() -> bool:
        status = lab.kubernetes("hpa", "foo-autoscaler").get("status", {})
        return any(c["type"] == "ScalingActive" and c["status"] == "True" for c in status.get("conditions", []))

    eventually(works, 180)


def scale_up_and_down(lab: Lab) -> None:
    """Adds pods by a lower target, and removes them by a higher one."""
    for target, pods in ((1, 4), (1000, lab.replicas)):
        metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}
        spec = {
            "metrics": [{"type": "Resource", "resource": metric}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
        }
        lab.run("kubectl", "patch", "hpa", "foo-autoscaler", "--patch", json.dumps({"spec": spec}))
        eventually(
            lambda: lab.kubernetes("deployment", "foo-deployment")["status"].get("readyReplicas") == pods,  # noqa: B023 -- waits
            180,
        )


def drain_node(lab: Lab) -> None:
    lab.run("kubectl", "drain", lab.node_of("kong"), "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")


def resize_pool(lab: Lab) -> None:
    lab.resize(lab.nodes + 1)
    lab.resize(lab.nodes)


def change_node_size(lab: Lab) -> None:
    """Moves the default pool to larger nodes and back (docs/how-to/resize-a-node-pool.md)."""
    for changes in ({"nodeSize": _LARGER}, {}):
        lab.configure(**changes)
        lab.types("python -m ops resize-pool --yes\npulumi up")


def add_pool(lab: Lab) -> None:
    lab.change(nodePools={_BATCH: {"size": "s-2vcpu-4gb", "autoscale": {"min": 0, "max": 1}}})


def autoscale_nodes(lab: Lab) -> None:
    """A pod without room adds a node, which is removed after it."""
    pod = inside.pod(_BATCH, "python", "-c", "import time; time.sleep(3600)")
    (pool,) = [pool["name"] for pool in lab.cluster["node_pools"] if pool["name"].startswith(_BATCH)]
    pod["spec"]["nodeSelector"] = {"doks.digitalocean.com/node-pool": pool}
    created = inside.create(lab, "default", pod)
    assert created.returncode == 0, created.stderr
    lab.run("kubectl", "wait", f"pod/{_BATCH}", "--for=condition=Ready", "--timeout=180s")
    lab.run("kubectl", "delete", "pod", _BATCH)
    lab.settle_nodes(lab.nodes)


def add_node(lab: Lab) -> None:
    """Adds the node that a drained node's pods move to, where there is one node alone."""
    if lab.nodes == 1:
        lab.resize(2)
        time.sleep(CHECKED)


def recycle_node(lab: Lab) -> None:
    name = lab.node_of("kong")
    (node,) = [node for node in lab.cluster["node_pools"][0]["nodes"] if node["name"] == name]
    lab.api("DELETE", f"{lab.pool}/nodes/{node['id']}?replace=1")
    eventually(lambda: name not in {node["metadata"]["name"] for node in lab.kubernetes("nodes")["items"]}, 180)
    lab.settle_nodes(lab.nodes)


def upgrade(lab: Lab) -> None:
    cluster = f"/v2/kubernetes/clusters/{lab.cluster['id']}"
    known: list[str] = control("GET", "settings")["versions"]
    following = known[known.index(lab.cluster["version"]) - 1]
    lab.api("POST", f"{cluster}/upgrade", json={"version": following})
    eventually(lambda: lab.cluster["status"]["state"] == "running", 300)


# Faults.


def _process_ids(*, command: str, environment: str = "") -> list[int]:
    """The processes with these texts in their command line and environment, the oldest first."""

    def read(process: Path, name: str) -> str:
        try:
            return (process / name).read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended
            return ""

    processes = (p for p in Path("/proc").glob("[0-9]*") if command in read(p, "cmdline"))
    return sorted(int(p.name) for p in processes if environment in read(p, "environ"))


def kill(lab: Lab, app: str, command: str) -> None:
    """Ends a container of an app's first pod at once, as the kernel does where memory is short."""
    name = lab.pod(app)["metadata"]["name"]
    os.kill(_process_ids(command=command, environment=f"HOSTNAME={name} ")[0], signal.SIGKILL)
    time.sleep(10)


def kill_foo(lab: Lab) -> None:
    kill(lab, "foo", "gunicorn")


def kill_kong(lab: Lab) -> None:
    kill(lab, "kong", "/usr/local/bin/kong")


def kill_controller(lab: Lab) -> None:
    kill(lab, "kong", "/manager")


def kill_store(_: Lab) -> None:
    os.kill(_process_ids(command="valkey-server *:6379")[0], signal.SIGKILL)  # writes its title over its environment
    time.sleep(10)


def add_leak(lab: Lab) -> None:
    source = lab.folder / "apps" / "foo" / "app.py"
    if _EAT not in source.read_text():
        source.write_text(source.read_text() + _EAT)
    lab.up()


def exhaust_memory(lab: Lab) -> None:
    """Exhausts the memory of one pod of foo. The request bypasses Kong, which would retry it with the other pod."""
    name = lab.pod("foo")["metadata"]["name"]
    eaten = f"/api/v1/namespaces/default/pods/{name}:5000/proxy/foo/eat"
    assert lab.run("kubectl", "get", "--raw", eaten, check=False).returncode
    time.sleep(10)


def kill_node(lab: Lab) -> None:
    name = lab.node_of("kong")
    nodes = [node for pool in lab.cluster["node_pools"] for node in pool["nodes"]]
    (droplet,) = [node["droplet_id"] for node in nodes if node["name"] == name]
    lab.api("DELETE", f"/v2/droplets/{droplet}")
    eventually(lambda: name not in {node["metadata"]["name"] for node in lab.kubernetes("nodes")["items"]}, 180)
    lab.settle_nodes(lab.nodes)


def hang_node(lab: Lab) -> None:
    """Stops every process of a node until its pods have been replaced. The kernel still accepts connections."""
    (dns,) = lab.kubernetes("pods", "-n", "kube-system", "-l", "k8s-app=kube-dns")["items"]  # DOKS runs two
    pods = lab.kubernetes("pods", "-n", "kong", "-l", "app=kong")["items"]
    name, *_ = {pod["spec"]["nodeName"] for pod in pods} - {dns["spec"]["nodeName"]}
    kubelet = _process_ids(command=f"--hostname-override={name} ")[-1]  # the other one entered the namespaces for it
    signal_all = ["nsenter", f"--target={kubelet}", "--pid", "sh", "-c", 'kill -"$0" -1']
    subprocess.run([*signal_all, "STOP"], check=True)
    # The policies' agent stands for Cilium, which is a part of the node's kernel.
    os.kill(_process_ids(command=f"--node={name} --queue=")[-1], signal.SIGCONT)
    try:
        eventually(lambda: not lab.is_ready(name), 120)
        eventually(lambda: lab.is_whole() and not lab.has_pods(name), 180)
    finally:
        subprocess.run([*signal_all, "CONT"], check=True)
    eventually(lambda: lab.is_ready(name), 60)


@contextmanager
def stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def stop_api_server(_: Lab) -> None:
    key = f"--service-account-key-file={RUN}/"
    with stopped(_process_ids(command=key)[-1]):  # the other one entered the namespaces for it
        time.sleep(AWAY)
    time.sleep(20)


def stop_registry(lab: Lab) -> None:
    """Replaces a pod of foo while the registry is away: its image is on the node."""
    with stopped(_process_ids(command=f"docker-registry serve {RUN}/registry.yml")[0]):
        lab.run("kubectl", "delete", "pod", lab.pod("foo")["metadata"]["name"], "--wait=false")
        time.sleep(AWAY)


def stop_dns(lab: Lab) -> None:
    coredns = ("deployment/coredns", "-n", "kube-system")
    lab.run("kubectl", "scale", *coredns, "--replicas=0")
    time.sleep(AWAY)
    lab.run("kubectl", "scale", *coredns, "--replicas=1")
    lab.run("kubectl", "rollout", "status", *coredns, "--timeout=60s")


def refuse_digitalocean(_: Lab) -> None:
    control("POST", "faults", json={"path": "/v2/", "kind": "refuse", "times": None})
    try:
        time.sleep(5 * AWAY)
    finally:
        control("DELETE", "faults")


EVENTS: dict[str, Event] = {
    "nothing": Event(lambda _: time.sleep(20)),
    "image of foo updated": Event(update_image),
    "port of foo changed": Event(change_port),
    "canary promoted": Event(promote_canary),
    "foo scaled up and down": Event(scale_up_and_down, prepare=autoscale),
    "Kong's pods replaced": Event(replace_kong),
    "Kong's chart bumped": Event(bump_chart, prepare=release_chart),
    "100 routes changed": Event(change_routes, prepare=lambda lab: apply_routes(lab, "r")),
    "consumer rotated": Event(rotate_key, prepare=add_key),
    "certificate renewed": Event(renew_certificate, prepare=add_domain),
    "node drained": Event(drain_node, prepare=add_node),
    "node recycled": Event(recycle_node),
    "pool resized": Event(resize_pool),
    "size of the nodes changed": Event(change_node_size),
    "nodes autoscaled": Event(autoscale_nodes, prepare=add_pool),
    "cluster upgraded": Event(upgrade),
    "foo killed": Event(kill_foo),
    "foo out of memory": Event(exhaust_memory, prepare=add_leak),
    "Kong killed": Event(kill_kong),
    "controller killed": Event(kill_controller),
    "rate-limit store killed": Event(kill_store, ("two",)),
    "node killed": Event(kill_node),
    "node hangs": Event(hang_node, ("two",)),
    "API server away": Event(stop_api_server),
    "cluster DNS away": Event(stop_dns),
    "registry away": Event(stop_registry),
    "DigitalOcean's API away": Event(refuse_digitalocean),
}
