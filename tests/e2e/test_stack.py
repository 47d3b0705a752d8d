"""The stack as its user sees it, on a shared bring-up."""

import ipaddress
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sandbox import cleanup
from sandbox.__main__ import daemon_pid
from sandbox.host.addresses import CHARTS, MIRROR
from tests.e2e.configured import configured
from tests.e2e.leaks import leaks
from tests.e2e.pages import Guide
from tests.e2e.stack import Stack, connects, control, nothing_is_billed, stack_file
from tests.support import PATIENCE, eventually, sandbox_command

CLUSTER = {
    "name": "yours",
    "region": "nyc1",
    "version": "1.34.10-do.0",
    "node_pools": [{"name": "pool", "size": "s-1vcpu-2gb", "count": 1}],
}


@contextmanager
def edited(file: Path, old: str, new: str) -> Iterator[None]:
    """The file with `new` for `old`, until the end of the block."""
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    try:
        yield
    finally:
        file.write_text(before)


def test_an_unknown_path_gets_kongs_404(stack: Stack) -> None:
    answer = stack.get("/")
    assert answer.status_code == 404
    assert answer.json()["message"] == "no Route matched with those values"
    assert answer.headers["server"].startswith("kong/3.9")


@pytest.mark.parametrize("name", ["foo", "bar"])
def test_the_tutorials_requests_get_the_tutorials_responses(stack: Stack, name: str) -> None:
    answer = stack.get(f"/{name}")
    assert answer.status_code == 200
    assert answer.json() == {"msg": f"Hello from the {name} microservice"}


def test_proxy_ip_is_a_bare_ipv4_address(stack: Stack) -> None:
    assert str(ipaddress.IPv4Address(stack.output("proxy_ip"))) == stack.address


def test_every_service_has_its_url_in_the_outputs(stack: Stack) -> None:
    for name in ("foo", "bar"):
        assert httpx.get(stack.output(f"{name}_url"), timeout=PATIENCE).status_code == 200


def test_the_clients_address_reaches_kong(stack: Stack) -> None:
    client = "127.9.8.7"
    assert stack.get("/foo", transport=httpx.HTTPTransport(local_address=client)).status_code == 200
    logs = ("kubectl", "logs", "-n", "kong", "deployment/kong", "-c", "proxy", "--tail=50")
    eventually(lambda: client in stack.run(*logs).stdout)


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    assert "unchanged" in stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes").stdout


def test_the_first_preview_only_looks_up_versions_and_the_clusters_name(stack: Stack) -> None:
    assert {(call["method"], call["path"]) for call in stack.calls_of_first_preview} == {
        ("GET", "/v2/kubernetes/options"),
        ("GET", "/v2/kubernetes/clusters"),
    }


def test_a_preview_of_a_changed_app_builds_nothing(stack: Stack) -> None:
    def pods_ever() -> set[str]:
        """The pods, and the events that each pod begins with: other events come on a busy machine, too."""
        began = ("events", "--field-selector=reason=Scheduled")
        listed = (stack.run("kubectl", "get", *what, "-A", "-o", "name").stdout for what in (("pods",), began))
        return {name for names in listed for name in names.split()}

    def is_settled() -> bool:
        pods = stack.kubernetes("pods", "-A")["items"]
        return not any("deletionTimestamp" in pod["metadata"] for pod in pods)

    eventually(is_settled)  # an earlier rollout's pods take up to half a minute to end
    control("DELETE", "calls")
    before = pods_ever()
    with edited(stack.folder / "apps" / "bar" / "app.py", "Hello from", "Never seen from"):
        previewed = stack.pulumi("preview").stdout
    assert "docker-build:index:Image bar update" in previewed
    assert "load build definition" not in previewed  # what BuildKit begins every build with
    assert [call for call in control("GET", "calls") if call["method"] != "GET"] == []
    assert pods_ever() - before == set()


@contextmanager
def copied(app: Path, target: Path) -> Iterator[None]:
    """A copy of an app that has its own name for the other's, until the end of the block."""
    shutil.copytree(app, target)
    (target / "app.py").write_text((target / "app.py").read_text().replace(app.name, target.name))
    try:
        yield
    finally:
        shutil.rmtree(target)


