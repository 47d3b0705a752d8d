"""Finds the fields of a Kubernetes object that another client set and the stack doesn't, such as one more path.

Neither `pulumi up` nor its option --refresh removes them: server-side apply keeps what other field managers own, and
the provider compares only the fields that it applied. So a JSON patch removes each of them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.pulumi.state import ENCRYPTED

Document = dict[str, Any]
PULUMI = "pulumi-kubernetes"
_HELM = ("pulumi-resource-kubernetes", "helm")
OWN_MANAGER_PREFIXES = (PULUMI, *_HELM)
"""Prefixes of the field managers of a stack: Helm inside of the provider has the name of the provider's program."""
STATE_MANAGER_KEY = "__fieldManager"
"""Key by which the state has an object's field manager. An object that an interrupted `up` created has another one."""
_CONTROLLERS = ("kube-", "cert-manager", "digitalocean-", "kong-ingress-controller")
"""Prefixes of the field managers of controllers, which fill in fields such as a webhook's CA or a claim's volume."""
_NO_CONTENT = ("f:metadata", "f:status", "f:apiVersion", "f:kind")
_DEFAULTS: dict[str, tuple[object, ...]] = {
    "dnsPolicy": ("ClusterFirst",),
    "externalTrafficPolicy": ("Cluster",),
    "failureThreshold": (3,),
    "group": ("gateway.networking.k8s.io",),
    "imagePullPolicy": ("Always", "IfNotPresent"),
    "internalTrafficPolicy": ("Cluster",),
    "kind": ("Gateway", "Service"),
    "maxSurge": ("25%",),
    "maxUnavailable": ("25%",),
    "periodSeconds": (10,),
    "progressDeadlineSeconds": (600,),
    "protocol": ("TCP",),
    "restartPolicy": ("Always",),
    "revisionHistoryLimit": (10,),
    "schedulerName": ("default-scheduler",),
    "scheme": ("HTTP",),
    "sessionAffinity": ("None",),
    "successThreshold": (1,),
    "terminationGracePeriodSeconds": (30,),
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "timeoutSeconds": (1,),
    "type": ("ClusterIP", "RollingUpdate"),
    "weight": (1,),
}
"""The API server's defaults by field.

The client that creates an object owns the fields the API server defaulted, also if a user restores the object by hand.
"""
_MATCH_ALL = ("namespaceSelector", "podSelector")
"""Fields of a NetworkPolicy's peer that match everything if they are empty."""


@dataclass(frozen=True)
class AddedField:
    """A field, or an item of a list, that the stack doesn't set.

    Attributes:
        name: its path: spec.template.spec.containers[api].env[MODE].
        manager: its field manager.
        patch: the JSON patch that removes it. None if the state encrypts the value: the doctor can't tell an addition
            from a change.
    """

    name: str
    manager: str
    patch: tuple[Document, ...] | None


def added_fields(inputs: Document, live: Document) -> list[AddedField]:
    """Returns the added fields, so ordered that their patches can be applied one after the other."""
    entries = live["metadata"].get("managedFields") or []
    managers = (inputs.get(STATE_MANAGER_KEY) or PULUMI, *_HELM)
    own = {
        path
        for entry in entries
        if str(entry.get("manager")).startswith(managers)
        for path in _leaves(entry.get("fieldsV1") or {})
    }
    found: dict[tuple[_Step, ...], AddedField] = {}
    for entry in entries:
        manager = str(entry.get("manager"))
        if manager.startswith((*managers, *_CONTROLLERS)) or entry.get("subresource"):
            continue
        content = {
            name: subfields for name, subfields in (entry.get("fieldsV1") or {}).items() if name not in _NO_CONTENT
        }
        for path, patch in _walk(content, inputs, live, own):
            found[path] = AddedField(_displayed(path), manager, patch)
    # The later items of a list first: each removal changes the indexes of those behind it.
    return [found[path] for path in sorted(found, key=lambda path: [token for _, token in path], reverse=True)]


def has_more(expected: object, live: object, name: str = "") -> bool:
    """True if the live value has an item or a field that the expected one lacks, other than a default."""
    if isinstance(live, dict) and isinstance(expected, dict):
        if ENCRYPTED in expected:
            return False
        return any(
            has_more(expected[key], value, key) if key in expected else not _is_default(key, value)
            for key, value in live.items()
        )
    if isinstance(live, list) and isinstance(expected, list):
        return len(live) > len(expected) or any(map(has_more, expected, live))
    return expected is None and not _is_default(name, live)


