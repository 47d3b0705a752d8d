"""The program inside the kubeconfig, run as kubectl runs it: from its text, with a bare python3."""

import inspect
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.cluster import exec_credential as credential
from infra.cluster.kubeconfig import PYTHON
from infra.config import api_access
from tests.unit.configurations import PROJECT
from tests.unit.conftest import Recording

SOURCE = (PROJECT / "infra" / "cluster" / "exec_credential.py").read_text()
HASTY = SOURCE.replace("time.sleep(wait)", "time.sleep(0)")
TOKEN = "planted-" + "token"
BARE = {"PATH": os.environ["PATH"]}


@dataclass
class Api:
    """A server for one call of DigitalOcean's API."""

    url: str
    statuses: list[int] = field(default_factory=list)
    retry_after: str = ""
    body: bytes = b'{"token": "cluster-token", "expires_at": "2030-01-01T00:00:00Z"}'
    length: int | None = None
    """Content-Length, if it differs from the body's length."""
    location: str = ""
    paths: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.paths.append(self.path)
            served.authorizations.append(self.headers["Authorization"])
            self.send_response(served.statuses.pop(0) if served.statuses else 200)
            if served.retry_after:
                self.send_header("Retry-After", served.retry_after)
            if served.location:
                self.send_header("Location", served.location)
            self.send_header("Content-Length", str(served.length or len(served.body)))
            self.end_headers()
            self.wfile.write(served.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Api(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()


def run(*args: str, env: dict[str, str], source: str = SOURCE) -> subprocess.CompletedProcess[str]:
    command = [*PYTHON, source, *args]
    return subprocess.run(command, env=BARE | env, capture_output=True, text=True, check=False, timeout=300)


def test_the_output_is_an_exec_credential(api: Api) -> None:
    result = run("some-id", "--api", api.url, env={"DIGITALOCEAN_TOKEN": TOKEN})
    assert json.loads(result.stdout) == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "cluster-token", "expirationTimestamp": "2030-01-01T00:00:00Z"},
    }
    assert api.paths == ["/v2/kubernetes/clusters/some-id/credentials?expiry_seconds=900"]
    assert api.authorizations == [f"Bearer {TOKEN}"]


def test_alternative_environment_variables_are_read(api: Api) -> None:
    result = run("some-id", env={"DIGITALOCEAN_ACCESS_TOKEN": TOKEN, "DIGITALOCEAN_API_URL": f"{api.url}/"})
    assert result.returncode == 0, result.stderr
    assert api.authorizations == [f"Bearer {TOKEN}"]


def test_a_token_in_the_stack_configuration_is_read_by_pulumi(api: Api, tmp_path: Path) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(f'#!/bin/sh\n[ "$*" = "config get digitalocean:token --stack dev" ] && echo {TOKEN}\n')
    pulumi.chmod(0o755)
    env = {"PATH": f"{tmp_path}{os.pathsep}{BARE['PATH']}"}
    result = run("some-id", "--api", api.url, "--stack", "dev", env=env)
    assert result.returncode == 0, result.stderr
    assert api.authorizations == [f"Bearer {TOKEN}"]


def test_the_credential_program_imports_nothing_from_the_current_directory(
    api: Api, dev: Recording, tmp_path: Path
) -> None:
    kubeconfig = json.loads(dev.outputs["kubeconfig"]["secret"])
    plugin = kubeconfig["users"][0]["user"]["exec"]
    for module in ("json", "argparse", "email", "urllib", "ipaddress"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('planted')\n")
    result = subprocess.run(
        [plugin["command"], *plugin["args"]],
        cwd=tmp_path,
        env=BARE | {"DIGITALOCEAN_TOKEN": TOKEN, "DIGITALOCEAN_API_URL": api.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert api.paths == ["/v2/kubernetes/clusters/cluster-id/credentials?expiry_seconds=900"]


def test_local_requests_bypass_the_proxy(api: Api) -> None:
    env = {"DIGITALOCEAN_TOKEN": TOKEN, "http_proxy": "http://127.0.0.1:9"}
    result = run("some-id", "--api", api.url, env=env)
    assert result.returncode == 0, result.stderr
    assert api.authorizations == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_token_follows_no_redirect(api: Api, status: int) -> None:
    api.statuses, api.location = [status], f"{api.url.replace('127.0.0.1', 'localhost')}/elsewhere"
    result = run("some-id", "--api", api.url, env={"DIGITALOCEAN_TOKEN": TOKEN})
    assert result.returncode == 1
    assert f"HTTP {status}" in result.stderr
    assert api.paths == ["/v2/kubernetes/clusters/some-id/credentials?expiry_seconds=900"]


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://api.digitalocean.com", True),
        ("http://127.0.0.1:7070", True),
        ("http://localhost:7070", True),
        ("http://[::1]:7070", True),
        ("http://api.digitalocean.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost@example.com", False),
        ("ftp://127.0.0.1", False),
        ("https://", False),
        ("http://[::1", False),
        # Each of these ended in an error of the HTTP client.
        *((url, False) for url in ("https://host:port", "https://host:99999", "https://a..example", "https://a b")),
        *((url, False) for url in ("https://256.1.1.1", "https://api.example\n", f"https://{'a' * 64}.example")),
        *((url, True) for url in ("https://api.example:8443/", "https://192.0.2.1", "https://[2001:db8::1]:443")),
    ],
)
def test_the_token_goes_over_plain_http_to_this_machine_only(url: str, safe: bool) -> None:
    assert (credential.endpoint_problem(url) == "") is safe


@pytest.mark.parametrize("name", ["token_problem", "token_fix", "endpoint_problem", "is_loopback"])
def test_token_and_endpoint_are_checked_as_by_the_program(name: str) -> None:
    assert inspect.getsource(getattr(credential, name)) == inspect.getsource(getattr(api_access, name))


@pytest.mark.parametrize(
    ("url", "problem"),
    [("http://api.example", "the token would go over plain HTTP"), ("api.example", "not a URL")],
)
def test_an_unsafe_endpoint_is_refused_in_one_line(url: str, problem: str) -> None:
    result = run("some-id", "--api", url, env={"DIGITALOCEAN_TOKEN": TOKEN})
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"credential: {url}: {problem};")
    assert TOKEN not in line


