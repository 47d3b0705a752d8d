"""Compares the Kubernetes objects of a state with those in the cluster."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ops.cluster.client import Kubernetes
from ops.digitalocean import one_line
from ops.pulumi.state import ENCRYPTED, State

Document = dict[str, Any]
MANAGER = "pulumi-kubernetes"
"""Prefix of the field manager of Pulumi's provider."""
_OWN_MANAGERS = (MANAGER, "pulumi-resource-kubernetes", "helm")
"""Prefixes of the field managers of a stack: Helm inside of the provider has the name of the provider's program."""
_METADATA_ONLY = ("Secret", "ConfigMap", "CustomResourceDefinition")
"""Kinds whose content isn't read: it is secret, or large. Who changed it is in the metadata."""
_CONTENT = ("data", "stringData", "binaryData", "spec")
"""Fields of these kinds that the program or a chart sets."""
_CONTAINING = ("Namespace", "CustomResourceDefinition")
"""Kinds whose deletion deletes other objects first."""
_ANNOTATED = ("Ingress", "HTTPRoute", "Service")
"""Kinds whose annotations change a route; Kong's controller sets none on them."""
_KEEPS_LOAD_BALANCER = "service.kubernetes.io/load-balancer-cleanup"
"""Finalizer of a Service object until the cloud controller has deleted its load balancer."""
_ALWAYS = (
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)
"""Kinds that are searched for untracked objects even if the state has none of the kind."""
_COMPARED = ("spec", "config", "plugin", "username", "custom_id", "credentials", "rules", "subjects", "roleRef")
"""Top-level fields that the program or a chart sets."""


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

    @property
    def by(self) -> str:
        """Who changed which fields."""
        managers = f" by {', '.join(self.managers)}" if self.managers else ""
        return f"{managers}: {', '.join(self.fields)}"


@dataclass(frozen=True)
class Addition:
    """Annotations of Kong's that somebody added to an object of the state: no `up` removes them."""

    key: Key
    names: list[str]


@dataclass(frozen=True)
class Deletion:
    """An object whose deletion doesn't end.

    Attributes:
        held: what keeps it: finalizers, or the conditions of a namespace.
        can_be_freed: False if what a finalizer waits for would then be left over, and billed.
    """

    key: Key
    held: list[str]
    can_be_freed: bool


@dataclass(frozen=True)
class Comparison:
    """Differences between the objects of a state, or of a Helm release, and those of a cluster."""

    missing: list[Key]
    changed: list[Change]
    added: list[Addition]
    deleted: list[Deletion]
    not_in_state: list[Key]
    """Objects that Pulumi created and the state lacks, as after a kill."""


def compare(kubernetes: Kubernetes, state: State) -> Comparison:
    """Reads all objects of the kinds that the state has."""
    expected = _without_scaled(dict(_expected(state)))
    actual, _ = _read(kubernetes, {(key.api, key.kind) for key in expected} | {*_ALWAYS})
    return Comparison(
        missing=[key for key in expected if key not in actual],
        changed=list(_changes(expected, actual, absent=True)),
        added=[
            Addition(key, names)
            for key, inputs in expected.items()
            if key in actual and (names := _added_annotations(key, inputs, actual[key]))
        ],
        deleted=[deletion for key in expected if key in actual and (deletion := _deletion(key, actual[key]))],
        not_in_state=[key for key, live in actual.items() if key not in expected and _is_pulumis(live)],
    )


def compare_release(kubernetes: Kubernetes, namespace: str, manifest: Sequence[Document]) -> Comparison:
    """Compares the objects of a Helm release with its manifest.

    Neither `pulumi up` nor its option --refresh looks at them: Pulumi compares the release's values only.
    """
    actual, cluster_wide = _read(kubernetes, {(document["apiVersion"], document["kind"]) for document in manifest})
    expected = _without_scaled({_installed_key(document, namespace, cluster_wide): document for document in manifest})
    return Comparison(
        missing=[key for key in expected if key not in actual],
        # A chart may set fields that the API server doesn't have: a field that is absent proves nothing.
        changed=list(_changes(expected, actual, absent=False)),
        added=[],
        deleted=[],
        not_in_state=[],
    )


def _installed_key(document: Document, namespace: str, cluster_wide: Collection[tuple[str, str]]) -> Key:
    """Returns the key of an object of a manifest, which needs no namespace there."""
    api, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    return Key(api, kind, "" if (api, kind) in cluster_wide else metadata.get("namespace", namespace), metadata["name"])


def _changes(expected: Mapping[Key, Document], actual: Mapping[Key, Document], *, absent: bool) -> Iterator[Change]:
    for key, wanted in expected.items():
        if key in actual and (change := _change(key, wanted, actual[key], absent=absent)):
            yield change


