"""Fields and items that somebody added to an object of the stack."""

import json
from typing import Any

import pytest

from ops.cluster.added_fields import STATE_MANAGER_KEY, AddedField, added_fields
from ops.pulumi.state import ENCRYPTED

Document = dict[str, Any]
SECRET = {ENCRYPTED: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
NAMED = 'k:{"name":"%s"}'
CONTAINER = {"name": "api", "image": "user/foo:1", "env": [{"name": "MODE", "value": "on"}]}
PORT = {"name": "http", "port": 5000}
PATH = {"path": "/foo", "pathType": "Prefix"}
RULE = {"http": {"paths": [PATH]}}


def found(inputs: Document, live: Document, fields: Document, manager: str = "kubectl-patch") -> list[AddedField]:
    managed = [{"manager": manager, "operation": "Update", "fieldsV1": fields}]
    return added_fields({"metadata": {}} | inputs, {"metadata": {"managedFields": managed}} | live)


def pod(*containers: Document, **rest: object) -> Document:
    return {"spec": {"template": {"spec": {"containers": [*containers], **rest}}}}


def in_pod(fields: Document) -> Document:
    return {"f:spec": {"f:template": {"f:spec": fields}}}


@pytest.mark.parametrize(
    ("inputs", "live", "fields", "name", "patch"),
    [
        pytest.param(
            {"spec": {"rules": [RULE]}},
            {"spec": {"rules": [{"http": {"paths": [PATH, {"path": "/more"}]}}]}},
            {"f:spec": {"f:rules": {}}},
            "spec.rules",
            [{"op": "replace", "path": "/spec/rules", "value": [RULE]}],
            id="path of an Ingress",
        ),
        pytest.param(
            {"spec": {"rules": [RULE]}},
            {"spec": {"rules": [{"host": "other.example"} | RULE, RULE]}},
            {"f:spec": {"f:rules": {}}},
            "spec.rules",
            [{"op": "replace", "path": "/spec/rules", "value": [RULE]}],
            id="host before the one of the stack",
        ),
        pytest.param(
            {"spec": {"rules": [RULE]}},
            {"spec": {"rules": [RULE], "tls": [{"hosts": ["other.example"]}]}},
            {"f:spec": {"f:tls": {}}},
            "spec.tls",
            [{"op": "remove", "path": "/spec/tls"}],
            id="list that the stack doesn't set",
        ),
        pytest.param(
            {"spec": {"rules": [{"matches": [{"path": {"value": "/foo"}}]}]}},
            {"spec": {"rules": [{"matches": [{"path": {"value": "/foo"}}], "filters": [{"type": "URLRewrite"}]}]}},
            {"f:spec": {"f:rules": {}}},
            "spec.rules",
            [{"op": "replace", "path": "/spec/rules", "value": [{"matches": [{"path": {"value": "/foo"}}]}]}],
            id="filter of an HTTPRoute",
        ),
        pytest.param(
            {"spec": {"ports": [PORT]}},
            {"spec": {"ports": [{"port": 22, "protocol": "TCP"}, PORT | {"protocol": "TCP"}]}},
            {"f:spec": {"f:ports": {'k:{"port":22,"protocol":"TCP"}': {".": {}, "f:port": {}}}}},
            "spec.ports[22]",
            [{"op": "test", "path": "/spec/ports/0/port", "value": 22}, {"op": "remove", "path": "/spec/ports/0"}],
            id="port of a Service",
        ),
        pytest.param(
            pod(CONTAINER),
            pod(CONTAINER | {"env": [*CONTAINER["env"], {"name": "MORE", "value": "secret"}]}),
            in_pod({"f:containers": {NAMED % "api": {"f:env": {NAMED % "MORE": {".": {}, "f:value": {}}}}}}),
            "spec.template.spec.containers[api].env[MORE]",
            [
                {"op": "test", "path": "/spec/template/spec/containers/0/env/1/name", "value": "MORE"},
                {"op": "remove", "path": "/spec/template/spec/containers/0/env/1"},
            ],
            id="variable",
        ),
        pytest.param(
            pod(CONTAINER),
            pod(CONTAINER, hostNetwork=True, dnsPolicy="ClusterFirst"),
            in_pod({"f:hostNetwork": {}, "f:dnsPolicy": {}}),
            "spec.template.spec.hostNetwork",
            [{"op": "remove", "path": "/spec/template/spec/hostNetwork"}],
            id="field of a pod",
        ),
        pytest.param(
            {"plugin": "acl", "config": {"allow": ["a"]}},
            {"plugin": "acl", "config": {"allow": ["a"], "deny": ["b"]}},
            {"f:config": {"f:deny": {}}},
            "config.deny",
            [{"op": "remove", "path": "/config/deny"}],
            id="key of a plugin",
        ),
        pytest.param(
            {"spec": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "bar"}}}]}]}},
            {
                "spec": {
                    "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "bar"}}, "namespaceSelector": {}}]}]
                }
            },
            {"f:spec": {"f:ingress": {}}},
            "spec.ingress",
            [
                {
                    "op": "replace",
                    "path": "/spec/ingress",
                    "value": [{"from": [{"podSelector": {"matchLabels": {"app": "bar"}}}]}],
                }
            ],
            id="empty selector, which matches all namespaces",
        ),
        pytest.param(
            {"plugin": "acl", "config": {}},
            {"plugin": "acl", "config": {}, "disabled": True},
            {"f:disabled": {}},
            "disabled",
            [{"op": "remove", "path": "/disabled"}],
            id="switch of a plugin",
        ),
    ],
)
def test_what_another_client_added_is_found_with_the_patch_that_removes_it(
    inputs: Document, live: Document, fields: Document, name: str, patch: list[Document]
) -> None:
    (field,) = found(inputs, live, fields)
    assert (field.name, field.manager, list(field.patch or ())) == (name, "kubectl-patch", patch)
    # What the stack applies itself, or a controller fills in, isn't added.
    for manager in ("pulumi-kubernetes-1a2b", "kube-controller-manager", "cert-manager-cainjector"):
        assert found(inputs, live, fields, manager) == []


