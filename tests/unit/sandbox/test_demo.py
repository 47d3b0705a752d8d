"""`make up` and `make down`, where something is not as it should be."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from sandbox import demo, pulumi

DOCTOR = r"fix: .*python -m ops doctor --stack sandbox"


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The outputs of a stack that is up."""
    outputs = {"proxy_ip": "gateway", "proxy_url": "http://gateway", "foo_url": "http://gateway/foo"}
    outputs["readme"] = "curl -i http://gateway/none    # 404\ncurl http://gateway/foo\n"
    answers: dict[tuple[str, ...], Any] = {
        ("stack", "ls"): [{"name": "sandbox", "resourceCount": 1}, {"name": "empty"}],
        ("stack", "output"): outputs,
    }
    monkeypatch.setattr(pulumi, "query", lambda *arguments: answers[arguments])
    monkeypatch.setattr(pulumi, "select", lambda _: None)
    monkeypatch.setattr(pulumi, "run", lambda *_: None)
    monkeypatch.setattr(demo, "_ops", lambda *_: None)
    return outputs


Answer = Callable[[int, str, dict[str, str]], None]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Sets the gateway's answer to requests for foo."""

    def become(status: int, body: str, headers: dict[str, str]) -> None:
        def get(url: str, **_: object) -> httpx.Response:
            return httpx.Response(status, text=body, headers=headers) if url.endswith("/foo") else httpx.Response(404)

        monkeypatch.setattr(httpx, "get", get)

    return become


VIA = {"via": "1.1 kong/3.9.3"}


def test_an_html_response_is_reported_and_not_printed(console: Console, stack: dict[str, Any], answer: Answer) -> None:
    assert "foo_url" in stack
    answer(200, "<!DOCTYPE html><title>API gateway</title>", VIA | {"content-type": "text/html; charset=utf-8"})
    demo.up(console)
    assert "# a page for a browser" in printed(console)
    assert "<!DOCTYPE" not in printed(console)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, "Hello", VIA),
        (401, '{"message":"Unauthorized"}', {}),
        (403, '{"message":"IP address not allowed: 127.0.0.1"}', {}),
        (503, '{"message":"Back at noon"}', {}),  # the answer of a `terminate` policy
    ],
)
@pytest.mark.usefixtures("stack")
def test_a_response_as_configured_is_a_success(
    console: Console, answer: Answer, status: int, body: str, headers: dict[str, str]
) -> None:
    answer(status, body, headers)
    demo.up(console)
    assert body in printed(console)
    assert "make down" in printed(console)


def test_a_service_with_conditions_is_called_as_the_readme_says(
    console: Console, stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack["readme"] = "curl -H \"apikey: $KEY\" -H 'X-Canary: a b' http://gateway/foo\n"

    def get(_: str, headers: dict[str, str], **__: object) -> httpx.Response:
        has_route = headers == {"X-Canary": "a b"}
        return httpx.Response(200 if has_route else 404, text="Hello" if has_route else "no Route matched")

    monkeypatch.setattr(httpx, "get", get)
    demo.up(console)
    assert "$ curl -i -H 'X-Canary: a b' http://gateway/foo\n" in printed(console)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (404, '{"message":"no Route matched with those values"}', {}),
        (503, '{"message":"failure to get a peer from the ring-balancer"}', {}),
        (500, "a traceback", VIA),
    ],
)
@pytest.mark.usefixtures("stack")
def test_an_unanswered_route_fails_with_diagnostic_commands(
    console: Console, answer: Answer, status: int, body: str, headers: dict[str, str]
) -> None:
    answer(status, body, headers)
    with pytest.raises(demo.DemoError, match=f"http://gateway/foo answered {status}"):
        demo.up(console)
    assert "kubectl get pods --all-namespaces" in printed(console)
    assert "python -m ops doctor --stack sandbox" in printed(console)


