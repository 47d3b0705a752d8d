"""Compares the fields of one Kubernetes object with those that a stack or a chart sets."""

from collections.abc import Iterator

from ops.cluster.added_fields import OWN_MANAGER_PREFIXES, Document
from ops.pulumi.state import ENCRYPTED

METADATA_ONLY = ("Secret", "ConfigMap", "CustomResourceDefinition")
"""Kinds whose content isn't read: it is secret, or large. Who changed it is in the metadata."""
_CONTENT = ("data", "stringData", "binaryData", "spec")
"""Fields of these kinds that the program or a chart sets."""
_COMPARED = ("spec", "config", "plugin", "username", "custom_id", "credentials", "rules", "subjects", "roleRef")
"""Top-level fields of the other kinds that the program or a chart sets."""


def changed_fields(kind: str, inputs: Document, live: Document, *, report_missing: bool) -> dict[str, str]:
    """Returns the paths of the fields that another client changed, with its field manager: "" if none is known.

    A value that differs counts if another client owns the field: the API server normalizes values as well.
    managedFields lists no owner of an empty value, as after `kubectl scale --replicas=0`, so that counts without one.

    Args:
        kind: of the object.
        inputs: what the stack or the chart sets.
        live: the object in the cluster.
        report_missing: whether a field that the object lacks counts without an owner.
    """
    others = {
        path: str(entry.get("manager"))
        for entry in live["metadata"].get("managedFields") or []
        if not str(entry.get("manager")).startswith(OWN_MANAGER_PREFIXES) and entry.get("subresource") != "status"
        for path in _owned(entry.get("fieldsV1") or {})
    }
    metadata = {name: inputs["metadata"].get(name) for name in ("labels", "annotations")}
    content = {} if kind in METADATA_ONLY else {name: inputs[name] for name in _COMPARED if name in inputs}
    fields: dict[str, str] = {}
    # A missing annotation is named even if it was the only one.
    compared = live | {"metadata": {"labels": {}, "annotations": {}} | live["metadata"]}
    for path, value in _differences({"metadata": metadata, **content}, compared):
        owner = next((others[prefix] for prefix in others if path == prefix or path.startswith(f"{prefix}.")), "")
        has_no_owner = report_missing if value is None else not value
        if owner or has_no_owner:
            fields[path] = owner
    if kind in METADATA_ONLY:
        fields |= {path: owner for path, owner in others.items() if path.partition(".")[0] in _CONTENT}
    return fields


def _owned(fields: Document, path: str = "") -> Iterator[str]:
    """The paths of a field set, without the items of lists: spec.template.spec.containers.image."""
    for name, below in fields.items():
        here = f"{path}.{name.removeprefix('f:')}".lstrip(".") if name.startswith("f:") else path
        if name.startswith("f:") and not [key for key in below if key != "."]:
            yield here
        yield from _owned(below, here) if isinstance(below, dict) else ()


def _differences(expected: object, live: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yields the paths whose values differ, with the live value: None without one, unless the expected one is empty.

    The API server leaves empty values out. Encrypted values aren't compared.
    """
    if expected is None or (isinstance(expected, dict) and ENCRYPTED in expected):
        return
    if live is None:
        if expected:
            yield path, None
    elif isinstance(expected, dict) and isinstance(live, dict):
        for name, value in expected.items():
            yield from _differences(value, live.get(name), f"{path}.{name}".lstrip("."))
    elif isinstance(expected, list) and isinstance(live, list):
        named = {item["name"]: item for item in live if isinstance(item, dict) and "name" in item}
        for index, value in enumerate(expected):
            if isinstance(value, dict) and value.get("name") and named:
                yield from _differences(value, named.get(value["name"]), path)
            else:
                yield from _differences(value, live[index] if index < len(live) else None, path)
    elif expected != live and str(expected) != str(live):
        yield path, live
