"""The inside of the cluster, as `doctor` and `status` report it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.pulumi.state import ENCRYPTED
from sandbox.host.certificate_authority import Authority
from tests.e2e.api_server import ApiServer, deployment, pod
from tests.e2e.terminal import SCOPES, Terminal
from tests.standins.account import FakeKubernetes
from tests.standins.digitalocean_provider.engine import TOKEN, Account

Document = dict[str, Any]
_CONTAINERS = [{"name": "proxy", "image": "kong:3.9.3"}, {"name": "ingress-controller", "image": "controller:3.5.13"}]
_RUNNING = [container | {"ready": True} for container in _CONTAINERS]
SCOPES_WITHOUT_CREDENTIALS = {*SCOPES} - {"kubernetes:access_cluster"}
KONG = [
    deployment("kong", "kong", template={"spec": {"containers": _CONTAINERS}}),
    pod("kong", "kong") | {"status": {"phase": "Running", "containerStatuses": _RUNNING}},
]


class Inside(Terminal):
    """A shell beside a stack `dev` whose cluster has an API server."""

    def __init__(self, account: Account, folder: Path) -> None:
        super().__init__(account, folder)
        pool = {
            "name": "mycluster-default-pool",
            "size": "s-1vcpu-2gb",
            "count": 1,
            "tags": ["terraform:default-node-pool"],
        }
        self.id = self.cluster(node_pools=[pool])
        self.pool = account.cloud.clusters.records[self.id].document["node_pools"][0]["id"]
        self.api_server = ApiServer(folder)
        account.cloud.clusters.records[self.id].kubernetes = self.api_server.kubernetes

    def applied(self, *objects: Document) -> None:
        """The state has the cluster and these objects."""
        node_pool = {"id": self.pool, "nodeCount": 1}
        values = {"name": "mycluster", "nodePool": node_pool}
        self.state(
            [
                self.resource("CLUSTER", self.id, inputs=values, outputs=values),
                *(
                    {
                        "type": f"kubernetes:{document['apiVersion']}:{document['kind']}",
                        "id": f"{document['metadata']['namespace']}/{document['metadata']['name']}",
                        "urn": f"urn:pulumi:dev::kong-doks::{document['metadata']['name']}",
                        "inputs": json.loads(json.dumps(document)),
                        "outputs": {},
                    }
                    for document in objects
                ),
            ]
        )

    def served_by(self, server: str = "", authority: bytes = b"") -> None:
        """Another address or authority in the cluster's credentials."""
        own = self.api_server.kubernetes
        record = self.account.cloud.clusters.records[self.id]
        record.kubernetes = FakeKubernetes(server or own.server, authority or own.ca_pem)

    def turns(self, state: str) -> None:
        self.account.cloud.clusters.records[self.id].set_state(state)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Inside]:
    account = Account()
    inside = Inside(account, tmp_path)
    yield inside
    inside.api_server.stop()
    account.stop()


def test_a_cluster_that_matches_the_state_has_no_drift(inside: Inside) -> None:
    foo = deployment("foo-deployment")
    inside.applied(foo)
    # The API server adds defaults, and leaves empty values out.
    inside.api_server.objects = [foo | {"spec": foo["spec"] | {"progressDeadlineSeconds": 600}}]
    assert inside.ops("doctor") == (0, "stack dev: state and account agree\n", "")


def test_an_object_that_was_deleted_in_the_cluster_is_found(inside: Inside) -> None:
    inside.applied(deployment("foo-deployment"))
    (finding,) = inside.findings()
    assert (finding["id"], finding["fixes"]) == ("object-missing", [["pulumi up --refresh --stack dev"]])
    assert "Deployment default/foo-deployment" in finding["problem"]