RENAMED = """#!/bin/sh
case "$*" in
*"--stack old") echo "error: no stack named 'old' found" >&2; exit 255;;
*) echo {token};;
esac
"""


@pytest.mark.parametrize("source", ["environment", "selected stack"])
def test_a_renamed_stack_reads_its_token(api: Api, tmp_path: Path, source: str) -> None:
    in_environment = source == "environment"
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(RENAMED.format(token="another" if in_environment else TOKEN))
    pulumi.chmod(0o755)
    env = {"PATH": f"{tmp_path}{os.pathsep}{BARE['PATH']}"} | ({"DIGITALOCEAN_TOKEN": TOKEN} if in_environment else {})
    result = run("some-id", "--api", api.url, "--stack", "old", env=env)
    assert result.returncode == 0, result.stderr
    assert api.authorizations == [f"Bearer {TOKEN}"]


def test_a_missing_token_is_reported_in_one_line(api: Api, tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    result = run("some-id", "--api", api.url, "--stack", "old", env={"PATH": str(tmp_path)})
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("credential: pulumi config get digitalocean:token --stack old: ")
    assert line.endswith("fix: export DIGITALOCEAN_TOKEN=dop_v1_...")
    assert api.paths == []


def test_a_transient_error_is_retried(api: Api) -> None:
    api.statuses = [500]
    assert run("some-id", "--api", api.url, env={"DIGITALOCEAN_TOKEN": TOKEN}).returncode == 0
    assert len(api.paths) == 2


def test_retry_after_is_honoured_up_to_a_minute(api: Api) -> None:
    api.statuses, api.retry_after = [429], "4"
    began = time.monotonic()
    assert run("some-id", "--api", api.url, env={"DIGITALOCEAN_TOKEN": TOKEN}).returncode == 0
    assert time.monotonic() - began >= 4
    assert [credential.asked_for(text) for text in ("30", "3600", "soon", "")] == [30, 60, 0, 0]


@pytest.mark.parametrize(
    ("body", "length", "said"),
    [
        (b"<html>", None, "no credential in the answer"),
        (b"[]", None, "no credential in the answer"),
        (b'{"token": "it"}', None, "no credential in the answer"),
        (b"{", 100, "IncompleteRead(1 bytes read, 99 more expected)"),
    ],
)
def test_a_malformed_response_is_reported_in_one_line(api: Api, body: bytes, length: int | None, said: str) -> None:
    api.body, api.length = body, length
    result = run("some-id", "--api", api.url, env={"DIGITALOCEAN_TOKEN": TOKEN}, source=HASTY)
    assert result.returncode == 1
    assert result.stderr == f"credential: {api.url}/v2/kubernetes/clusters/some-id/credentials: {said}\n"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, ": the token of DIGITALOCEAN_TOKEN isn't valid; fix: export DIGITALOCEAN_TOKEN=dop_v1_..."),
        (403, ": the token of DIGITALOCEAN_TOKEN lacks a scope (kubernetes:access_cluster); fix: export "),
        (404, ": the token of DIGITALOCEAN_TOKEN is another team's, or the cluster is gone; fix: export "),
        (422, ""),
    ],
)
def test_permanent_errors_are_reported_in_one_line(api: Api, status: int, said: str) -> None:
    api.statuses = [status]
    result = run("some-id", "--api", api.url, env={"DIGITALOCEAN_TOKEN": TOKEN})
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"credential: {api.url}/v2/kubernetes/clusters/some-id/credentials: HTTP {status}")
    assert said in line
    assert TOKEN not in line
    assert len(api.paths) == 1


def test_a_refused_token_of_the_configuration_is_reported_by_its_key(api: Api, tmp_path: Path) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(f"#!/bin/sh\necho {TOKEN}\n")
    pulumi.chmod(0o755)
    api.statuses = [401]
    env = {"PATH": f"{tmp_path}{os.pathsep}{BARE['PATH']}"}
    result = run("some-id", "--api", api.url, "--stack", "dev", env=env)
    (line,) = result.stderr.splitlines()
    assert line.endswith(
        "the token of digitalocean:token isn't valid; fix: pulumi config set --secret digitalocean:token"
    )


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN} ", f" {TOKEN}", "planted\rtoken", "plänted", "plant\x01ed"])
@pytest.mark.parametrize("name", ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"])
def test_a_token_that_cannot_be_sent_is_refused_before_any_call(api: Api, name: str, token: str) -> None:
    result = run("some-id", "--api", api.url, env={name: token})
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"credential: {name}: has a blank, ")
    assert line.endswith("fix: export DIGITALOCEAN_TOKEN=dop_v1_...")
    assert token.strip() not in line
    assert api.paths == []


def test_a_missing_token_is_reported_before_any_call(api: Api) -> None:
    result = run("some-id", "--api", api.url, env={})
    assert result.returncode == 1
    assert "DIGITALOCEAN_TOKEN" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert api.paths == []