def _added_annotations(key: Key, inputs: Document, live: Document) -> list[str]:
    wanted, annotations = (document["metadata"].get("annotations") or {} for document in (inputs, live))
    # An encrypted value of the state may be all of the annotations.
    if key.kind not in _ANNOTATED or ENCRYPTED in wanted:
        return []
    return [name for name in annotations if name.startswith("konghq.com/") and name not in wanted]


def _deletion(key: Key, live: Document) -> Deletion | None:
    """The deletion of an object that waits for a finalizer; other deletions take a moment."""
    if not live["metadata"].get("deletionTimestamp"):
        return None
    held = list(live["metadata"].get("finalizers") or [])
    conditions = (live.get("status") or {}).get("conditions") or []
    held += [
        one_line(condition.get("message", ""))
        for condition in conditions
        if key.kind == "Namespace" and condition["status"] == "True"
    ]
    return Deletion(key, held, can_be_freed=key.kind not in _CONTAINING and _KEEPS_LOAD_BALANCER not in held)


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


def _read(kubernetes: Kubernetes, kinds: set[tuple[str, str]]) -> tuple[dict[Key, Document], set[tuple[str, str]]]:
    """Reads all objects of these kinds; also returns which of the kinds are in no namespace."""
    objects: dict[Key, Document] = {}
    cluster_wide = set()
    by_api: dict[str, list[str]] = defaultdict(list)
    for api, kind in sorted(kinds):
        by_api[api].append(kind)
    for api, names in by_api.items():
        root, resources = kubernetes.kinds(api)
        for kind in names:
            if kind not in resources:
                continue
            if not resources[kind].get("namespaced", True):
                cluster_wide.add((api, kind))
            accept = "application/json"
            if kind in _METADATA_ONLY:
                accept += ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
            for live in kubernetes.items(f"{root}/{resources[kind]['name']}", accept=accept):
                metadata = live["metadata"]
                objects[Key(api, kind, metadata.get("namespace", ""), metadata["name"])] = live
    return objects, cluster_wide


def _is_pulumis(live: Document) -> bool:
    metadata = live["metadata"]
    if (metadata.get("labels") or {}).get("owner") == "helm":
        return False  # a release record: the provider runs Helm under its own name
    managers = [entry.get("manager", "") for entry in metadata.get("managedFields") or []]
    owned = metadata.get("ownerReferences") or metadata.get("deletionTimestamp")
    return not owned and any(manager.startswith(MANAGER) for manager in managers)


def _change(key: Key, inputs: Document, live: Document, *, absent: bool) -> Change | None:
    """The change of an object by somebody else.

    A value that differs counts only if another client owns the field: the API server normalizes values as well. Nobody
    owns what is zero, as after `kubectl scale --replicas=0`. A field that isn't there counts if `absent` is true.
    """
    others = {
        path: str(entry.get("manager"))
        for entry in live["metadata"].get("managedFields") or []
        if not str(entry.get("manager")).startswith(_OWN_MANAGERS) and entry.get("subresource") != "status"
        for path in _owned(entry.get("fieldsV1") or {})
    }
    metadata = {name: inputs["metadata"].get(name) for name in ("labels", "annotations")}
    content = {} if key.kind in _METADATA_ONLY else {name: inputs[name] for name in _COMPARED if name in inputs}
    fields: dict[str, str] = {}
    # A missing annotation is named even if it was the only one.
    compared = live | {"metadata": {"labels": {}, "annotations": {}} | live["metadata"]}
    for path, value in _differences({"metadata": metadata, **content}, compared):
        owner = next((others[prefix] for prefix in others if path == prefix or path.startswith(f"{prefix}.")), "")
        if owner or (absent if value is None else not value):
            fields[path] = owner
    if key.kind in _METADATA_ONLY:
        fields |= {path: owner for path, owner in others.items() if path.partition(".")[0] in _CONTENT}
    return Change(key, [*fields], sorted({*fields.values()} - {""})) if fields else None


def _owned(fields: Document, path: str = "") -> Iterator[str]:
    """The paths of a field set, without the items of lists: spec.template.spec.containers.image."""
    for name, below in fields.items():
        here = f"{path}.{name.removeprefix('f:')}".lstrip(".") if name.startswith("f:") else path
        if name.startswith("f:") and not [key for key in below if key != "."]:
            yield here
        yield from _owned(below, here) if isinstance(below, dict) else ()


def _differences(wanted: object, live: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Paths whose values differ, with the live value: None without one. Empty values that are wanted are none."""
    if not wanted or (isinstance(wanted, dict) and ENCRYPTED in wanted):
        return
    if live is None:
        yield path, None
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
        yield path, live