def test_a_deployment_scaled_by_hand_is_drift_with_its_field_manager(inside: Inside) -> None:
    foo = deployment("foo-deployment")
    inside.applied(foo)
    scaled = deployment("foo-deployment", replicas=3)
    scaled["metadata"]["managedFields"].append(
        {"manager": "kubectl", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    )
    inside.api_server.objects = [scaled]
    (finding,) = inside.findings()
    assert (finding["id"], finding["fixes"]) == ("object-changed", [["pulumi up --refresh --stack dev"]])
    assert (
        finding["problem"] == "Deployment default/foo-deployment was changed in the cluster by kubectl: spec.replicas"
    )


def test_replicas_set_by_an_autoscaler_are_no_drift(inside: Inside) -> None:
    foo, bar = deployment("foo-deployment"), deployment("bar-deployment")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "foo-deployment"}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "foo-autoscaler", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3},
    }
    inside.applied(foo, bar, autoscaler)
    scaled = [deployment(f"{name}-deployment", replicas=3) for name in ("foo", "bar")]
    for document in scaled:
        document["metadata"]["managedFields"].append(
            {"manager": "kube-controller-manager", "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        )
    inside.api_server.objects = [*scaled, autoscaler]
    (finding,) = inside.findings()
    assert finding["problem"].startswith("Deployment default/bar-deployment was changed in the cluster by kube-")


def test_a_field_removed_by_hand_is_drift(inside: Inside) -> None:
    env = {"containers": [{"name": "api", "image": "user/foo:1", "env": [{"name": "MODE", "value": "on"}]}]}
    inside.applied(deployment("foo-deployment", template={"spec": env}))
    inside.api_server.objects = [
        deployment("foo-deployment", template={"spec": {"containers": [{"name": "api", "image": "user/foo:1"}]}})
    ]
    (finding,) = inside.findings()
    assert finding["problem"].endswith("was changed in the cluster: spec.template.spec.containers.env")


def test_a_value_normalized_by_the_api_server_is_no_drift(inside: Inside) -> None:
    inside.applied(deployment("foo-deployment", cpu="0.1"))
    inside.api_server.objects = [deployment("foo-deployment", cpu="100m")]
    assert inside.findings() == []


def test_an_object_of_a_killed_up_is_found_and_those_of_others_are_not(inside: Inside) -> None:
    inside.applied()
    theirs = deployment("theirs")
    theirs["metadata"]["managedFields"] = [{"manager": "kubectl-client-side-apply", "fieldsV1": {}}]
    hello = deployment("hello-deployment")
    # As every Deployment has it: its status is the controller's.
    hello["metadata"]["managedFields"].append({"manager": "kube-controller-manager", "fieldsV1": {}})
    inside.api_server.objects = [hello, theirs]
    document = inside.json("doctor")
    (note,) = document["notes"]
    assert document["findings"] == []
    assert note["id"] == "object-not-in-state"
    assert note["fixes"] == [
        ["pulumi up --stack dev"],
        ["kubectl delete deployment hello-deployment --namespace default"],
    ]


def test_a_deployment_scaled_to_zero_by_hand_is_drift(inside: Inside) -> None:
    inside.applied(deployment("foo-deployment"))
    # `kubectl scale --replicas=0` takes the field from its owner, and nobody owns a zero.
    inside.api_server.objects = [deployment("foo-deployment", replicas=0)]
    (finding,) = inside.findings()
    assert finding["problem"] == "Deployment default/foo-deployment was changed in the cluster: spec.replicas"


def test_policies_taken_from_a_route_by_hand_are_drift(inside: Inside) -> None:
    plugins = {"konghq.com/plugins": "foo.jwt"}
    route = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"ingressClassName": "kong"}}
    protected = route | {"metadata": {"name": "foo", "namespace": "default", "annotations": plugins}}
    inside.applied(protected)
    inside.api_server.objects = [route | {"metadata": {"name": "foo", "namespace": "default"}}]
    (finding,) = inside.findings()
    assert finding["fixes"] == [["pulumi up --refresh --stack dev"]]
    assert finding["problem"].endswith("was changed in the cluster: metadata.annotations.konghq.com/plugins")


