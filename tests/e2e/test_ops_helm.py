"""What the doctor says of Helm's records in a cluster, and that they can be forgotten."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.pulumi import state as states
from sandbox.host.certificate_authority import Authority
from tests.e2e.terminal import Terminal
from tests.standins.digitalocean_provider.engine import Account, FakeKubernetes

STATUSES = Mapping[tuple[str, str], str]
"""By namespace and release."""


class Helm(Terminal):
    """A shell beside a stack `dev` with a cluster; `records` are the statuses of Helm's Secrets in there."""

    def __init__(self, account: Account, folder: Path) -> None:
        super().__init__(account, folder)
        self.records: dict[tuple[str, str], str] = {}
        self.id = self.cluster()
        authority = Authority(folder, "helm")
        authority.server("api", ["127.0.0.1"])
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "api.crt", folder / "api.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        url = f"https://127.0.0.1:{self._server.server_port}"
        account.cloud.clusters.records[self.id].kubernetes = FakeKubernetes(url, authority.pem)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def has(self, releases: set[str], namespaces: set[str]) -> None:
        """What the state has beside the cluster."""
        found = [(states.CLUSTER, "cluster", self.id)]
        found += [(states.RELEASE, name, f"it/{name}") for name in releases]
        found += [(states.NAMESPACE, name, name) for name in namespaces]
        rest: dict[str, object] = {"inputs": {}, "outputs": {}}
        resources = [
            {"type": kind, "id": identifier, "urn": f"urn:pulumi:dev::kong-doks::{kind}::{name}", **rest}
            for kind, name, identifier in found
        ]
        self.answers("stack export", {"version": 3, "deployment": {"resources": resources}})

    def found(self) -> dict[str, list[list[str]]]:
        """What the doctor says of Helm's part, and the fixes."""
        return {each["problem"]: each["fixes"] for each in self.findings() if each["id"].startswith("helm-")}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        terminal = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                items = [
                    {"metadata": {"namespace": namespace, "name": secret(name), "labels": labels}}
                    for (namespace, name), status in terminal.records.items()
                    for labels in [{"owner": "helm", "version": "1", "name": name, "status": status}]
                ]
                self._answer({"items": items or None})

            def do_DELETE(self) -> None:
                namespace, name = self.path.split("/")[4], self.path.split(".")[-2]
                del terminal.records[namespace, name]
                self._answer({})

            def _answer(self, document: object) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: object) -> None:
                """It is no news."""

        return Handler


def secret(release: str) -> str:
    """What Helm calls the record of a release's first revision."""
    return f"sh.helm.release.v1.{release}.v1"


@pytest.fixture
def helm(tmp_path: Path) -> Iterator[Helm]:
    account = Account()
    helm = Helm(account, tmp_path)
    yield helm
    helm.stop()
    account.stop()


NAMESPACES = {"kong": "kong", "cert-manager": "cert-manager", "prometheus": "monitoring", "grafana": "monitoring"}


@pytest.mark.parametrize("release", NAMESPACES)
@pytest.mark.parametrize("status", ["pending-install", "deployed"])
def test_an_install_that_was_cut_short_is_found_whatever_else_is_installed(
    helm: Helm, release: str, status: str
) -> None:
    others = NAMESPACES.keys() - {release}
    helm.has({*others}, {*NAMESPACES.values()})
    helm.records = {(namespace, name): "deployed" for name, namespace in NAMESPACES.items()}
    helm.records[NAMESPACES[release], release] = status
    ((problem, fixes),) = helm.found().items()
    assert problem.startswith(f"Helm's record {secret(release)} ({status}) is of an up that was interrupted")
    forget = f"python -m ops forget-release {helm.id} {secret(release)} --namespace {NAMESPACES[release]} --stack dev"
    assert fixes == [[forget, "pulumi up --stack dev"]]
    assert helm.ops(*forget.split()[3:]).returncode == 0
    assert {name for _, name in helm.records} == others
    assert helm.found() == {}


@pytest.mark.parametrize("release", NAMESPACES)
def test_what_is_in_the_state_and_not_in_the_cluster_was_uninstalled(helm: Helm, release: str) -> None:
    helm.has({*NAMESPACES}, {*NAMESPACES.values()})
    helm.records = {(namespace, name): "deployed" for name, namespace in NAMESPACES.items() if name != release}
    assert list(helm.found()) == [
        f"{release} is in the state and was uninstalled, by hand or by a destroy that was interrupted"
    ]
    helm.records[NAMESPACES[release], release] = "uninstalling"
    (problem,) = helm.found()
    assert problem.endswith(f"is of a destroy that was interrupted: {release} is partly gone")


@pytest.mark.parametrize(
    ("releases", "namespaces", "records"),
    [
        # An install that failed was removed again.
        ({"prometheus"}, {"kong", "monitoring"}, {("monitoring", "prometheus"): "deployed"}),
        ({"kong"}, {"kong"}, {("kong", "kong"): "deployed", ("kong", "shop"): "pending-install"}),
        # Somebody else's.
        (set(), {"kong"}, {("monitoring", "prometheus"): "pending-install", ("other", "kong"): "pending-install"}),
        (set(), {"kong", "monitoring"}, {("monitoring", "grafana"): "deployed"}),
    ],
)
def test_what_is_in_neither_or_not_the_stack_s_is_nothing(
    helm: Helm, releases: set[str], namespaces: set[str], records: STATUSES
) -> None:
    helm.configure(gateway={"monitoring": {"grafana": False}})
    helm.has(releases, namespaces)
    helm.records = dict(records)
    assert helm.found() == {}