def test_an_up_rolls_only_the_edited_app_adds_and_removes_a_service_and_no_request_fails(stack: Stack) -> None:
    apps = stack.folder / "apps"
    foo, bar = stack.pods("foo"), stack.pods("bar")
    with configured(stack) as changed:
        first, *others = stack_file(changed.file)["config"]["services"]
        with edited(apps / "foo" / "app.py", "Hello from", "Hello again from"), copied(apps / "bar", apps / "baz"):
            # Another port: the pods with the old one serve until those with the new one do.
            services = [first | {"port": 8080}, *others, {"name": "baz", "path": "/baz", "build": "./apps/baz"}]
            changed.set("services", services)
            with changed.asked_throughout("/foo") as statuses:
                printed = stack.up()
                assert stack.get("/baz").json() == {"msg": "Hello from the baz microservice"}
                # The old pod answers for seconds, until the controller has configured Kong with the new one.
                eventually(lambda: stack.get("/foo").json() == {"msg": "Hello again from the foo microservice"})
            assert set(statuses) == {200}
            assert "load build definition" in printed
            assert set(stack.pods("foo")).isdisjoint(foo)
            assert stack.pods("bar") == bar
    eventually(lambda: stack.get("/foo").json() == {"msg": "Hello from the foo microservice"})
    eventually(lambda: stack.get("/baz").status_code == 404)
    assert stack.run("kubectl", "get", "deployment", "baz-deployment", check=False).returncode != 0
    assert stack.pods("bar") == bar


def test_destroy_uninstalls_kong_before_it_deletes_the_cluster(stack: Stack) -> None:
    # As the engine has it: a child is deleted with what its parent is deleted with.
    by_type = {resource["type"]: resource for resource in stack.resources()}
    assert "deletedWith" not in by_type["kubernetes:helm.sh/v3:Release"]
    assert by_type["kubernetes:apps/v1:Deployment"]["deletedWith"] == stack.cluster_urn()


def test_images_are_named_by_digest(stack: Stack) -> None:
    for name in ("foo", "bar"):
        spec = stack.kubernetes("deployment", f"{name}-deployment")["spec"]["template"]["spec"]
        assert re.search(r"@sha256:[0-9a-f]{64}$", spec["containers"][0]["image"])


def test_every_pod_of_the_stack_is_ready_and_never_restarted_for_memory(stack: Stack) -> None:
    def statuses() -> list[dict[str, Any]]:
        pods = stack.kubernetes("pods", "--all-namespaces")["items"]
        # Without those of an earlier test, on their way out.
        staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return [status for pod in staying for status in pod["status"].get("containerStatuses", [{"ready": False}])]

    # A busy machine makes a probe fail at times.
    eventually(lambda: all(status["ready"] for status in statuses()))
    for status in statuses():
        assert status.get("lastState", {}).get("terminated", {}).get("reason") != "OOMKilled"


def test_secrets_are_encrypted_in_state_and_outputs(stack: Stack) -> None:
    token = stack.environment["DIGITALOCEAN_TOKEN"]
    kubeconfig = stack.output("kubeconfig")
    places = {
        "the state": stack.pulumi("stack", "export").stdout,
        "the outputs": stack.pulumi("stack", "output", "--json").stdout,
    }
    assert leaks({token, kubeconfig, *control("GET", "secrets")}, places) == []
    # With --show-secrets, it is there.
    shown = {"the outputs": stack.pulumi("stack", "output", "--json", "--show-secrets").stdout}
    assert leaks({kubeconfig}, shown) == ["the outputs"]


def test_the_bill_equals_the_tutorials_cost(stack: Stack) -> None:  # noqa: ARG001 -- needs the stack up
    billed = [entry for entry in control("GET", "ledger")["entries"] if not entry["ended_at"] and entry["price_hourly"]]
    assert {entry["kind"]: entry["price_monthly"] for entry in billed} == {"droplet": 12, "load_balancer": 12}
    assert len(billed) == 2


