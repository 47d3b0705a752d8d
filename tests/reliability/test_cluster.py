"""Failures in the cluster: every recovery ends at zero. The API server is real, the nodes are not."""

import json
import logging
import re
from collections.abc import Iterator
from signal import SIGKILL
from typing import Any

import pytest

from ops.pulumi.state import CLUSTER
from sandbox.digitalocean.faults import Fault
from tests.reliability.part import QUIET, until
from tests.reliability.sweep import KINDS, Sweep
from tests.reliability.whole import Whole

# One control plane for all of them.
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    whole = Whole(tmp_path_factory.mktemp("whole"))
    whole.provide_kubectl()
    yield whole
    whole.stop()


@pytest.fixture
def whole(shared: Whole) -> Iterator[Whole]:
    """The stack, down before and after."""
    shared.configure()
    yield shared
    assert shared.ends_at_zero()


def test_namespaces_deleted_by_hand_are_recreated_after_a_refresh(whole: Whole) -> None:
    whole.up()
    whole.kubectl("delete", "namespace", "services", "kong")
    balancers = whole.account.cloud.load_balancers.documents
    # The load balancer goes with its Service.
    until(lambda: not balancers)
    whole.run("pulumi", "up", "--refresh", "--yes", "--skip-preview", "--non-interactive")
    assert len(balancers) == 1
    assert (
        len(whole.kubectl("get", "deployment,service,ingress,kongplugin", "-n", "services", "-o", "name").split()) >= 7
    )
    assert whole.kubectl("get", "kongconsumer", "-n", "kong", "-o", "name")
    assert whole.kubectl("get", "deployment", "-n", "kong", "-o", "name") == "deployment.apps/kong\n"
    assert whole.doctor() == []


def test_policies_and_secrets_changed_by_hand_are_put_back(whole: Whole) -> None:
    def annotations() -> str:
        return whole.kubectl("get", "ingress", "foo", "-n", "services", "-o", "jsonpath={.metadata.annotations}")

    def credential() -> str:
        return whole.kubectl("get", "secret", "alice.jwt", "-n", "kong", "-o", "jsonpath={.data}")

    whole.up()
    before = annotations(), credential()
    whole.kubectl("annotate", "ingress", "foo", "-n", "services", "konghq.com/plugins-")
    whole.kubectl(
        "patch", "secret", "alice.jwt", "-n", "kong", "--type", "merge", "--patch", '{"stringData":{"key":"mallory"}}'
    )
    assert {finding["problem"].partition(" was changed")[0] for finding in whole.doctor()} == {
        "Ingress services/foo",
        "Secret kong/alice.jwt",
    }
    whole.mend()
    assert (annotations(), credential()) == before


_PORT = {"name": "more", "port": 22}
_BACKEND = {"service": {"name": "foo-service", "port": {"number": 22}}}
_PATH = {"path": "/", "pathType": "Prefix", "backend": _BACKEND}
_SIDECAR = {"name": "more", "image": "user/more:1"}
_ADDITIONS: tuple[tuple[str, str, str, str, object], ...] = (
    ("ingress", "foo", "services", "/spec/rules/0/http/paths/-", _PATH),
    ("ingress", "foo", "services", "/spec/rules/0", {"host": "more.example", "http": {"paths": [_PATH]}}),
    ("service", "foo-service", "services", "/spec/ports/0", _PORT),
    ("service", "foo-service", "services", "/spec/externalIPs", ["203.0.113.9"]),
    ("service", "foo-service", "services", "/spec/sessionAffinity", "ClientIP"),
    ("deployment", "foo-deployment", "services", "/spec/template/spec/containers/0/env/-", {"name": "M", "value": "1"}),
    ("deployment", "foo-deployment", "services", "/spec/template/spec/containers/0", _SIDECAR),
    ("deployment", "foo-deployment", "services", "/spec/template/spec/hostAliases", [{"ip": "203.0.113.9"}]),
    ("kongplugin", "foo.jwt", "services", "/config/maximum_expiration", 9),
    ("kongplugin", "foo.jwt", "services", "/disabled", True),
    ("networkpolicy", "default.deny", "services", "/spec/ingress", [{}]),
    ("secret", "alice.jwt", "kong", "/data/more", "bW9yZQ=="),
    ("service", "kong-proxy", "kong", "/spec/ports/0", _PORT),
    ("deployment", "kong", "kong", "/spec/template/spec/containers/0/env/0", {"name": "KONG_MORE", "value": "1"}),
)
"""Kind, name, namespace, place of a JSON patch and value."""