def test_annotations_of_kong_added_by_hand_are_drift(inside: Inside) -> None:
    route = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"ingressClassName": "kong"}}
    inside.applied(route | {"metadata": {"name": "foo", "namespace": "default"}})
    annotations = {"konghq.com/strip-path": "true", "example.com/team": "a"}
    inside.api_server.objects = [
        route | {"metadata": {"name": "foo", "namespace": "default", "annotations": annotations}}
    ]
    (finding,) = inside.findings()
    assert finding["id"] == "object-changed"
    assert finding["problem"] == (
        "Ingress default/foo was extended in the cluster: metadata.annotations.konghq.com/strip-path"
    )
    removal = [{"op": "remove", "path": "/metadata/annotations/konghq.com~1strip-path"}]
    assert finding["fixes"] == [
        [f"kubectl patch ingress foo --namespace default --type json --patch '{json.dumps(removal)}'"]
    ]


@pytest.mark.parametrize(
    ("spec", "patch"),
    [
        ({}, {"op": "remove", "path": "/spec/ingress"}),
        (
            {"ingress": [{"ports": [{"port": 80}]}]},
            {"op": "replace", "path": "/spec/ingress", "value": [{"ports": [{"port": 80}]}]},
        ),
    ],
)
def test_connections_allowed_by_hand_are_drift(inside: Inside, spec: Document, patch: Document) -> None:
    metadata = {"namespace": "default", "name": "default.deny"}
    deny = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata}
    inside.applied(deny | {"spec": {"podSelector": {}, **spec}})
    edited = {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:ingress": {}}}}
    live = deny | {"metadata": metadata | {"managedFields": [edited]}}
    inside.api_server.objects = [live | {"spec": {"podSelector": {}, "ingress": [*spec.get("ingress", []), {}]}}]
    (finding,) = inside.findings()
    assert finding["id"] == "object-changed"
    assert finding["problem"] == (
        "NetworkPolicy default/default.deny was extended in the cluster by kubectl-edit: spec.ingress"
    )
    command = "kubectl patch networkpolicy default.deny --namespace default --type json --patch"
    assert finding["fixes"] == [[f"{command} '{json.dumps([patch])}'"]]


def test_a_secret_changed_by_hand_is_drift_and_its_content_is_not_printed(inside: Inside) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "alice.jwt", "namespace": "kong"}}
    inside.applied(secret)
    managed = [
        {"manager": "pulumi-kubernetes-1", "fieldsV1": {"f:data": {"f:algorithm": {}}}},
        {"manager": "kubectl-edit", "fieldsV1": {"f:data": {"f:secret": {}}}},
    ]
    metadata = {"name": "alice.jwt", "namespace": "kong", "managedFields": managed}
    inside.api_server.objects = [secret | {"metadata": metadata, "data": {"secret": "bWFsbG9yeQ=="}}]
    (finding,) = inside.findings()
    assert finding["problem"] == "Secret kong/alice.jwt was changed in the cluster by kubectl-edit: data.secret"
    # An up --refresh would restore a changed value, and keep an added one.
    assert finding["fixes"] == [["kubectl delete secret alice.jwt --namespace kong", "pulumi up --refresh --stack dev"]]