@pytest.mark.usefixtures("stack")
def test_a_service_that_is_too_slow_fails_with_diagnostic_commands(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(url: str, **_: object) -> httpx.Response:
        if url.endswith("/foo"):
            raise httpx.ReadTimeout("timed out")
        return httpx.Response(404)

    monkeypatch.setattr(httpx, "get", get)
    with pytest.raises(demo.DemoError, match=r"http://gateway/foo doesn't answer \(timed out\); fix: "):
        demo.up(console)
    assert "kubectl describe pod NAME" in printed(console)


@pytest.mark.usefixtures("stack")
def test_a_failed_up_prints_diagnostic_commands(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise pulumi.PulumiError("pulumi up was interrupted")

    monkeypatch.setattr(pulumi, "run", fail)
    with pytest.raises(demo.DemoError, match=r"pulumi up was interrupted; fix: .* make up again"):
        demo.up(console)
    assert "source " in printed(console)
    assert "kubectl describe pod NAME" in printed(console)


@pytest.mark.usefixtures("stack")
def test_every_diagnostic_line_is_a_command_or_a_comment(console: Console, answer: Answer) -> None:
    answer(200, "", {})
    demo.up(console)
    lines = printed(console).partition("look further")[2].splitlines()[1:]
    assert len(lines) == 2 * (1 + len(demo.LOOK_FURTHER))
    for comment, command in zip(lines[::2], lines[1::2], strict=True):
        assert comment.startswith("# ")
        assert command.split()[0] in {"source", "pulumi", "kubectl", "python", "make"}


@pytest.mark.usefixtures("stack")
def test_a_running_stack_is_reported_with_the_fix(console: Console) -> None:
    with pytest.raises(demo.DemoError, match=r"stack sandbox is up, .*; fix: make down"):
        demo.up(console, "sandbox-auth")


@pytest.mark.usefixtures("stack")
def test_a_nonzero_bill_prints_the_command_that_explains_it(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"kind": "droplet", "name": "left", "price_monthly": 12.0, "created_at": "2026-11-23T12:00:00Z"}
    monkeypatch.setattr(demo, "ledger", lambda **_: {"hourly": 0.01786, "entries": [entry | {"ended_at": None}]})
    with pytest.raises(demo.DemoError, match=DOCTOR):
        demo.down(console)


@pytest.mark.usefixtures("stack")
def test_a_failed_destroy_prints_the_commands_to_type(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise pulumi.PulumiError(str(arguments[1]))

    monkeypatch.setattr(pulumi, "run", fail)
    with pytest.raises(demo.DemoError, match=rf"{DOCTOR}; or .* -m sandbox stop"):
        demo.down(console)


@pytest.mark.usefixtures("stack")
def test_the_lock_of_a_killed_command_is_cancelled(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled: list[str] = []

    def run(*arguments: object) -> None:
        if not cancelled:
            raise pulumi.LockedError(str(arguments[1]))

    monkeypatch.setattr(pulumi, "run", run)
    monkeypatch.setattr(pulumi, "cancel", cancelled.append)
    monkeypatch.setattr(demo, "ledger", lambda **_: {"hourly": 0, "entries": []})
    demo.down(console)
    assert cancelled[0] == "sandbox"
    assert "pulumi cancel --yes --stack sandbox" in printed(console)


UP = """\
Updating (sandbox):

@ Updating....
 +  pulumi:pulumi:Stack kong-doks-sandbox creating (0s)
 +  docker-build:index:Image foo creating (1s) #14 [auth] library/python:pull token
 +  docker-build:index:Image foo created (5s) #21 resolving provenance for metadata file
 ~  digitalocean:index:KubernetesCluster cluster updated (2s) [diff: ~nodePool]
 +  kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition kongplugins.configuration.konghq.com created (2s)
 +  kubernetes:apps/v1:Deployment foo-deployment **creating failed** error: 1 error occurred:
Diagnostics:
  docker-build:index:Image (foo):
    #14 [auth] library/python:pull token
  kubernetes:apps/v1:Deployment (foo-deployment):
    error: the pod crashes
"""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Sets the script that runs as `pulumi`."""
    monkeypatch.setattr(pulumi, "environment", dict)
    monkeypatch.setattr(pulumi, "LOGS", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    def become(script: str) -> None:
        (tmp_path / "pulumi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "pulumi").chmod(0o755)

    return become


def test_an_update_prints_one_line_for_each_resource(
    console: Console, command: Callable[[str], None], tmp_path: Path
) -> None:
    command(f"cat <<'END'\n{UP}END\nexit 255")
    with pytest.raises(pulumi.PulumiError, match=rf"failed; the whole output is in {tmp_path}/pulumi-up.log"):
        pulumi.run(console, "up")
    assert printed(console).splitlines() == [
        "  Image foo created (5s)",
        "  KubernetesCluster cluster updated (2s) [diff: ~nodePool]",
        "  CustomResourceDefinition kongplugins.configuration.konghq.com created (2s)",
        "  Deployment foo-deployment creating failed",
        "Diagnostics:",
        "  docker-build:index:Image (foo):",
        "  kubernetes:apps/v1:Deployment (foo-deployment):",
        "    error: the pod crashes",
    ]
    assert (tmp_path / "pulumi-up.log").read_text() == UP


FAILED_BUILD = """\
 +  docker-build:index:Image foo creating (1s) #4 [1/2] FROM docker.io/library/python:3.13
 +  docker-build:index:Image foo creating (1s) #5 [2/2] RUN pip install -r requirements.txt
{lines}
 +  docker-build:index:Image bar creating (1s) #5 0.200 another image
 +  docker-build:index:Image foo creating (2s) #5 1.334 ERROR: No matching distribution found for nosuch==1
 +  docker-build:index:Image foo creating (2s) #5 ERROR: process "/bin/sh -c pip ..." did not complete: exit code: 1
 +  docker-build:index:Image foo **creating failed** error: failed to solve: process "/bin/sh -c pip ...": exit code: 1
"""


def test_a_failed_build_shows_the_last_lines_of_the_builder(console: Console, command: Callable[[str], None]) -> None:
    lines = "\n".join(f" +  docker-build:index:Image foo creating (1s) #5 0.{n:03} line {n}" for n in range(40))
    command(f"cat <<'END'\n{FAILED_BUILD.format(lines=lines)}END\nexit 255")
    with pytest.raises(pulumi.PulumiError):
        pulumi.run(console, "up")
    assert printed(console).splitlines() == [
        "  Image foo creating failed",
        *(f"    | line {n}" for n in range(31, 40)),
        "    | ERROR: No matching distribution found for nosuch==1",
    ]


def test_a_lock_is_recognised(console: Console, command: Callable[[str], None]) -> None:
    command("echo 'error: the stack is currently locked by 1 lock(s). Either wait ...'\nexit 255")
    with pytest.raises(pulumi.LockedError):
        pulumi.run(console, "destroy")


def test_an_interrupt_is_left_to_pulumi(console: Console, command: Callable[[str], None], tmp_path: Path) -> None:
    command(f"kill -INT $PPID; sleep 0.5; touch {tmp_path}/ended")
    with pytest.raises(pulumi.PulumiError, match="pulumi up was interrupted"):
        pulumi.run(console, "up")
    assert (tmp_path / "ended").exists()


def test_a_failed_query_is_reported_in_one_line(command: Callable[[str], None]) -> None:
    command("echo 'error: no stack' >&2\nexit 1")
    with pytest.raises(pulumi.PulumiError, match="pulumi stack ls --json: error: no stack"):
        pulumi.query("stack", "ls")
    command(f"echo '{json.dumps([1])}'")
    assert pulumi.query("stack", "ls") == [1]