def test_what_was_added_by_hand_is_removed(whole: Whole) -> None:
    def contents() -> list[dict[str, Any]]:
        """The objects as they are, without what each change counts up."""
        printed = [
            whole.kubectl("get", kind, name, "-n", namespace, "-o", "json") for kind, name, namespace, *_ in _ADDITIONS
        ]
        documents = [json.loads(text) for text in printed]
        return [{key: document.get(key) for key in ("spec", "config", "disabled", "data")} for document in documents]

    whole.up()
    assert whole.doctor() == []
    before = contents()
    for kind, name, namespace, path, value in _ADDITIONS:
        patch = json.dumps([{"op": "add", "path": path, "value": value}])
        whole.kubectl("patch", kind, name, "-n", namespace, "--type", "json", "--patch", patch)
    changed = contents()
    assert all(was != now for was, now in zip(before, changed, strict=True))
    problems = " ".join(finding["problem"].lower() for finding in whole.doctor())
    objects = {f"{kind} {namespace}/{name}" for kind, name, namespace, *_ in _ADDITIONS}
    assert {name for name in objects if f"{name} was " not in problems} == set()
    # Server-side apply keeps the fields of other managers.
    whole.run("pulumi", "up", "--refresh", *QUIET)
    assert any("KongPlugin services/foo.jwt was extended" in finding["problem"] for finding in whole.doctor())
    whole.mend()
    assert contents() == before
    whole.run("pulumi", "preview", "--refresh", "--expect-no-changes", "--non-interactive")


def test_objects_of_a_helm_release_are_repaired_and_keep_their_load_balancer(whole: Whole) -> None:
    whole.up()
    (balancer,) = whole.account.cloud.load_balancers.documents
    whole.kubectl("scale", "deployment", "kong", "-n", "kong", "--replicas=0")
    whole.kubectl("delete", "ingressclass", "kong")
    (finding,) = whole.doctor()
    assert "IngressClass kong was deleted; Deployment kong/kong was changed: spec.replicas" in finding["problem"]
    # What a plain `up` and a refresh don't see.
    whole.run("pulumi", "up", "--refresh", *QUIET)
    assert whole.doctor() == [finding]
    whole.mend()
    assert whole.kubectl("get", "deployment", "kong", "-n", "kong", "-o", "jsonpath={.spec.replicas}") == "1"
    assert whole.kubectl("get", "ingressclass", "-o", "name") == "ingressclass.networking.k8s.io/kong\n"
    assert list(whole.account.cloud.load_balancers.documents) == [balancer]
    whole.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")


def test_a_namespace_kept_by_a_finalizer_is_recreated(whole: Whole) -> None:
    whole.up()
    held = '{"metadata":{"finalizers":["example.com/hold"]}}'
    whole.kubectl("patch", "ingress", "foo", "-n", "services", "--type", "merge", "--patch", held)
    whole.kubectl("delete", "namespace", "services", "--wait=false")
    until(lambda: any("finalizers remaining" in finding["problem"] for finding in whole.doctor()))
    whole.mend()
    assert "konghq.com/plugins" in whole.kubectl("get", "ingress", "foo", "-n", "services", "-o", "yaml")


def _with_env(whole: Whole, value: str, **more: str) -> dict[str, Any]:
    (foo,) = whole.config["services"]
    return {"services": [foo | {"env": {"VERSION": value, **more}}]}


@pytest.mark.parametrize("command", [("up",), ("up", "--refresh")])
def test_a_deployment_scaled_by_hand_is_scaled_back(whole: Whole, command: tuple[str, ...]) -> None:
    whole.up()
    scaled = ("deployment/foo-deployment", "-n", "services")
    whole.kubectl("scale", *scaled, "--replicas=2")
    whole.configure(**_with_env(whole, "2"))
    whole.run("pulumi", "preview", "--non-interactive")
    whole.run("pulumi", *command, *QUIET)
    assert whole.kubectl("get", *scaled, "-o", "jsonpath={.spec.replicas}") == "1"
    whole.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")


def test_the_autoscaler_owns_the_replicas_until_they_are_configured_again(whole: Whole) -> None:
    (foo,) = whole.config["services"]
    deployment = ("deployment/foo-deployment", "-n", "services")
    autoscale = {"autoscale": {"min": 1, "max": 5}}

    def number_after_up(*options: str, **keys: Any) -> str:  # noqa: ANN401 -- YAML
        whole.configure(services=[foo | keys], metricsServer="existing")
        whole.run("pulumi", "up", *options, *QUIET)
        return whole.kubectl("get", *deployment, "-o", "jsonpath={.spec.replicas}")

    assert number_after_up(replicas=2) == "2"
    # Nobody else owns the number yet.
    assert number_after_up(**autoscale) == "2"
    assert number_after_up(**autoscale, env={"VERSION": "1"}) == "2"
    # By the subresource that an autoscaler uses.
    whole.kubectl("scale", *deployment, "--replicas=4")
    assert number_after_up(**autoscale, env={"VERSION": "2"}) == "4"
    assert number_after_up("--refresh", **autoscale, env={"VERSION": "2"}) == "4"
    assert number_after_up(**autoscale, env={"VERSION": "3"}) == "4"
    whole.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")
    assert whole.doctor() == []
    assert number_after_up(replicas=3) == "3"
    assert whole.kubectl("get", "hpa", "-n", "services", "-o", "name") == ""
    whole.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")


