"""Whatever answers in DigitalOcean's or Pulumi's place: one line, and the exit status for "could not check"."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.digitalocean import Api
from tests.e2e.terminal import NOTHING_IS_BILLED, WITH_TOKEN, Terminal
from tests.standins.digitalocean_provider.engine import Account
from tests.support import answering


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    account = Account()
    yield Terminal(account, tmp_path)
    account.stop()


def is_one_line(terminal: Terminal, command: list[str]) -> str:
    done = terminal.ops(*command)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done
    return done.stderr


@pytest.mark.parametrize("command", WITH_TOKEN, ids=lambda command: command[0])
@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_an_error_and_not_followed(terminal: Terminal, command: list[str], status: int) -> None:
    terminal.remembers(CLUSTER="1")
    with answering(status, "", Location="http://127.0.0.1:9/elsewhere") as url:
        terminal.environment["DIGITALOCEAN_API_URL"] = url
        assert "redirects to another address; fix: check what answers at" in is_one_line(terminal, command)


@pytest.mark.parametrize("command", WITH_TOKEN, ids=lambda command: command[0])
@pytest.mark.parametrize("status", [429, 500])
def test_an_unavailable_api_is_no_finding(terminal: Terminal, command: list[str], status: int) -> None:
    terminal.remembers(CLUSTER="1")
    with answering(status, '{"message": "it is\\n  broken"}', **{"Retry-After": "3600"}) as url:
        terminal.environment["DIGITALOCEAN_API_URL"] = url
        assert f"{status} it is broken" in is_one_line(terminal, command)


def odd(change: Callable[[dict[str, Any]], object]) -> Callable[[Api, str], dict[str, Any]]:
    read = Api.get

    def get(self: Api, path: str, **query: object) -> dict[str, Any]:
        answer = read(self, path, **query)
        change(answer)
        return answer

    return get


SHAPES: list[tuple[str, object]] = [
    *((key, None) for key in ("kubernetes_clusters", "droplets", "load_balancers", "volumes")),
    ("kubernetes_clusters", "none"),
    ("kubernetes_clusters", [None]),
    ("kubernetes_clusters", [{"name": "without the rest"}]),
    ("droplets", [{"id": 1, "name": "it", "size": "s-1vcpu-2gb"}]),
    ("droplets", [{"id": 1, "name": "it", "size": {"price_monthly": float("nan"), "price_hourly": 1}}]),
    ("droplets", [{"id": 1, "name": "it", "size": {"price_monthly": 1, "price_hourly": float("inf")}}]),
    ("registries", [{"name": 1}]),
    ("registries", "none"),
]


@pytest.mark.parametrize(
    ("command", "key", "value"),
    [
        *((command, *shape) for command in ("bill", "doctor") for shape in SHAPES),
        *(("preflight", *shape) for shape in SHAPES if shape[0] in ("kubernetes_clusters", "registries")),
    ],
)
def test_a_malformed_list_is_not_treated_as_empty(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, command: str, key: str, value: object
) -> None:
    def change(answer: dict[str, Any]) -> None:
        if key in answer:
            answer[key] = value
            answer.pop("meta", None)

    monkeypatch.setattr(Api, "get", odd(change))
    assert key in is_one_line(terminal, [command])


@pytest.mark.parametrize(
    ("key", "field"),
    [
        *(("load_balancers", field) for field in ("ip", "tags", "type", "size_unit")),
        *(("kubernetes_clusters", field) for field in ("version", "vpc_uuid", "ha")),
        *(("registries", field) for field in ("region", "subscription")),
        *(("account", field) for field in ("team", "status_message")),
        *(("droplets", "tags"), ("volumes", "tags"), ("snapshots", "tags")),
    ],
)
def test_a_null_field_is_a_field_without_a_value(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, key: str, field: str
) -> None:
    cluster = terminal.own_cluster()
    terminal.load_balancer(cluster)
    terminal.volume(cluster)
    terminal.registry("kong-doks-1234567")

    def change(answer: dict[str, Any]) -> None:
        documents = answer.get(key, [])
        for document in documents if isinstance(documents, list) else [documents]:
            document[field] = None

    monkeypatch.setattr(Api, "get", odd(change))
    for command in ("bill", "preflight"):
        assert terminal.ops(command).stderr == ""


def test_a_null_list_with_total_0_is_empty(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(answer: dict[str, Any]) -> None:
        for key in ("droplets", "kubernetes_clusters", "volumes"):
            if key in answer:
                answer[key] = None

    monkeypatch.setattr(Api, "get", odd(change))
    assert terminal.ops("bill", "--expect-zero") == (0, NOTHING_IS_BILLED, "")


@pytest.mark.parametrize("key", ["registries", "kubernetes_clusters", "droplets"])
def test_an_answer_without_its_list_is_not_treated_as_empty(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr(Api, "get", odd(lambda answer: answer.clear() if key in answer else None))
    assert f"{key} is no list" in is_one_line(terminal, ["bill", "--expect-zero"])


def test_markup_in_a_name_is_printed_literally(terminal: Terminal) -> None:
    cluster = terminal.own_cluster()
    terminal.volume(cluster, "before [/b] [red]")
    assert "before [/b] [red]" in terminal.ops("bill").stdout


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("API_URL", "http://api.example.com", "the token would go over plain HTTP"),
        ("API_URL", "ftp://127.0.0.1", "not a URL"),
        ("API_URL", "nowhere", "not a URL"),
        ("HTTP_RETRY_WAIT_MIN", "abc", "allowed: seconds"),
        ("HTTP_RETRY_WAIT_MIN", "-1", "allowed: seconds"),
        ("HTTP_RETRY_WAIT_MIN", "nan", "allowed: seconds"),
    ],
)
def test_an_invalid_environment_variable_is_reported_in_one_line(
    terminal: Terminal, name: str, value: str, problem: str
) -> None:
    terminal.environment[f"DIGITALOCEAN_{name}"] = value
    assert problem in is_one_line(terminal, ["bill"])


@pytest.mark.parametrize("answer", ["config---json", "stack-export", "stack-history", "whoami---json"])
def test_invalid_json_of_pulumi_is_reported_in_one_line(terminal: Terminal, answer: str) -> None:
    (terminal.folder / f"{answer}.answer").write_text("warning: no JSON")
    assert "prints no JSON" in is_one_line(terminal, ["doctor"])


@pytest.mark.parametrize("document", [[], {"deployment": "none"}, {"deployment": {"pending_operations": [{}]}}])
def test_a_malformed_state_is_reported_in_one_line(terminal: Terminal, document: object) -> None:
    terminal.answers("stack export", document)
    assert "pulumi stack export" in is_one_line(terminal, ["bill", "--expect-zero"])


def test_another_failure_of_pulumi_is_not_reported_as_a_missing_stack(terminal: Terminal) -> None:
    terminal.pulumi.write_text("#!/bin/sh\necho 'error: the stack is broken' >&2\nexit 1\n")
    assert "error: the stack is broken" in is_one_line(terminal, ["bill", "--expect-zero", "--stack", "dev"])


def test_a_missing_pulumi_is_reported_in_one_line(terminal: Terminal) -> None:
    terminal.pulumi.chmod(0o644)
    assert is_one_line(terminal, ["bill"]).startswith("pulumi: ")


@pytest.mark.parametrize("text", ["", "[]", "name: [kong]", "name: {", "runtime: python"])
def test_a_malformed_project_file_is_reported_in_one_line(terminal: Terminal, text: str) -> None:
    (terminal.folder / "Pulumi.yaml").write_text(text)
    assert is_one_line(terminal, ["bill"]).startswith("Pulumi.yaml: ")


def test_without_a_selected_stack_the_error_shows_how_to_select_one(terminal: Terminal) -> None:
    (terminal.folder / "stack---show-name.answer").unlink()
    terminal.fails("no stack selected")
    assert is_one_line(terminal, ["bill"]) == "no stack is selected; fix: pulumi stack select, or --stack NAME\n"


def test_json_contains_the_error(terminal: Terminal) -> None:
    with answering(302, "", Location="/") as url:
        terminal.environment["DIGITALOCEAN_API_URL"] = url
        done = terminal.ops("bill", "--json")
    assert (done.returncode, done.stderr) == (3, "")
    assert list(json.loads(done.stdout)) == ["error"]