def test_a_plugin_with_secret_values_is_removed_after_its_routes(inside: Inside) -> None:
    # Kong serves a route without a plugin that it doesn't find.
    def route(name: str, plugins: str, api: str = "networking.k8s.io/v1", kind: str = "Ingress") -> Document:
        annotations = {"konghq.com/plugins": plugins}
        return {"apiVersion": api, "kind": kind, "metadata": _default(name, annotations=annotations)}

    secret = {ENCRYPTED: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    api = "configuration.konghq.com/v1"
    plugin = {"apiVersion": api, "kind": "KongPlugin", "metadata": _default("foo.acl"), "plugin": "acl"}
    routes = [
        route("foo-ingress", "foo.key-auth,foo.acl"),
        route("foo-v2", "foo.acl", "gateway.networking.k8s.io/v1", "HTTPRoute"),
        route("bar-ingress", "foo.acl2"),
    ]
    inside.applied(plugin | {"config": secret}, *routes)
    managed = [{"manager": "kubectl-edit", "fieldsV1": {"f:config": {"f:allow": {}}}}]
    live = plugin | {"metadata": _default("foo.acl", managedFields=managed), "config": {"allow": ["everybody"]}}
    inside.api_server.objects = [live, *routes]
    (finding,) = inside.findings()
    assert finding["problem"] == "KongPlugin default/foo.acl was changed in the cluster by kubectl-edit: config"
    assert finding["fixes"] == [
        [
            "kubectl delete ingress foo-ingress --namespace default",
            "kubectl delete httproute foo-v2 --namespace default",
            "kubectl delete kongplugin foo.acl --namespace default",
            "pulumi up --refresh --stack dev",
        ]
    ]


def _default(name: str, **metadata: object) -> Document:
    return {"name": name, "namespace": "default"} | metadata


def _namespaced(kind: str, api: str, name: str, **metadata: object) -> Document:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default"} | metadata}


FREE = (
    "kubectl patch service foo-service --namespace default --type merge "
    """--patch '{"metadata":{"finalizers":null}}'"""
)


@pytest.mark.parametrize(
    ("finalizer", "fixes"),
    [
        (
            "example.com/hold",
            [[FREE, "pulumi up --refresh --stack dev"]],
        ),
        # Without it, the load balancer would be left over, and billed.
        ("service.kubernetes.io/load-balancer-cleanup", []),
    ],
)
def test_a_deletion_that_waits_for_a_finalizer_is_found(inside: Inside, finalizer: str, fixes: list[list[str]]) -> None:
    inside.applied(_namespaced("Service", "v1", "foo-service"))
    going = {"deletionTimestamp": "2026-11-27T03:00:00Z", "finalizers": [finalizer]}
    inside.api_server.objects = [_namespaced("Service", "v1", "foo-service", **going)]
    (finding,) = inside.findings()
    assert (finding["id"], finding["fixes"]) == ("object-not-deleted", fixes)
    assert finding["problem"] == (
        f"Service default/foo-service is being deleted in the cluster and waits for: {finalizer}"
    )


def test_a_namespace_that_is_not_deleted_shows_what_is_left_in_it(inside: Inside) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "namespace": ""}}
    inside.applied(namespace)
    message = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    conditions = [
        {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "All resources discovered"},
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": message},
    ]
    going = {"name": "shop", "deletionTimestamp": "2026-11-27T03:00:00Z"}
    inside.api_server.objects = [namespace | {"metadata": going, "status": {"conditions": conditions}}]
    (finding,) = inside.findings()
    assert finding["fixes"] == []
    assert finding["problem"] == f"Namespace shop is being deleted in the cluster and waits for: {message}"


NODE: Document = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "pool-1",
        "labels": {"doks.digitalocean.com/node-id": "n1", "doks.digitalocean.com/node-pool-id": "p1"},
    },
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}
LOST = {
    "status": {
        "conditions": [
            {
                "type": "Ready",
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": "2026-11-27T03:00:00Z",
            }
        ]
    }
}


def test_a_node_that_is_not_ready_is_found(inside: Inside) -> None:
    inside.applied()
    inside.api_server.objects = [NODE | LOST]
    (finding,) = inside.findings()
    assert finding["problem"].startswith(
        "node pool-1 is not ready: NodeStatusUnknown: Kubelet stopped posting node status. since 2026-11-27T03:00:00Z"
    )
    assert finding["fixes"] == [
        [f"doctl kubernetes cluster node-pool replace-node {inside.id} p1 n1 --skip-drain"],
    ]


