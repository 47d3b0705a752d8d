"""The state of pods, and why one isn't ready, in one line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from ops.cluster.client import Kubernetes
from ops.digitalocean import one_line

Document = dict[str, Any]
_LOG_LINES = "20"
_STARTING = ("ContainerCreating", "PodInitializing")
_ERRORS = (
    re.compile(r"[\w.]*(Error|Exception)\b"),
    re.compile(r".*\b(ERROR|FATAL|CRITICAL|(error|fatal|panic)\b[]\":])"),
)
"""Lines that name an error: of a traceback, or else of a log. Servers such as gunicorn print others after it."""


@dataclass(frozen=True)
class Container:
    """A container of a pod.

    Attributes:
        problem: why it isn't ready; empty if it is.
        restarts: how often it ended.
    """

    namespace: str
    pod: str
    name: str
    image: str
    problem: str
    restarts: int = 0

    @property
    def is_failing(self) -> bool:
        """True if waiting a moment will not make it ready."""
        return bool(self.problem) and self.problem.partition(":")[0] not in (*_STARTING, "not ready yet")


def containers(pod: Document) -> Iterator[Container]:
    """The containers of a pod, init containers included while they run."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    where = (metadata["namespace"], metadata["name"])
    unscheduled = _unscheduled(status)
    statuses = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    if unscheduled or not statuses:
        for container in spec["containers"]:
            problem = unscheduled or ("" if status.get("phase") == "Running" else "not ready yet")
            yield Container(*where, container["name"], container["image"], problem)
        return
    for container in statuses:
        is_init = container in (status.get("initContainerStatuses") or [])
        ended = (container.get("state") or {}).get("terminated") or {}
        if is_init and ended.get("exitCode") == 0:
            continue
        restarts = container.get("restartCount", 0)
        yield Container(*where, container["name"], container["image"], _problem(container), restarts)


def _unscheduled(status: Document) -> str:
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {one_line(condition.get('message', ''))}"
    return ""


def _problem(status: Document) -> str:
    if status.get("ready"):
        return ""
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or last
    reason = waiting.get("reason") or (state.get("terminated") or {}).get("reason") or ""
    if "exitCode" in ended and reason not in _STARTING:
        why = ended.get("reason") or "Error"
        return f"{reason or why}: ended with {ended['exitCode']} ({why})"
    if reason:
        return f"{reason}: {one_line(waiting.get('message') or '')}".rstrip(": ")
    return "not ready yet: its readiness probe fails" if "running" in state else "not ready yet"


def failed_probe(kubernetes: Kubernetes, container: Container) -> str:
    """The kubelet's last message about a probe of a container that failed; empty if there is none."""
    events = kubernetes.items(
        f"/api/v1/namespaces/{container.namespace}/events",
        fieldSelector=f"involvedObject.name={container.pod},reason=Unhealthy",
    )
    place = f"spec.containers{{{container.name}}}"
    messages = [
        (event.get("lastTimestamp") or event.get("eventTime") or "", one_line(event.get("message", "")))
        for event in events
        if event["involvedObject"].get("fieldPath") == place
    ]
    return max(messages, default=("", ""))[1]


def last_log_line(kubernetes: Kubernetes, container: Container) -> str:
    """The last line that names an error, or the last one; also of a container that ended. Empty if there is none."""
    path = f"/api/v1/namespaces/{container.namespace}/pods/{container.pod}/log"
    for previous in ("true", "false") if container.restarts else ("false", "true"):
        try:
            text = kubernetes.text(path, container=container.name, tailLines=_LOG_LINES, previous=previous)
        except httpx.HTTPStatusError:
            continue  # the container, or its previous instance, doesn't exist
        if lines := [line for line in text.splitlines() if line.strip()]:
            named = (line for error in _ERRORS for line in reversed(lines) if error.match(line))
            return one_line(next(named, lines[-1]))
    return ""


def pods(kubernetes: Kubernetes, namespace: str, selector: str = "") -> list[Document]:
    """Returns the pods of a namespace without completed and terminating ones."""
    query = {"labelSelector": selector} if selector else {}
    return [
        item
        for item in kubernetes.items(f"/api/v1/namespaces/{namespace}/pods", **query)
        if not item["metadata"].get("deletionTimestamp") and (item.get("status") or {}).get("phase") != "Succeeded"
    ]
