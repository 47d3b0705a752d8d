"""Autoscalers add pods under load and remove them afterwards, and no `up` takes their number back."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import yaml

from sandbox.host.paths import PROJECT
from tests.e2e.configured import Configured, configured
from tests.e2e.pages import Guide
from tests.e2e.stack import Stack
from tests.support import eventually, sandbox_command

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]  # metrics-server is compiled here, once

FOO: dict[str, Any] = {"name": "foo", "path": "/foo", "build": "apps/foo"}
BAR = {"name": "bar", "path": "/bar", "build": "apps/bar"}
AUTOSCALE = {"autoscale": {"min": 2, "max": 3, "cpu": 20}}
"""An idle pod of foo uses 6 percent of its request, one of two under `load` 30 to 60."""
AT_ONCE = {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}}


@pytest.fixture(scope="module")
def scaled(stack: Stack) -> Iterator[Configured]:
    """The stack on a sandbox that has metrics-server's image and chart."""
    sandbox_command("autoscaling")
    with configured(stack) as changed:
        yield changed


def wanted(stack: Stack, deployment: str = "foo-deployment", namespace: str = "default") -> int:
    """The number of pods that a Deployment has to have."""
    return int(stack.kubernetes("deployment", deployment, "-n", namespace)["spec"]["replicas"])


def conditions(stack: Stack, name: str, namespace: str = "default") -> dict[str, str]:
    """The conditions of an autoscaler."""
    status = stack.kubernetes("hpa", name, "-n", namespace).get("status", {})
    return {condition["type"]: condition["status"] for condition in status.get("conditions", [])}


def owners_of_the_number(stack: Stack) -> list[str]:
    """The clients that own the number of foo's pods."""
    metadata = stack.kubernetes("deployment", "foo-deployment", "--show-managed-fields")["metadata"]
    return [
        entry["manager"] for entry in metadata["managedFields"] if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    ]


@contextmanager
def numbers(stack: Stack) -> Iterator[list[int]]:
    """Yields every `spec.replicas` of foo's Deployment during the block, from a watch."""
    command = ("kubectl", "get", "deployment", "foo-deployment", "--watch", "-o", "jsonpath={.spec.replicas}{'\\n'}")
    seen: list[int] = []
    with subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE, text=True) as watch:

        def read() -> None:
            seen.extend(int(line) for line in watch.stdout or ())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            eventually(lambda: bool(seen))
            yield seen
        finally:
            watch.terminate()
            reader.join()


@contextmanager
def load(changed: Configured) -> Iterator[None]:
    """Up to fifty requests a second to foo, from this machine."""
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.02):
            changed.get("/foo")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_autoscale_can_be_added_and_removed_without_losing_a_pod(scaled: Configured) -> None:
    stack = scaled.stack
    scaled.up(FOO | {"replicas": 2}, BAR)
    with numbers(stack) as seen, Guide("how-to/scale-pods.md") as guide:
        scaled.set("services", [FOO | AUTOSCALE, BAR])
        typed, _, top = guide.commands().partition("kubectl top")
        assert "foo-autoscaler" in stack.types(typed)
        eventually(lambda: conditions(stack, "foo-autoscaler").get("ScalingActive") == "True")
        assert "foo-deployment-" in stack.types(f"kubectl top{top}")
        with load(scaled):
            eventually(lambda: wanted(stack) == 3)
            with numbers(stack) as seen_during_up:
                scaled.up(FOO | AUTOSCALE | {"env": {"LOG_LEVEL": "info"}}, BAR)
            assert min(seen_during_up) == 3
            assert owners_of_the_number(stack) == ["kube-controller-manager"]
        # Otherwise an autoscaler waits for five minutes.
        stack.run("kubectl", "patch", "hpa", "foo-autoscaler", "--patch", json.dumps(AT_ONCE))
        eventually(lambda: wanted(stack) == 2)
        (budget,) = stack.kubernetes("pdb")["items"]
        assert (budget["metadata"]["name"], budget["status"]["disruptionsAllowed"]) == ("foo-budget", 1)
        scaled.up(FOO | {"replicas": 2}, BAR)
    assert min(seen) == 2
    assert wanted(stack) == 2
    assert stack.kubernetes("hpa")["items"] == []
    stack.pulumi("preview", "--expect-no-changes")


def test_the_example_scales_its_service_and_kong(scaled: Configured) -> None:
    stack = scaled.stack
    example = yaml.safe_load((PROJECT / "examples" / "autoscale.yaml").read_text())["config"]
    scaled.set("gateway", example["gateway"])
    scaled.up(*example["services"])
    for name, namespace in (("foo-autoscaler", "default"), ("kong", "kong")):
        eventually(lambda: conditions(stack, name, namespace).get("ScalingActive") == "True")  # noqa: B023 -- waits
    assert len(stack.pods("foo")) == 2
    assert scaled.get("/foo").status_code == scaled.get("/bar").status_code == httpx.codes.OK
    scaled.set("gateway", {})


def test_no_request_fails_when_autoscale_replaces_the_replicas_of_kong(scaled: Configured) -> None:
    stack = scaled.stack
    scaled.set("gateway", {"replicas": 2, "priority": True})
    scaled.up(FOO, BAR)
    with scaled.asked_throughout("/foo") as statuses:
        scaled.set("gateway", {"autoscale": {"min": 2, "max": 3, "cpu": 3000}})
        stack.up()
        # Helm omits the replicas, which Kubernetes reads as one until the autoscaler sets them.
        eventually(
            lambda: stack.kubernetes("deployment", "kong", "-n", "kong")["status"].get("readyReplicas") == 2, 120
        )
    scaled.set("gateway", {})
    assert set(statuses) == {200}


def test_a_chart_upgrade_keeps_the_autoscaled_replicas_of_kong(scaled: Configured) -> None:
    stack = scaled.stack
    # Idle, Kong and its controller use more than a hundredth of their requests.
    scaled.set("gateway", {"autoscale": {"min": 1, "max": 2, "cpu": 1}})
    scaled.up(FOO, BAR)
    eventually(lambda: wanted(stack, "kong", "kong") == 2)
    scaled.set("gateway", {"autoscale": {"min": 1, "max": 2, "cpu": 1}, "accessLog": True})
    with scaled.asked_throughout("/foo") as statuses:
        stack.up()
    assert set(statuses) == {200}
    assert wanted(stack, "kong", "kong") == 2
    pods = stack.kubernetes("pods", "-n", "kong", "-l", "app=kong")["items"]
    assert {pod["spec"]["priority"] for pod in pods} == {1_000_000}
    scaled.set("gateway", {})
    stack.up()
    assert wanted(stack, "kong", "kong") == 1