def test_a_cordoned_node_is_found_unless_it_is_being_replaced(inside: Inside) -> None:
    inside.applied()
    cordoned = NODE | {"spec": {"unschedulable": True}}
    inside.api_server.objects = [cordoned]
    (finding,) = inside.findings()
    assert (finding["id"], finding["fixes"]) == ("node-unavailable", [["kubectl uncordon pool-1"]])
    inside.turns("upgrading")
    assert inside.findings() == []
    inside.turns("running")
    inside.api_server.objects = [cordoned | {"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]}}]
    assert inside.findings() == []


def test_an_object_that_kong_refuses_is_a_note_until_it_changes(inside: Inside) -> None:
    inside.applied()
    route = _namespaced("Ingress", "networking.k8s.io/v1", "theirs")
    event = {
        **_namespaced("Event", "v1", "theirs.1"),
        "involvedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"} | route["metadata"],
        "reason": "KongConfigurationApplyFailed",
        "message": "invalid service:default.theirs.80: invalid path",
        "lastTimestamp": "2026-11-27T03:00:00Z",
    }
    pods = event | {"involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": "kong", "name": "kong-1"}}
    inside.api_server.objects = [route, event, pods]
    document = inside.json("doctor")
    (note,) = document["notes"]
    assert (document["findings"], note["id"]) == ([], "kong-refuses")
    assert "Kong refused Ingress default/theirs at 2026-11-27T03:00:00Z" in note["problem"]
    assert note["fixes"] == [["kubectl get ingress theirs --namespace default --output yaml"]]
    route["metadata"]["managedFields"] = [{"manager": "kubectl-edit", "time": "2026-11-27T03:01:00Z", "fieldsV1": {}}]
    assert inside.json("doctor")["notes"] == []
    inside.api_server.objects = [event, pods]
    assert inside.json("doctor")["notes"] == []


