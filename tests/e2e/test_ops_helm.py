"""Helm's records in a cluster: the doctor's findings about them, and the command that deletes one."""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.api_server import ApiServer, deployment
from tests.e2e.terminal import Terminal
from tests.standins.digitalocean_provider.engine import Account

Document = dict[str, Any]
STATUSES = Mapping[tuple[str, str], str]
"""Statuses by namespace and release."""


class Helm(Terminal):
    """A shell beside a stack `dev` with a cluster; `records` are the statuses of Helm's Secrets in there.

    `manifest` has the objects that every release installed.
    """

    def __init__(self, account: Account, folder: Path) -> None:
        super().__init__(account, folder)
        self.manifest: list[Document] = []
        self.id = self.cluster()
        self.api_server = ApiServer(folder)
        account.cloud.clusters.records[self.id].kubernetes = self.api_server.kubernetes

    def stop(self) -> None:
        self.api_server.stop()

    @property
    def records(self) -> dict[tuple[str, str], str]:
        metadata = [record["metadata"] for record in self.api_server.objects]
        return {(entry["namespace"], entry["labels"]["name"]): entry["labels"]["status"] for entry in metadata}

    @records.setter
    def records(self, statuses: STATUSES) -> None:
        self.api_server.objects = [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": namespace, "name": secret(name), "labels": labels},
                "data": {"release": _encoded(self.manifest)},
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

    def changes(self) -> list[Document]:
        """The findings about objects."""
        return [finding for finding in self.findings() if finding["id"].startswith("object-")]


def _encoded(manifest: list[Document]) -> str:
    """A release as Helm stores it in a Secret, and the API server prints that."""
    release = gzip.compress(json.dumps({"manifest": yaml.safe_dump_all(manifest)}).encode())
    return base64.b64encode(base64.b64encode(release)).decode()


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


KONG = deployment("kong", "kong")
INGRESS_CLASS: Document = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "kong"}}
PROXY: Document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kong-proxy", "namespace": "kong"}}
CHANGED_BY_HAND: dict[str, tuple[list[Document], str]] = {
    "scaled to zero": (
        [deployment("kong", "kong", replicas=0), INGRESS_CLASS, PROXY],
        "Deployment kong/kong was changed: spec.replicas",
    ),
    "another image": (
        [
            deployment("kong", "kong", template={"spec": {"containers": [{"name": "api", "image": "kong:3.8"}]}})
            | {
                "metadata": {
                    "name": "kong",
                    "namespace": "kong",
                    "managedFields": [
                        {
                            "manager": "kubectl-set",
                            "fieldsV1": {
                                "f:spec": {
                                    "f:template": {
                                        "f:spec": {"f:containers": {'k:{"name":"api"}': {"f:image": {}}}},
                                    }
                                }
                            },
                        }
                    ],
                }
            },
            INGRESS_CLASS,
            PROXY,
        ],
        "Deployment kong/kong was changed by kubectl-set: spec.template.spec.containers.image",
    ),
    "no IngressClass": ([KONG, PROXY], "IngressClass kong was deleted"),
    "no Service object": ([KONG, INGRESS_CLASS], "Service kong/kong-proxy was deleted"),
}


@pytest.mark.parametrize("name", CHANGED_BY_HAND)
def test_objects_of_a_helm_release_changed_or_deleted_by_hand_are_found_with_the_commands(
    helm: Helm, name: str
) -> None:
    in_cluster, problem = CHANGED_BY_HAND[name]
    # A manifest doesn't name the release's own namespace.
    installed = [KONG, INGRESS_CLASS, PROXY]
    helm.manifest = [item | {"metadata": {"name": item["metadata"]["name"]}} for item in installed]
    helm.has({"kong"}, {"kong"})
    helm.records = {("kong", "kong"): "deployed"}
    (record,) = helm.api_server.objects
    helm.api_server.objects = [record, *installed]
    assert helm.changes() == []
    helm.api_server.objects = [record, *in_cluster]
    (finding,) = helm.changes()
    assert finding["problem"] == f"objects of the Helm release kong differ from its chart: {problem}"
    forget = f"python -m ops forget-release {helm.id} {secret('kong')} --namespace kong --stack dev"
    assert finding["fixes"] == [[forget, "pulumi refresh --yes --skip-preview --stack dev", "pulumi up --stack dev"]]


def test_a_record_that_is_not_helms_is_reported_in_one_line(helm: Helm) -> None:
    helm.has({"kong"}, {"kong"})
    helm.records = {("kong", "kong"): "deployed"}
    helm.api_server.objects[0]["data"]["release"] = base64.b64encode(base64.b64encode(b"not compressed")).decode()
    (unread,) = helm.json("doctor")["not_read"]
    assert f"Helm's record {secret('kong')} can't be read: " in unread