def test_a_renamed_consumer_keeps_its_object_even_if_the_up_fails(whole: Whole) -> None:
    def consumer(name: str) -> dict[str, Any]:
        (alice,) = whole.config["consumers"]
        return {"consumers": [alice | {"name": name, "jwt": alice["jwt"] | {"key": "shop"}}]}

    whole.configure(**consumer("alice"))
    whole.up()
    columns = ("get", "kongconsumer", "-n", "kong", "-o", "jsonpath={.items[*].metadata.uid} {.items[*].username}")
    uid, name = whole.kubectl(*columns).split()
    assert name == "alice"
    whole.relay.faults.append(Fault(method="PATCH", path="/deployments/foo-deployment", status=403))
    whole.configure(**consumer("alicia"), **_with_env(whole, "2"))
    assert whole.up(check=False).returncode != 0
    assert whole.kubectl(*columns).split() == [uid, "alicia"]
    whole.configure(**consumer("alicia"), namespace="shop")
    whole.up()
    assert whole.kubectl(*columns).split() == [uid, "alicia"]
    whole.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")


def test_objects_of_a_killed_up_are_updated_by_the_next_one(whole: Whole) -> None:
    whole.configure(**_with_env(whole, "broken", LEFT="over"))
    fault = Fault(method="PATCH", path="/deployments/foo-deployment", **KINDS["killed after"].fault)
    whole.relay.faults.append(fault)
    whole.cut("up", SIGKILL, lambda: fault.times == 0)
    whole.relay.faults.clear()
    deployment = ("get", "deployment/foo-deployment", "-n", "services", "-o")
    assert whole.kubectl(*deployment, "name")
    whole.mend(until_typing="pulumi up --stack dev")
    assert not [resource for resource in whole.resources() if resource["type"].endswith(":Deployment")]
    whole.configure(**_with_env(whole, "corrected"))
    whole.up()
    environment = "jsonpath={.spec.template.spec.containers[0].env[?(@.name=='VERSION')].value}"
    assert whole.kubectl(*deployment, environment) == "corrected"
    # The killed process had a field manager of its own, whose fields stay.
    (finding,) = whole.doctor()
    assert finding["problem"].endswith(": spec.template.spec.containers[api].env[LEFT]")
    whole.mend()
    assert "LEFT" not in whole.kubectl(*deployment, "yaml")


def test_an_expired_token_is_renewed_without_recreating_anything(whole: Whole) -> None:
    whole.up()
    made = {resource["urn"]: resource.get("id") for resource in whole.resources()}
    exported = json.loads(whole.run("pulumi", "stack", "export", "--show-secrets").stdout)
    (cluster,) = (resource for resource in exported["deployment"]["resources"] if resource["type"] == CLUSTER)
    (stored,) = json.loads(cluster["outputs"]["kubeConfigs"]["plaintext"])
    stored["expiresAt"] = "2026-01-01T00:00:00Z"
    cluster["outputs"]["kubeConfigs"]["plaintext"] = json.dumps([stored])
    (whole.project / "old.json").write_text(json.dumps(exported))
    whole.run("pulumi", "stack", "import", "--file", "old.json")
    whole.account.cloud.clusters.records[cluster["id"]].tokens.clear()
    whole.run("pulumi", "up", "--refresh", "--yes", "--skip-preview", "--non-interactive")
    assert {resource["urn"]: resource.get("id") for resource in whole.resources()} == made
    whole.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")


def test_a_load_balancer_deleted_by_hand_is_recreated_and_the_outputs_updated(whole: Whole) -> None:
    whole.up()
    balancers = whole.account.cloud.load_balancers
    (before,) = balancers.documents.values()
    assert whole.run("pulumi", "stack", "output", "proxy_ip").stdout.strip() == before["ip"]
    # The address belongs to another customer by now.
    balancers.addresses.remove(before["ip"])
    balancers.delete(before["id"])
    until(lambda: not balancers.documents)
    # The Service object hasn't changed, so neither the controller nor an up creates another.
    whole.up()
    assert not balancers.documents
    (finding,) = whole.doctor()
    assert finding["problem"] == f"load balancer {before['id']}, the one behind proxy_ip, was deleted by hand"
    whole.mend()
    (after,) = balancers.documents.values()
    assert whole.run("pulumi", "stack", "output", "proxy_ip").stdout.strip() == after["ip"] != before["ip"]


