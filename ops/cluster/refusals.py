"""Objects that Kong or its controller refuses: their routes are closed, and everything else serves on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ops.cluster.client import Kubernetes
from ops.cluster.objects import Key
from ops.digitalocean import one_line

Document = dict[str, Any]
_REASONS = ("KongConfigurationApplyFailed", "KongConfigurationTranslationFailed")
"""Events of the controller: Kong refused the configuration, or the controller couldn't make one."""


@dataclass(frozen=True)
class Refusal:
    """An object that was refused and hasn't changed since; `at` is the time in ISO 8601."""

    key: Key
    at: str
    message: str


def refusals(kubernetes: Kubernetes) -> Iterator[Refusal]:
    """Yields the refused objects of the last hour, for which the API server keeps events."""
    newest: dict[Key, Refusal] = {}
    for reason in _REASONS:
        for event in kubernetes.items("/api/v1/events", fieldSelector=f"reason={reason}"):
            about, at = event["involvedObject"], event.get("lastTimestamp") or ""
            key = Key(about.get("apiVersion", ""), about["kind"], about.get("namespace", ""), about["name"])
            # Of a pod, the event says that Kong didn't answer, as while it starts.
            if key.kind != "Pod" and (key not in newest or at > newest[key].at):
                newest[key] = Refusal(key, at, one_line(event.get("message", "")))
    return (refusal for refusal in newest.values() if _is_unchanged(kubernetes, refusal))


def _is_unchanged(kubernetes: Kubernetes, refusal: Refusal) -> bool:
    api, kind, namespace, name = refusal.key
    root, resources = kubernetes.kinds(api)
    place = f"/namespaces/{namespace}" if namespace else ""
    live = kubernetes.find(f"{root}{place}/{resources[kind]['name']}/{name}") if kind in resources else None
    if live is None:
        return False
    fields = live["metadata"].get("managedFields") or []
    return all(entry.get("time", "") <= refusal.at for entry in fields if entry.get("subresource") != "status")
