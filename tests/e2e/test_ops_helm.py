"""Helm's records in a cluster: the doctor's findings about them, and the command that deletes one."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.api_server import ApiServer
from tests.e2e.terminal import Terminal
from tests.standins.digitalocean_provider.engine import Account

STATUSES = Mapping[tuple[str, str], str]
"""Statuses by namespace and release."""


class Helm(Terminal):
    """A shell beside a stack `dev` with a cluster; `records` are the statuses of Helm's Secrets in there."""

    def __init__(self, account: Account, folder: Path) -> None:
        super().__init__(account, folder)
        self.id = self.cluster()
        self.api_server = ApiServer(folder)
        account.cloud.clusters.records[self.id].kubernetes = self.api_server.kubernetes

    def stop(self) -> None:
        self.api_server.stop()

    @property
    def records(self) -> dict[tuple[str, str], str]:
        labels = [(record["metadata"]["namespace"], record["metadata"]["labels"]) for record in self.api_server.objects]
        return {(namespace, label["name"]): label["status"] for namespace, label in labels}

    @records.setter
    def records(self, statuses: STATUSES) -> None:
        self.api_server.objects = [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": namespace, "name": secret(name), "labels": labels},
            }
            for (namespace, name), status in statuses.items()
            for labels in [{"owner": "helm", "version": "1", "name": name, "status": status}]
        ]

    def has(self, releases: set[str], namespaces: set[str]) -> None:
        """Gives the state these resources beside the cluster."""
        release = "kubernetes:helm.sh/v3:Release"
        self.state(
            [
                self.resource("CLUSTER", self.id),
                *(
                    self.resource("RELEASE", f"it/{name}", urn=f"urn:pulumi:dev::p::{release}::{name}")
                    for name in releases
                ),
                *(self.resource("NAMESPACE", name) for name in namespaces),
            ]
        )

    def found(self) -> dict[str, list[list[str]]]:
        """The findings about Helm with their fixes."""
        return {
            finding["problem"]: finding["fixes"] for finding in self.findings() if finding["id"].startswith("helm-")
        }


def secret(release: str) -> str:
    """The name of Helm's record of a release's first revision."""
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
def test_an_interrupted_helm_install_is_found_among_other_releases(helm: Helm, release: str, status: str) -> None:
    others = NAMESPACES.keys() - {release}
    helm.has({*others}, {*NAMESPACES.values()})
    helm.records = {(namespace, name): "deployed" for name, namespace in NAMESPACES.items()}
    helm.records = helm.records | {(NAMESPACES[release], release): status}
    ((problem, fixes),) = helm.found().items()
    assert problem.startswith(f"Helm's record {secret(release)} ({status}) was left by an interrupted up")
    forget = f"python -m ops forget-release {helm.id} {secret(release)} --namespace {NAMESPACES[release]} --stack dev"
    assert fixes == [[forget, "pulumi up --stack dev"]]
    assert helm.ops(*forget.split()[3:]).returncode == 0
    assert {name for _, name in helm.records} == others
    assert helm.found() == {}


@pytest.mark.parametrize(("status", "is_found"), [("pending-install", True), ("deployed", False)])
def test_metrics_server_in_a_namespace_of_kubernetes_is_the_stacks_only_if_its_install_was_cut(
    helm: Helm, status: str, *, is_found: bool
) -> None:
    """A complete one may be DigitalOcean's 1-Click App."""
    helm.has({"kong"}, {"kong"})
    helm.records = {("kong", "kong"): "deployed", ("kube-system", "metrics-server"): status}
    assert helm.found() == {}  # nothing has autoscale
    helm.configure(gateway={"autoscale": {"max": 2}})
    forget = f"python -m ops forget-release {helm.id} {secret('metrics-server')} --namespace kube-system --stack dev"
    assert list(helm.found().values()) == ([[[forget, "pulumi up --stack dev"]]] if is_found else [])


@pytest.mark.parametrize("release", NAMESPACES)
def test_a_release_missing_from_the_cluster_was_uninstalled(helm: Helm, release: str) -> None:
    helm.has({*NAMESPACES}, {*NAMESPACES.values()})
    helm.records = {(namespace, name): "deployed" for name, namespace in NAMESPACES.items() if name != release}
    assert list(helm.found()) == [
        f"{release} is in the state and was uninstalled, by hand or by a destroy that was interrupted"
    ]
    helm.records = helm.records | {(NAMESPACES[release], release): "uninstalling"}
    (problem,) = helm.found()
    assert problem.endswith(f"was left by an interrupted destroy: {release} is only partly removed")


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
def test_absent_releases_and_those_of_others_are_no_finding(
    helm: Helm, releases: set[str], namespaces: set[str], records: STATUSES
) -> None:
    helm.configure(gateway={"monitoring": {"grafana": False}})
    helm.has(releases, namespaces)
    helm.records = dict(records)
    assert helm.found() == {}
