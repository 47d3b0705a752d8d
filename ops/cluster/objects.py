"""Compares the Kubernetes objects of a state with those in the cluster."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from infra.config.load_balancer import CLEANUP_FINALIZER
from ops.cluster.client import Kubernetes
from ops.cluster.object_fields import MANAGER, METADATA_ONLY, Document, changed_fields
from ops.digitalocean import one_line
from ops.pulumi.state import ENCRYPTED, State

_CONTAINING = ("Namespace", "CustomResourceDefinition")
"""Kinds whose deletion deletes other objects first."""
_ANNOTATED = ("Ingress", "HTTPRoute", "Service")
"""Kinds whose annotations change a route; Kong's controller sets none on them."""
_ALWAYS = (
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)
"""Kinds that are searched for untracked objects even if the state has none of the kind."""


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
        """The managers and their fields, for a message."""
        managers = f" by {', '.join(self.managers)}" if self.managers else ""
        return f"{managers}: {', '.join(self.fields)}"


@dataclass(frozen=True)
class Addition:
    """What somebody added to an object of the state, and no `up` removes.

    Attributes:
        names: of Kong's annotations.
        rules: the stack's rules of a NetworkPolicy, by `ingress` or `egress`, where the cluster has more of them.
    """

    key: Key
    names: list[str]
    rules: dict[str, list[Document]] = field(default_factory=dict)


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
            addition
            for key, inputs in expected.items()
            if key in actual and (addition := _addition(key, inputs, actual[key]))
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
    for key, inputs in expected.items():
        if key in actual and (owners := changed_fields(key.kind, inputs, actual[key], absent=absent)):
            yield Change(key, [*owners], sorted({*owners.values()} - {""}))


def _addition(key: Key, inputs: Document, live: Document) -> Addition | None:
    names, rules = _added_annotations(key, inputs, live), _changed_rules(key, inputs, live)
    return Addition(key, names, rules) if names or rules else None


def _added_annotations(key: Key, inputs: Document, live: Document) -> list[str]:
    expected, actual = (document["metadata"].get("annotations") or {} for document in (inputs, live))
    # An encrypted value of the state may be all of the annotations.
    if key.kind not in _ANNOTATED or ENCRYPTED in expected:
        return []
    return [name for name in actual if name.startswith("konghq.com/") and name not in expected]


def _changed_rules(key: Key, inputs: Document, live: Document) -> dict[str, list[Document]]:
    """The state's rules for each direction in which the cluster's NetworkPolicy has more of them."""
    if key.kind != "NetworkPolicy":
        return {}
    expected, actual = (document.get("spec") or {} for document in (inputs, live))
    rules = {name: expected.get(name) or [] for name in ("ingress", "egress")}
    return {name: own for name, own in rules.items() if len(actual.get(name) or []) > len(own)}


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
    return Deletion(key, held, can_be_freed=key.kind not in _CONTAINING and CLEANUP_FINALIZER not in held)


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
            if kind in METADATA_ONLY:
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