UNREADABLE: dict[str, tuple[Callable[[Inside], None], str]] = {
    "a certificate of another authority": (
        lambda inside: inside.served_by(authority=Authority(inside.folder / "other", "stranger").pem),
        "certificate verify failed",
    ),
    "no answer": (
        lambda inside: setattr(inside.api_server, "hangs", True),
        "timed out; fix: try again, from an address that the cluster's firewall (controlPlaneFirewall) allows",
    ),
    "401": (lambda inside: setattr(inside.api_server, "refusal", 401), "401 Unauthorized"),
    "403": (lambda inside: setattr(inside.api_server, "refusal", 403), "403 Forbidden"),
    "503": (lambda inside: setattr(inside.api_server, "refusal", 503), "503 Service Unavailable"),
    # The resolver's numbers are negative.
    "a name that nothing resolves": (lambda inside: inside.served_by("https://api.invalid"), "[Errno -"),
    "nobody at its port": (lambda inside: inside.served_by("https://127.0.0.1:1"), "Connection refused"),
    "an address that is none": (lambda inside: inside.served_by("https://127.0.0.1:port"), "Invalid port"),
    "no credential": (
        lambda inside: inside.account.cloud.tokens.update({TOKEN: sorted(SCOPES_WITHOUT_CREDENTIALS)}),
        "403 you do not have access",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_cluster_is_in_the_last_line_and_the_exit_code(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name == "no answer":
        monkeypatch.setattr("ops.cluster.client.ANSWER_SECONDS", 0.5)
    break_it, problem = UNREADABLE[name]
    (inside.folder / "other").mkdir()
    inside.applied()
    break_it(inside)
    doctor = inside.ops("doctor")
    assert doctor.returncode == 3
    *_, unread, verdict = doctor.stdout.splitlines()
    assert unread.startswith("not read: the inside of ")
    assert problem in unread
    assert verdict == "stack dev: state and account agree; the cluster couldn't be read"


def test_findings_do_not_hide_an_unreadable_cluster(inside: Inside) -> None:
    inside.applied()
    inside.api_server.refusal = 401
    inside.api("PUT", f"/v2/kubernetes/clusters/{inside.id}", {"name": "renamed"})
    doctor = inside.ops("doctor")
    assert doctor.returncode == 1
    assert doctor.stdout.splitlines()[-1] == (
        "stack dev: 1 finding; then: pulumi up, or repeat pulumi destroy; the cluster couldn't be read"
    )


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ("error", "is in state error: see DigitalOcean's control panel, or destroy it"),
        ("deleting", "is in the state and is being deleted: wait until it is gone, and run the doctor again"),
        ("deleted", "is in the state and is being deleted: wait until it is gone, and run the doctor again"),
        ("provisioning", "is being created: wait"),
        ("migrating", "is in state migrating: see DigitalOcean's control panel, or destroy it"),
    ],
)
def test_a_cluster_that_does_not_run_is_a_finding(inside: Inside, state: str, problem: str) -> None:
    inside.applied()
    record = inside.account.cloud.clusters.records[inside.id]
    record.document["node_pools"].clear()
    inside.turns(state)
    doctor = inside.json("doctor")
    (finding,) = doctor["findings"]
    assert (finding["id"], finding["problem"]) == (
        "cluster-unavailable",
        f'cluster "mycluster" ({inside.id}) {problem}',
    )
    wait = [[f"python -m ops wait {inside.id} --stack dev"]]
    assert finding["fixes"] == (wait if state == "provisioning" else [])
    assert doctor["not_read"] == [f"the inside of cluster {inside.id}: it is {state}"]
    assert inside.failed()["cluster"]["said"] == f"mycluster is {state}"
    status = inside.ops("status")
    assert (status.returncode, status.stdout) == (3, "")
    assert status.stderr == f"cluster {inside.id} is {state}; fix: python -m ops doctor --stack dev\n"


def test_status_of_a_missing_cluster_leads_to_the_doctor(inside: Inside) -> None:
    inside.applied()
    inside.delete_cluster(inside.id)
    status = inside.ops("status")
    problem = f"cluster {inside.id} of the state is not in the account; fix: python -m ops doctor --stack dev\n"
    assert (status.returncode, status.stderr) == (3, problem)


def test_status_of_an_unreadable_cluster_exits_with_3(inside: Inside) -> None:
    inside.applied()
    inside.api_server.refusal = 401
    status = inside.ops("status")
    assert (status.returncode, len(status.stderr.splitlines())) == (3, 1)
    assert "401 Unauthorized" in status.stderr


CRASHING: Document = {
    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
    "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    "restartCount": 4,
}


def test_a_failing_pod_is_found(inside: Inside) -> None:
    foo = deployment("foo-deployment")
    inside.applied(foo)
    inside.api_server.objects = [foo, pod("foo-deployment", **CRASHING)]
    (finding,) = inside.findings()
    assert (finding["id"], finding["fixes"]) == ("pod-failing", [])
    assert "CrashLoopBackOff: ended with 1 (Error)" in finding["problem"]


@pytest.mark.parametrize(
    ("status", "problem", "command"),
    [
        (
            CRASHING,
            "CrashLoopBackOff: ended with 1 (Error)",
            "kubectl logs foo-deployment-1 --namespace default --container api --previous",
        ),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "a"'}}},
            'ImagePullBackOff: Back-off pulling image "a"',
            "kubectl describe pod foo-deployment-1 --namespace default",
        ),
        (
            {"state": {"running": {}}},
            "not ready yet: its readiness probe fails",
            "kubectl logs foo-deployment-1 --namespace default --container api",
        ),
        (
            {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "restartCount": 1},
            "OOMKilled: ended with 137 (OOMKilled)",
            "kubectl logs foo-deployment-1 --namespace default --container api --previous",
        ),
    ],
)
def test_status_shows_why_a_service_is_not_ready(inside: Inside, status: Document, problem: str, command: str) -> None:
    foo = deployment("foo-deployment")
    foo["status"] = {}
    inside.applied(foo)
    inside.api_server.objects = [foo, *KONG, pod("foo-deployment", **status)]
    inside.api_server.logs = {
        ("foo-deployment-1", "api", previous): "starting\nModuleNotFoundError: No module named 'x'\n\n"
        for previous in (True, False)
    }
    document = inside.json("status")
    assert document["ready"] is False
    row = document["rows"][0]
    assert row == {
        "name": "service foo",
        "ready": "0/1",
        "image": "user/foo-deployment:1",
        "problem": problem,
        "log": "ModuleNotFoundError: No module named 'x'",
        "next": command,
    }
    printed = inside.ops("status")
    assert printed.returncode == 1
    assert f"why: {problem}" in printed.stdout
    assert printed.stdout.endswith("stack dev: 1 of 3 not ready\n")