_Step = tuple[str, str | int]
"""A name of a field set, and the token of a JSON pointer that it stands for."""
_Patch = tuple[Document, ...] | None


def _walk(
    fields: Document, expected: object, live: object, own: set[tuple[str, ...]], path: tuple[_Step, ...] = ()
) -> Iterator[tuple[tuple[_Step, ...], _Patch]]:
    """Yields the path and the patch of each added field of a field set.

    Args:
        fields: of FieldsV1: `f:` a field, `k:` the item of a list with these keys, `v:` the item with this value.
        expected: what the stack sets here.
        live: what the cluster has here.
        own: the leaves that the stack's managers own.
        path: the path of this field.
    """
    for name, subfields in fields.items():
        pointer_token = _pointer_token(name, live)
        if pointer_token is None or name == "f:annotations":  # skips annotations: `kubectl rollout restart` sets one
            continue
        child_path = (*path, (name, pointer_token))
        child, expected_child = _child(name, live), _child(name, expected)
        if isinstance(expected_child, dict) and ENCRYPTED in expected_child:
            names = tuple(name for name, _ in child_path)
            if not own & {names, *_leaves(subfields, names)}:
                yield child_path, None
        elif expected_child is None:
            if not _is_default(str(pointer_token), child):
                yield child_path, (*_test_operations(child_path), {"op": "remove", "path": _pointer(child_path)})
        elif any(key != "." for key in subfields):
            yield from _walk(subfields, expected_child, child, own, child_path)
        elif has_more(expected_child, child):
            replace = {"op": "replace", "path": _pointer(child_path), "value": expected_child}
            yield child_path, None if ENCRYPTED in json.dumps(expected_child) else (replace,)


def _leaves(fields: Document, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, subfields in fields.items():
        if name != ".":
            yield from _leaves(subfields, (*at, name)) if any(key != "." for key in subfields) else [(*at, name)]


def _displayed(path: tuple[_Step, ...]) -> str:
    text = ""
    for name, _ in path:
        kind, _, rest = name.partition(":")
        text += f".{rest}" if kind == "f" else f"[{next(iter(json.loads(rest).values())) if kind == 'k' else rest}]"
    return text.removeprefix(".")


def _pointer_token(name: str, live: object) -> str | int | None:
    """Returns the token of a JSON pointer for a name of a field set; None if the object has no such field or item."""
    if name.startswith("f:"):
        field = name.removeprefix("f:")
        return field if isinstance(live, dict) and field in live else None
    items = live if isinstance(live, list) else []
    return next((index for index, item in enumerate(items) if _is_item(name, item)), None)


def _child(name: str, value: object) -> object:
    """Returns the field or item of a value that a name of a field set stands for; None if there is none."""
    if name.startswith("f:"):
        return value.get(name.removeprefix("f:")) if isinstance(value, dict) else None
    return next((item for item in value if _is_item(name, item)), None) if isinstance(value, list) else None


def _is_item(name: str, item: object) -> bool:
    kind, _, text = name.partition(":")
    if kind == "v":
        return bool(json.loads(text) == item)
    # A key that the stack doesn't set has the API server's default: protocol TCP.
    keys = json.loads(text) if kind == "k" else {}
    if not isinstance(item, dict) or not keys.keys() & item:
        return False
    return all(item.get(key, value) == value for key, value in keys.items())


def _is_default(name: str, value: object) -> bool:
    if name in _MATCH_ALL and value is not None:
        return False
    if isinstance(value, dict):
        return all(_is_default(key, child) for key, child in value.items())
    return not value or value in _DEFAULTS.get(name, ())


def _test_operations(path: tuple[_Step, ...]) -> tuple[Document, ...]:
    """Returns the JSON Patch `test` that the item is still at its index."""
    name = path[-1][0]
    if not name.startswith("k:"):
        return ()
    key, value = next(iter(json.loads(name.removeprefix("k:")).items()))
    return ({"op": "test", "path": f"{_pointer(path)}/{key}", "value": value},)


def _pointer(path: tuple[_Step, ...]) -> str:
    return "".join(f"/{str(token).replace('~', '~0').replace('/', '~1')}" for _, token in path)