def test_an_up_ends_if_the_load_balancer_gets_no_address(whole: Whole) -> None:
    helm = whole.project / "infra" / "kubernetes" / "helm.py"
    before = helm.read_text()
    shortened, count = re.subn(r"_TIMEOUT_SECONDS = \d+", "_TIMEOUT_SECONDS = 15", before)
    assert count == 1
    helm.write_text(shortened)
    whole.account.settings.load_balancer_create = 3600
    try:
        failed = whole.up(check=False)
    finally:
        whole.account.settings.load_balancer_create = 0.5
        helm.write_text(before)
    assert failed.returncode != 0
    assert "release kong failed, and has been uninstalled due to atomic being set" in failed.stdout
    # Kong is uninstalled, and the unreachable load balancer is deleted with it.
    until(lambda: not whole.account.cloud.load_balancers.documents)
    whole.up()
    assert len(whole.account.cloud.load_balancers.documents) == 1


def test_a_killed_install_of_kong_is_continued_by_the_next_up(whole: Whole) -> None:
    sweep = Sweep(whole, kubernetes=True)
    # The first write after Helm's own record, which is what stays.
    record = next(n for n, write in enumerate(sweep.calls["up"]) if write == "POST /api/v1/namespaces/kong/secrets")
    assert sweep.case("killed", record + 1) == "up by the doctor"
    assert (sweep.figures["orphans"], sweep.figures["duplicates"]) == (0, 0)


def test_a_killed_install_of_prometheus_is_continued_by_the_next_up(whole: Whole) -> None:
    watched = {"monitoring": {"grafana": False}}
    whole.configure(gateway=watched, prometheusChartRepository=whole.config["chartRepository"])
    whole.up()
    # As after a kill before the release was confirmed: the state has Kong, but not yet Prometheus.
    record = whole.kubectl("get", "secret", "-n", "monitoring", "-l", "owner=helm", "-o", "name").strip()
    whole.kubectl("label", record, "-n", "monitoring", "status=pending-install", "--overwrite")
    (urn,) = [resource["urn"] for resource in whole.resources() if resource["urn"].endswith("Release::prometheus")]
    whole.run("pulumi", "state", "delete", urn, "--yes")
    assert "cannot re-use a name that is still in use" in whole.up(check=False).stdout
    (finding,) = whole.doctor()
    assert record.removeprefix("secret/") in finding["problem"]
    whole.mend()
    whole.run("pulumi", "preview", "--expect-no-changes", "--non-interactive")
    assert whole.doctor() == []


def test_a_destroy_that_lost_its_last_response_succeeds_after_a_refresh(whole: Whole) -> None:
    sweep = Sweep(whole, kubernetes=True)
    last = sweep.length["destroy"] - 1
    assert sweep.case("unanswered", last) == "up by up, destroy by the doctor"
    assert (sweep.figures["orphans"], sweep.figures["duplicates"]) == (0, 0)


def test_an_interrupted_uninstall_of_kong_blocks_neither_up_nor_destroy(whole: Whole) -> None:
    whole.up()
    record = whole.kubectl("get", "secret", "-n", "kong", "-l", "owner=helm", "-o", "name").strip()
    # As Helm leaves it if killed after it deleted the Service object.
    whole.kubectl("label", record, "-n", "kong", "status=uninstalling", "--overwrite")
    whole.kubectl("delete", "service", "kong-proxy", "-n", "kong")
    assert "kong-proxy' does not exist" in whole.up(check=False).stdout
    (finding,) = [finding for finding in whole.doctor() if "left by an interrupted destroy" in finding["problem"]]
    assert len(finding["fixes"][0]) == 2
    whole.mend()
    whole.up()
    assert whole.doctor() == []
    assert len(whole.account.cloud.load_balancers.documents) == 1


@pytest.mark.parametrize("call", ["credentials", "destroy_with_associated_resources$", "dangerous"])
def test_a_killed_destroy_without_checkpoints_is_completed_by_the_doctor(
    whole: Whole, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    whole.up()
    before = whole.resources()
    monkeypatch.setitem(whole.environment, "PULUMI_SKIP_CHECKPOINTS", "true")
    fault = Fault(path=call, **KINDS["killed after"].fault)
    whole.account.cloud.faults.append(fault)
    whole.cut("destroy", SIGKILL, lambda: fault.times == 0)
    whole.account.cloud.faults.clear()
    assert whole.resources() == before
    whole.mend()