def test_status_shows_an_unschedulable_pod(inside: Inside) -> None:
    foo, waiting = deployment("foo-deployment"), pod("foo-deployment")
    message = "0/1 nodes are available: 1 Insufficient cpu."
    waiting["status"] = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}],
    }
    inside.applied(foo)
    inside.api_server.objects = [foo, *KONG, waiting]
    row = inside.json("status")["rows"][0]
    assert (row["problem"], row["next"]) == (f"Unschedulable: {message}", "python -m ops preflight --stack dev")


def test_status_of_a_pod_that_no_node_accepts_leads_to_the_doctor(inside: Inside) -> None:
    foo, waiting = deployment("foo-deployment"), pod("foo-deployment")
    message = "0/1 nodes are available: 1 node(s) were unschedulable."
    waiting["status"] = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}],
    }
    inside.applied(foo)
    inside.api_server.objects = [foo, *KONG, waiting]
    assert inside.json("status")["rows"][0]["next"] == "python -m ops doctor --stack dev"


def test_status_of_a_deployment_scaled_to_zero_is_not_ready(inside: Inside) -> None:
    foo = deployment("foo-deployment")
    inside.applied(foo)
    stopped = KONG[0] | {"spec": KONG[0]["spec"] | {"replicas": 0}, "status": {}}
    inside.api_server.objects = [foo, pod("foo-deployment", ready=True), stopped]
    done = inside.ops("status")
    assert done.returncode == 1
    assert "not ready 0/0 Kong  kong:3.9.3\n    why: scaled to 0 pods by hand\n" in done.stdout
    assert done.stdout.endswith("stack dev: 2 of 3 not ready\n")


def test_status_shows_which_probe_failed_and_the_line_that_names_the_error(inside: Inside) -> None:
    foo = deployment("foo-deployment")
    inside.applied(foo)
    message = "Readiness probe failed: HTTP probe failed with statuscode: 500"
    event = {
        **_namespaced("Event", "v1", "foo.1"),
        "involvedObject": {"name": "foo-deployment-1", "fieldPath": "spec.containers{api}"},
        "reason": "Unhealthy",
        "message": message,
        "lastTimestamp": "2026-11-27T03:00:00Z",
    }
    earlier = event | {"message": "Readiness probe failed: connection refused", "lastTimestamp": "2026-11-27T02:00:00Z"}
    others = event | {"involvedObject": {"name": "foo-deployment-1", "fieldPath": "spec.containers{other}"}}
    inside.api_server.objects = [
        foo,
        *KONG,
        pod("foo-deployment", state={"running": {}}),
        earlier,
        event,
        others | {"message": "not this one's", "lastTimestamp": "2026-11-27T04:00:00Z"},
    ]
    log = "KeyError: 'DATABASE'\n[1] [INFO] Worker exiting\n[1] [ERROR] Reason: Worker failed to boot.\n"
    inside.api_server.logs = {("foo-deployment-1", "api", False): log}
    row = inside.json("status")["rows"][0]
    assert row["problem"] == f"not ready yet: its readiness probe fails; {message}"
    assert row["log"] == "KeyError: 'DATABASE'"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (
            "[1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n[9] [INFO] Booting worker\n",
            "[1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?",
        ),
        ("panic: no database\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: no database"),
        ('{"level":"error","msg":"no database"}\n{"level":"info"}\n', '{"level":"error","msg":"no database"}'),
        ("0 errors so far\nlistening\n", "listening"),
    ],
)
def test_status_shows_the_line_of_a_log_that_names_the_error(inside: Inside, log: str, line: str) -> None:
    foo = deployment("foo-deployment")
    inside.applied(foo)
    inside.api_server.objects = [foo, *KONG, pod("foo-deployment", state={"running": {}})]
    inside.api_server.logs = {("foo-deployment-1", "api", False): log}
    assert inside.json("status")["rows"][0]["log"] == line


