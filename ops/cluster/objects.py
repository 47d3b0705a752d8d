"""Compares the Kubernetes objects of a state with those in the cluster."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from infra.config.load_balancer import CLEANUP_FINALIZER
from ops.cluster.added_fields import PULUMI, STATE_MANAGER_KEY, AddedField, Document, added_fields
from ops.cluster.client import Kubernetes
from ops.cluster.object_fields import METADATA_ONLY, changed_fields
from ops.digitalocean import one_line
from ops.pulumi.state import ENCRYPTED, State

_CONTAINING = ("Namespace", "CustomResourceDefinition")
"""Kinds whose deletion deletes other objects first."""
_ANNOTATED = ("Ingress", "HTTPRoute", "Service")
"""Kinds whose annotations change a route; Kong's controller sets none on them."""
_SECRET = ("data", "stringData", "binaryData")
"""Fields of Secrets and ConfigMaps whose content isn't read."""
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
class Addition(Change):
    """Fields that somebody added to an object, and that no `up` removes.

    Attributes:
        patch: the JSON patch that removes it. Empty if the state encrypts the value: the doctor can't tell an addition
            from a change.
    """

    patch: list[Document]


@dataclass(frozen=True)
class Deletion:
    """An object whose deletion doesn't finish.

    Attributes:
        held: the finalizers, or the conditions of a namespace, that the deletion waits for.
        can_be_freed: False if removing the finalizers would leave other resources over, and billed.
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
    stuck_deletions: list[Deletion]
    """Objects whose deletion doesn't finish."""
    not_in_state: list[Key]
    """Objects that Pulumi created and the state lacks, as after a kill."""


def compare(kubernetes: Kubernetes, state: State) -> Comparison:
    """Reads all objects of the kinds that the state has."""
    expected = _without_scaled(dict(_expected(state)))
    actual, _ = _read(kubernetes, {(key.api, key.kind) for key in expected} | {*_ALWAYS})
    added = list(_additions(expected, actual))
    return Comparison(
        missing=[key for key in expected if key not in actual],
        changed=list(_changes(expected, actual, added, report_missing=True)),
        added=added,
        stuck_deletions=[deletion for key in expected if key in actual and (deletion := _deletion(key, actual[key]))],
        not_in_state=[key for key, live in actual.items() if key not in expected and _is_pulumis(live)],
    )


def compare_release(kubernetes: Kubernetes, namespace: str, manifest: Sequence[Document]) -> Comparison:
    """Compares the objects of a Helm release with its manifest.

    Neither `pulumi up` nor its option --refresh looks at them: Pulumi compares the release's values only.
    """
    actual, cluster_wide = _read(kubernetes, {(document["apiVersion"], document["kind"]) for document in manifest})
    expected = _without_scaled({_installed_key(document, namespace, cluster_wide): document for document in manifest})
    added = list(_additions(expected, actual))
    return Comparison(
        missing=[key for key in expected if key not in actual],
        # A chart may set fields that the API server drops, so an absent field is no change.
        changed=list(_changes(expected, actual, added, report_missing=False)),
        added=added,
        stuck_deletions=[],
        not_in_state=[],
    )


def _installed_key(document: Document, namespace: str, cluster_wide: Collection[tuple[str, str]]) -> Key:
    """Returns the key of an object of a manifest, which needs no namespace there."""
    api, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    return Key(api, kind, "" if (api, kind) in cluster_wide else metadata.get("namespace", namespace), metadata["name"])


def _changes(
    expected: Mapping[Key, Document], actual: Mapping[Key, Document], added: Sequence[Addition], *, report_missing: bool
) -> Iterator[Change]:
    """Yields changed fields, except those under an added field: an inserted item shifts the indexes of later ones."""
    named = {addition.key: tuple(addition.fields) for addition in added}
    for key, inputs in expected.items():
        if key not in actual:
            continue
        owners = changed_fields(key.kind, inputs, actual[key], report_missing=report_missing)
        owners = {path: owner for path, owner in owners.items() if not f"{path}.".startswith(_prefixes(named.get(key)))}
        if owners:
            yield Change(key, [*owners], _managers(owners.values()))


def _prefixes(fields: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(f"{field}." for field in fields or ())


def _managers(names: Iterable[str]) -> list[str]:
    return sorted({*names} - {""})


def _additions(expected: Mapping[Key, Document], actual: Mapping[Key, Document]) -> Iterator[Addition]:
    for key, inputs in expected.items():
        if key not in actual:
            continue
        fields = [*_added_content(key, inputs, actual[key]), *_added_annotations(key, inputs, actual[key])]
        for has_patch in (True, False):
            if matching := [field for field in fields if (field.patch is not None) == has_patch]:
                patch = [operation for field in matching for operation in field.patch or ()]
                managers = _managers(field.manager for field in matching)
                yield Addition(key, [field.name for field in matching], managers, patch)


def _added_content(key: Key, inputs: Document, live: Document) -> list[AddedField]:
    if key.kind not in METADATA_ONLY:
        return added_fields(inputs, live)
    # The doctor reads only the metadata of these kinds, so it can't tell a changed key from an added one.
    owners = changed_fields(key.kind, inputs, live, report_missing=False)
    return [AddedField(path, owner, None) for path, owner in owners.items() if path.partition(".")[0] in _SECRET]


def _added_annotations(key: Key, inputs: Document, live: Document) -> list[AddedField]:
    expected, actual = (document["metadata"].get("annotations") or {} for document in (inputs, live))
    # An encrypted value of the state may be all of the annotations.
    if key.kind not in _ANNOTATED or ENCRYPTED in expected:
        return []
    names = [name for name in actual if name.startswith("konghq.com/") and name not in expected]
    return [
        AddedField(
            f"metadata.annotations.{name}",
            "",
            ({"op": "remove", "path": f"/metadata/annotations/{name.replace('/', '~1')}"},),
        )
        for name in names
    ]


def _deletion(key: Key, live: Document) -> Deletion | None:
    """Returns an object's deletion, if it has begun; None otherwise."""
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
    """Yields the state's objects with their inputs and field managers, except those that the program only reads."""
    for resource in state.resources:
        inputs = resource.get("inputs") or {}
        metadata = inputs.get("metadata") or {}
        if not resource["type"].startswith("kubernetes:") or resource.get("external") or not metadata.get("name"):
            continue
        namespace, _, name = str(resource.get("id") or "").rpartition("/")
        manager = (resource.get("outputs") or {}).get(STATE_MANAGER_KEY)
        yield Key(inputs["apiVersion"], inputs["kind"], namespace, name), {**inputs, STATE_MANAGER_KEY: manager}


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
    return not owned and any(manager.startswith(PULUMI) for manager in managers)