def test_fields_that_an_interrupted_up_left_are_found() -> None:
    inputs = pod(CONTAINER) | {STATE_MANAGER_KEY: "pulumi-kubernetes-2"}
    live = pod(CONTAINER, hostNetwork=True)
    for manager, added in (("pulumi-kubernetes-1", 1), ("pulumi-kubernetes-2", 0), ("pulumi-resource-kubernetes", 0)):
        assert len(found(inputs, live, in_pod({"f:hostNetwork": {}}), manager)) == added


def test_later_items_are_removed_first() -> None:
    by_hand = [{"name": name} for name in ("a", "b")]
    fields = in_pod({"f:containers": {NAMED % name: {".": {}, "f:name": {}} for name in ("a", "b")}})
    removals = [
        operation["path"]
        for field in found(pod(CONTAINER), pod(by_hand[0], CONTAINER, by_hand[1]), fields)
        for operation in field.patch or ()
        if operation["op"] == "remove"
    ]
    assert removals == ["/spec/template/spec/containers/2", "/spec/template/spec/containers/0"]


@pytest.mark.parametrize(
    ("inputs", "live", "fields"),
    [
        pytest.param(
            pod(CONTAINER),
            {
                "spec": {
                    "progressDeadlineSeconds": 600,
                    "strategy": {
                        "type": "RollingUpdate",
                        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                    },
                    **pod(CONTAINER | {"imagePullPolicy": "IfNotPresent", "resources": {}}, securityContext={})["spec"],
                }
            },
            {
                "f:spec": {
                    "f:progressDeadlineSeconds": {},
                    "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
                    "f:template": {
                        "f:spec": {
                            "f:securityContext": {},
                            "f:containers": {NAMED % "api": {".": {}, "f:imagePullPolicy": {}, "f:resources": {}}},
                        }
                    },
                }
            },
            id="Deployment that kubectl created before the stack adopted it",
        ),
        pytest.param(
            {"spec": {"ports": [PORT]}},
            {"spec": {"ports": [PORT | {"protocol": "TCP"}], "sessionAffinity": "None", "type": "ClusterIP"}},
            {
                "f:spec": {
                    "f:ports": {".": {}, 'k:{"port":5000,"protocol":"TCP"}': {".": {}, "f:protocol": {}}},
                    "f:sessionAffinity": {},
                    "f:type": {},
                }
            },
            id="Service that kubectl created",
        ),
        pytest.param(
            {"spec": {"template": {"metadata": {}}}},
            {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026"}}}}},
            {"f:spec": {"f:template": {"f:metadata": {"f:annotations": {".": {}, "f:restartedAt": {}}}}}},
            id="kubectl rollout restart",
        ),
        pytest.param(
            {"spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80}]}]}},
            {"spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80, "group": "", "kind": "Service"}]}]}},
            {"f:spec": {"f:rules": {}}},
            id="defaults inside of a list",
        ),
        pytest.param(
            pod(CONTAINER), pod(CONTAINER), in_pod({"f:containers": {NAMED % "gone": {".": {}}}}), id="removed again"
        ),
    ],
)
def test_defaults_and_annotations_of_others_are_no_additions(
    inputs: Document, live: Document, fields: Document
) -> None:
    assert found(inputs, live, fields) == []


@pytest.mark.parametrize(
    ("inputs", "fields", "name"),
    [
        ({"config": SECRET}, {"f:config": {"f:minute": {}}}, "config"),
        ({"config": {"minute": SECRET}}, {"f:config": {"f:minute": {}}}, "config.minute"),
        ({"config": {"minute": 1, "headers": [SECRET]}}, {"f:config": {"f:headers": {}}}, "config.headers"),
    ],
)
def test_no_patch_has_a_value_that_the_state_encrypts(inputs: Document, fields: Document, name: str) -> None:
    live = {"config": {"minute": 2, "headers": ["a", "b"]}}
    assert found(inputs, live, fields) == [AddedField(name, "kubectl-patch", None)]
    own = {"manager": "pulumi-kubernetes-1", "fieldsV1": json.loads(json.dumps(fields))}
    live["metadata"] = {"managedFields": [{"manager": "kubectl-patch", "fieldsV1": fields}, own]}
    # Both clients set the same value.
    if name != "config.headers":
        assert added_fields({"metadata": {}} | inputs, live) == []