def test_status_shows_why_the_api_server_refuses_pods(inside: Inside) -> None:
    foo = deployment("foo-deployment")
    reason = 'pods "foo-deployment-1" is forbidden: exceeded quota: tight'
    foo["status"] = {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": reason}]}
    inside.applied(foo)
    inside.api_server.objects = [foo, *KONG]
    row = inside.json("status")["rows"][0]
    assert row["problem"] == f"no pods were created: {reason}"


def test_status_shortens_the_image_of_a_built_service(inside: Inside) -> None:
    digest = "ab" * 32
    image = f"registry.digitalocean.com/kong-doks-1/microservices:foo@sha256:{digest}"
    foo = deployment("foo-deployment", template={"spec": {"containers": [{"name": "api", "image": image}]}})
    inside.applied(foo)
    inside.api_server.objects = [foo, *KONG, pod("foo-deployment", ready=True)]
    assert "service foo  microservices:foo@sha256:abababababab\n" in inside.ops("status").stdout
    assert inside.json("status")["rows"][0]["image"] == image


def test_status_of_a_ready_stack_lists_every_deployment_as_ready(inside: Inside) -> None:
    inside.applied()
    inside.api_server.objects = [deployment("foo-deployment"), *KONG, pod("foo-deployment", ready=True)]
    done = inside.ops("status")
    rows = inside.json("status")["rows"]
    assert [(row["name"], row["ready"]) for row in rows] == [
        ("service foo", "1/1"),
        ("Kong", "1/1"),
        ("Kong's controller", "1/1"),
    ]
    assert done.returncode == 0
    assert done.stdout.endswith("stack dev: all ready\n")


def test_status_lists_missing_objects(inside: Inside) -> None:
    inside.applied()
    rows = inside.json("status")["rows"]
    assert [row["problem"] for row in rows] == [
        "Deployment default/foo-deployment is missing",
        "Deployment kong/kong is missing",
        "Deployment kong/kong is missing",
    ]
    # The state doesn't have the service, and never has what Helm installs.
    assert [row["next"] for row in rows] == ["pulumi up --stack dev", *["python -m ops doctor --stack dev"] * 2]
    inside.applied(deployment("foo-deployment"))
    assert inside.json("status")["rows"][0]["next"] == "pulumi up --refresh --stack dev"


def test_status_without_a_cluster_exits_with_3(inside: Inside) -> None:
    inside.remembers()
    done = inside.ops("status")
    assert (done.returncode, done.stderr) == (3, "stack dev has no cluster yet; fix: pulumi up --stack dev\n")


def test_status_reaches_your_own_cluster_through_kubectl(inside: Inside) -> None:
    inside.configure(kubeContext="kind-kind", registry={"kind": "none"}, services=[])
    answers: dict[str, Document] = {}
    for namespace in ("monitoring", "cert-manager"):
        answers[f"/apis/apps/v1/namespaces/{namespace}/deployments"] = {"items": []}
    answers |= {"/apis/apps/v1/namespaces/kong/deployments": {"items": [KONG[0]]}}
    answers |= {"/apis/apps/v1/namespaces/kong/deployments/kong": KONG[0]}
    answers |= {"/api/v1/namespaces/kong/pods?labelSelector=app%3Dkong": {"items": [KONG[1]]}}
    folder = inside.folder / "kubectl.answers"
    for path, document in answers.items():
        file = folder / path.lstrip("/") / "answer"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))
    kubectl = inside.folder / "kubectl"
    missing = "echo 'Error from server (NotFound): none' >&2; exit 1"
    kubectl.write_text(
        f'#!/bin/sh\n[ "$2" = kind-kind ] || exit 1\ncat "{folder}$5/answer" 2>/dev/null || {{ {missing}; }}\n'
    )
    kubectl.chmod(0o755)
    inside.environment["PATH"] = f"{inside.folder}:/bin:/usr/bin"
    document = inside.json("status")
    assert [(row["name"], row["problem"]) for row in document["rows"]] == [("Kong", ""), ("Kong's controller", "")]
    kubectl.unlink()
    inside.environment["PATH"] = str(inside.folder)
    done = inside.ops("status")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert done.stderr.startswith("the cluster of kubeContext kind-kind: kubectl: ")