def test_an_invalid_config_is_reported_in_one_line_before_any_call(stack: Stack) -> None:
    control("DELETE", "calls")
    config = stack.folder / "Pulumi.sandbox.yaml"
    before = config.read_text()
    document = stack_file(config)
    document["config"]["services"][1]["path"] = "/foo"
    try:
        config.write_text(yaml.safe_dump(document))
        failed = stack.pulumi("up", "--yes", "--skip-preview", check=False)
    finally:
        config.write_text(before)
    assert failed.returncode != 0
    said = failed.stdout + failed.stderr
    assert 'kong-doks:services[1].path: "/foo" is not allowed' in said
    assert "Traceback" not in said
    assert control("GET", "calls") == []


@pytest.mark.last(4)
def test_destroy_with_expired_cluster_tokens_ends_the_bill(stack: Stack) -> None:
    cluster = stack.output("cluster_id")
    token = stack.api("GET", f"/v2/kubernetes/clusters/{cluster}/credentials")["token"]
    list_nodes = ("kubectl", "--token", token, "get", "nodes")
    assert stack.run(*list_nodes).returncode == 0
    control("POST", f"clusters/{cluster}/expire-tokens")
    # The API server remembers a token's review for some seconds.
    eventually(lambda: "Unauthorized" in stack.run(*list_nodes, check=False).stderr)
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.resources() == [] or {resource["type"] for resource in stack.resources()} == {"pulumi:pulumi:Stack"}
    nothing_is_billed()


def started_cluster(stack: Stack) -> str:
    """Creates a cluster by DigitalOcean's API, without a stack; returns its path there."""
    # There is room for one cluster, and a deleted one takes a moment to go.
    eventually(lambda: stack.api("GET", "/v2/kubernetes/clusters")["kubernetes_clusters"] == [])
    cluster = stack.api("POST", "/v2/kubernetes/clusters", json=CLUSTER)["kubernetes_cluster"]["id"]
    path = f"/v2/kubernetes/clusters/{cluster}"
    eventually(lambda: stack.api("GET", path)["kubernetes_cluster"]["status"]["state"] == "running")
    return path


@pytest.mark.soak
@pytest.mark.last(5)
def test_the_local_stack_deploys_to_an_existing_cluster(stack: Stack) -> None:
    stack.pulumi("destroy", "--yes", "--skip-preview")
    path = started_cluster(stack)
    (stack.folder / "kubeconfig").write_text(stack.api("GET", f"{path}/kubeconfig"))
    config = stack.folder / "Pulumi.local.yaml"
    document = stack_file(config)
    document["config"] |= {
        "registry": {"kind": "other", "server": f"{MIRROR}/yours"},
        "chartRepository": CHARTS,
    }
    config.write_text(yaml.safe_dump(document))
    local = Stack(stack.folder, "local")
    with Guide("how-to/use-your-own-cluster.md") as guide:
        typed = guide.commands("pulumi login", "pulumi install").replace("kind-kind", "do-nyc1-yours")
    up, _, requests = typed.partition("eval ")
    local.types(up)
    forward = subprocess.Popen(shlex.split(local.output("proxy_command")), env=local.environment)
    try:
        eventually(lambda: connects("127.0.0.1", 8080))
        assert "Hello from the foo microservice" in local.types(requests.partition("\n")[2])
        for name in ("foo", "bar"):
            answer = httpx.get(local.output(f"{name}_url"), timeout=PATIENCE)
            assert answer.json() == {"msg": f"Hello from the {name} microservice"}
        assert not [r for r in local.resources() if r["type"].startswith("digitalocean:")]
    finally:
        forward.terminate()
        forward.wait()
    local.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.run("kubectl", "get", "deployments", "-A", "-o", "name").stdout == "deployment.apps/coredns\n"
    stack.api("DELETE", f"{path}/destroy_with_associated_resources/dangerous")
    nothing_is_billed()


@pytest.mark.last(6)
def test_stop_cleans_up_after_a_killed_sandbox(stack: Stack) -> None:
    started_cluster(stack)
    pid = daemon_pid()
    assert pid
    # By this `stop` would find it if it hung.
    assert any(line.startswith(f"process {pid}:") for line in cleanup.leftovers())
    os.kill(pid, signal.SIGKILL)
    assert {line.split()[0] for line in cleanup.leftovers()} >= {"cgroup", "directory"}
    sandbox_command("stop")
    assert cleanup.leftovers() == []
