"""Compares the Kubernetes objects of a state with those in the cluster."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ops.cluster.client import Kubernetes
from ops.pulumi.state import State

Document = dict[str, Any]
MANAGER = "pulumi-kubernetes"
"""Prefix of the field manager of Pulumi's provider."""
_ENCRYPTED = "4dabf18193072939515e22adb298388d"
"""Key by which Pulumi marks an encrypted value in a state."""
_METADATA_ONLY = ("Secret", "ConfigMap", "CustomResourceDefinition")
"""Kinds whose content isn't read: it is secret, or large."""
_ALWAYS = (
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)
"""Kinds that are searched for untracked objects even if the state has none of the kind."""
_COMPARED = ("spec", "config", "plugin", "username", "custom_id", "credentials")
"""Top-level fields that the program sets."""


class Key(NamedTuple):
    """Identifies an object."""

    api: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Change:
    """An object of the state that is different in the cluster."""

    key: Key
    fields: list[str]
    managers: list[str]
    """The field managers of the changed fields, if there are any."""


@dataclass(frozen=True)
class Comparison:
    """Differences between a state and a cluster."""

    missing: list[Key]
    changed: list[Change]
    not_in_state: list[Key]
    """Objects that Pulumi created and the state lacks, as after a kill."""


def compare(kubernetes: Kubernetes, state: State) -> Comparison:
    """Reads all objects of the kinds that the state has."""
    expected = _without_scaled(dict(_expected(state)))
    kinds = {(key.api, key.kind) for key in expected} | {*_ALWAYS}
    actual: dict[Key, Document] = {}
    for api, names in _by_api(kinds).items():
        actual |= _objects(kubernetes, api, names)
    return Comparison(
        missing=[key for key in expected if key not in actual],
        changed=[
            change
            for key, inputs in expected.items()
            if key in actual and (change := _change(key, inputs, actual[key]))
        ],
        not_in_state=[key for key, live in actual.items() if key not in expected and _is_pulumis(live)],
    )


def _expected(state: State) -> Iterator[tuple[Key, Document]]:
    """The objects of the state with their inputs; Helm's releases and objects that the program only reads are none."""
    for resource in state.resources:
        inputs = resource.get("inputs") or {}
        metadata = inputs.get("metadata") or {}
        if not resource["type"].startswith("kubernetes:") or resource.get("external") or not metadata.get("name"):
            continue
        namespace, _, name = str(resource.get("id") or "").rpartition("/")
        yield Key(inputs["apiVersion"], inputs["kind"], namespace, name), inputs


def _without_scaled(expected: Mapping[Key, Document]) -> Mapping[Key, Document]:
    """Leaves out the number of pods that an autoscaler sets."""
    scaled = set()
    for key, inputs in expected.items():
        if key.kind == "HorizontalPodAutoscaler":
            target = inputs["spec"]["scaleTargetRef"]
            scaled.add(Key(target["apiVersion"], target["kind"], key.namespace, target["name"]))
    return {
        key: {**inputs, "spec": {name: value for name, value in inputs["spec"].items() if name != "replicas"}}
        if key in scaled
        else inputs
        for key, inputs in expected.items()
    }


def _by_api(kinds: set[tuple[str, str]]) -> Mapping[str, list[str]]:
    targets: dict[str, list[str]] = defaultdict(list)
    for api, kind in sorted(kinds):
        targets[api].append(kind)
    return targets


def _objects(kubernetes: Kubernetes, api: str, kinds: list[str]) -> dict[Key, Document]:
    root = f"/api/{api}" if "/" not in api else f"/apis/{api}"
    known = kubernetes.find(root) or {"resources": []}
    plurals = {resource["kind"]: resource["name"] for resource in known["resources"] if "/" not in resource["name"]}
    changes = {}
    for kind in kinds:
        accept = "application/json"
        if kind in _METADATA_ONLY:
            accept += ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        for live in kubernetes.items(f"{root}/{plurals[kind]}", accept=accept) if kind in plurals else ():
            metadata = live["metadata"]
            changes[Key(api, kind, metadata.get("namespace", ""), metadata["name"])] = live
    return changes


def _is_pulumis(live: Document) -> bool:
    metadata = live["metadata"]
    if (metadata.get("labels") or {}).get("owner") == "helm":
        return False  # a release record: the provider runs Helm under its own name
    managers = [entry.get("manager", "") for entry in metadata.get("managedFields") or []]
    owned = metadata.get("ownerReferences") or metadata.get("deletionTimestamp")
    return not owned and any(manager.startswith(MANAGER) for manager in managers)


def _change(key: Key, inputs: Document, live: Document) -> Change | None:
    """The change of an object by somebody else.

    A value that differs counts only if another client owns the field: the API server normalizes values as well.
    """
    if key.kind in _METADATA_ONLY:
        return None
    others = {
        path: str(entry.get("manager"))
        for entry in live["metadata"].get("managedFields") or []
        if not str(entry.get("manager")).startswith(MANAGER)
        for path in _owned(entry.get("fieldsV1") or {})
    }
    wanted = {name: value for name, value in inputs.items() if name in _COMPARED}
    fields: dict[str, str] = {}
    for path, is_absent in _differences(wanted, live):
        owner = next((others[prefix] for prefix in others if path == prefix or path.startswith(f"{prefix}.")), "")
        if is_absent or owner:
            fields[path] = owner
    return Change(key, [*fields], sorted({*fields.values()} - {""})) if fields else None


def _owned(fields: Document, path: str = "") -> Iterator[str]:
    """The paths of a field set, without the items of lists: spec.template.spec.containers.image."""
    for name, below in fields.items():
        here = f"{path}.{name.removeprefix('f:')}".lstrip(".") if name.startswith("f:") else path
        if name.startswith("f:") and not [key for key in below if key != "."]:
            yield here
        yield from _owned(below, here) if isinstance(below, dict) else ()


def _differences(wanted: object, live: object, path: str = "") -> Iterator[tuple[str, bool]]:
    """Paths whose values differ, and whether the live object lacks the field. Empty values are the same as none."""
    if not wanted or (isinstance(wanted, dict) and _ENCRYPTED in wanted):
        return
    if live is None:
        yield path, True
    elif isinstance(wanted, dict) and isinstance(live, dict):
        for name, value in wanted.items():
            yield from _differences(value, live.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(wanted, list) and isinstance(live, list):
        named = {item["name"]: item for item in live if isinstance(item, dict) and "name" in item}
        for index, value in enumerate(wanted):
            if isinstance(value, dict) and value.get("name") and named:
                yield from _differences(value, named.get(value["name"]), path)
            else:
                yield from _differences(value, live[index] if index < len(live) else None, path)
    elif wanted != live and str(wanted) != str(live):
        yield path, False
