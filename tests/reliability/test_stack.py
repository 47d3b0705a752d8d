"""Behaviour of the whole stack only: rotated tokens, a cluster deleted by hand, and where secrets could lie."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from sandbox.environment import STATE_BUCKET
from sandbox.host.addresses import API, STATE
from sandbox.host.paths import LOGS
from tests.e2e.configured import configured
from tests.e2e.leaks import PLANTED, leaks
from tests.e2e.stack import Stack, control
from tests.support import PATIENCE, eventually


def ops(stack: Stack, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return stack.run(sys.executable, "-m", "ops", *arguments, "--stack", "sandbox", check=check)


def destroyed(stack: Stack) -> bool:
    """Destroys the stack, and compares `ops` with the ledger."""
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert ops(stack, "bill", "--expect-zero", "--wait", "60").stdout == "stack sandbox: nothing is billed\n"
    return stack.resources() == [] and control("GET", "ledger")["hourly"] == 0


def test_estimated_cost_bill_and_ledger_agree(stack: Stack) -> None:
    foretold = json.loads(ops(stack, "cost", "--json").stdout)
    bill = json.loads(ops(stack, "bill", "--json").stdout)
    ledger = control("GET", "ledger")
    assert foretold["monthly"] == bill["monthly"] == ledger["monthly"] > 0
    assert bill["hourly"] == ledger["hourly"]


def test_a_deployed_stack_passes_preflight_and_doctor(stack: Stack) -> None:
    assert ops(stack, "preflight").returncode == 0
    # A busy machine makes a pod's probe fail at times.
    eventually(lambda: ops(stack, "doctor", check=False).stdout == "stack sandbox: state and account agree\n")


def arguments_of_all_processes() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue


def stored() -> dict[str, str]:
    """All that Pulumi has put into the bucket: the state, its backups, the history."""
    key = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
    client = boto3.client("s3", endpoint_url=STATE, region_name="us-east-1", **key)
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket=STATE_BUCKET)["Contents"]]
    assert any("history" in key for key in keys)
    return {key: client.get_object(Bucket=STATE_BUCKET, Key=key)["Body"].read().decode() for key in keys}


@pytest.fixture
def planted(stack: Stack) -> Iterator[set[str]]:
    """The stack with an app to build, and secrets of each kind that a configuration may have."""
    app = stack.folder / "apps" / "bar" / "app.py"
    before = app.read_text()
    app.write_text(before.replace("Hello from", "Hello once more from"))
    with configured(stack) as changed:
        changed.set("consumers", [{"name": "alice", "jwt": {}}])
        for place, value in PLANTED.items():
            stack.pulumi("config", "set", "--secret", "--path", f"kong-doks:{place}", value)
        yield {*PLANTED.values(), stack.environment["DIGITALOCEAN_TOKEN"], *control("GET", "secrets")}
        app.write_text(before)


@pytest.mark.soak
def test_no_secret_is_in_state_history_outputs_logs_events_or_process_lists(
    stack: Stack, planted: set[str], tmp_path: Path
) -> None:
    engine_events, output = tmp_path / "events", tmp_path / "output"
    seen: set[str] = set()
    with (
        output.open("wb") as out,
        subprocess.Popen(
            ["pulumi", "up", "--yes", "--refresh", "--diff", "--non-interactive", "--event-log", engine_events],
            cwd=stack.folder,
            env=stack.environment | {"PULUMI_DEBUG_COMMANDS": "true"},  # which --event-log needs
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        while process.poll() is None:
            seen.update(arguments_of_all_processes())
            time.sleep(0.05)
    printed = output.read_text()
    assert process.returncode == 0, printed
    assert "load build definition" in printed
    assert any("pulumi-resource-kubernetes" in line for line in seen)
    places: dict[str, str] = {
        "the process list": "\n".join(seen),
        "what up prints": printed,
        "the engine's events": engine_events.read_text(),
        "what preview prints": stack.pulumi("preview", "--diff").stdout,
        "the stack's file": (stack.folder / "Pulumi.sandbox.yaml").read_text(),
        "the state": stack.pulumi("stack", "export").stdout,
        "the outputs": stack.pulumi("stack", "output", "--json").stdout,
        "the cluster's events": stack.run("kubectl", "get", "events", "-A", "-o", "json").stdout,
    }
    places |= stored()
    for file in LOGS.rglob("*.log"):
        places[str(file)] = file.read_text(errors="replace")
    for pod in stack.kubernetes("pods", "-A")["items"]:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        logs = stack.run("kubectl", "logs", "-n", namespace, name, "--all-containers", "--tail=-1", check=False).stdout
        places[f"the log of {namespace}/{name}"] = logs
    secrets = planted | set(control("GET", "secrets"))
    assert len(places) > 10
    # What is no secret is found where it has to be.
    assert sum(stack.output("cluster_id") in text for text in places.values()) > 3
    assert leaks(secrets, places) == []


@pytest.fixture
def rotated(stack: Stack) -> Iterator[Stack]:
    """The stack, with the API token that made it revoked and another in the environment."""
    old = stack.environment["DIGITALOCEAN_TOKEN"]
    new = "dop_v1_" + "7" * 64
    control("PUT", "tokens", json={new: None})
    stack.environment["DIGITALOCEAN_TOKEN"] = new
    yield stack
    control("PUT", "tokens", json={old: None})
    stack.environment["DIGITALOCEAN_TOKEN"] = old
    stack.up()


@pytest.mark.soak
def test_a_new_token_recreates_nothing_and_destroy_ends_the_bill(rotated: Stack) -> None:
    preview: dict[str, Any] = json.loads(rotated.pulumi("preview", "--json").stdout)
    # What is read is a Service that Helm made.
    assert set(preview["changeSummary"]) == {"same", "read"}
    assert destroyed(rotated)


@pytest.fixture
def without_cluster(stack: Stack) -> Iterator[Stack]:
    """The stack, its cluster deleted in DigitalOcean's panel, which leaves the load balancer."""
    cluster = stack.output("cluster_id")
    headers = {"Authorization": f"Bearer {stack.environment['DIGITALOCEAN_TOKEN']}"}
    httpx.delete(f"{API}/v2/kubernetes/clusters/{cluster}", headers=headers, timeout=PATIENCE).raise_for_status()
    eventually(lambda: not stack.api("GET", "/v2/kubernetes/clusters")["kubernetes_clusters"])
    yield stack
    stack.up()


@pytest.mark.soak
def test_a_cluster_deleted_by_hand_is_forgotten_and_its_load_balancer_removed(
    without_cluster: Stack,
) -> None:
    stack = without_cluster
    assert stack.pulumi("destroy", "--yes", "--skip-preview", check=False).returncode != 0
    assert control("GET", "ledger")["hourly"] > 0
    done = ops(stack, "doctor", "--json", check=False)
    assert done.returncode == 1
    for finding in json.loads(done.stdout)["findings"]:
        for command in finding["fixes"][0]:
            stack.run("sh", "-c", command if "--yes" in command else f"{command} --yes")
    # What is deleted takes a moment to go.
    eventually(lambda: ops(stack, "doctor", check=False).stdout == "stack sandbox: state and account agree\n")
    assert destroyed(stack)
