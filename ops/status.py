"""Shows for each service, for Kong and for its controller whether it is ready, or why not and what to do next."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.config import namespaces
from infra.config.settings import Settings
from ops.cluster.client import Kubernetes
from ops.cluster.pods import Container, containers, last_log_line, pods

Document = dict[str, Any]
_NAMES = {("kong", "proxy"): "Kong", ("kong", "ingress-controller"): "Kong's controller"}
"""Names of the containers of a Deployment in Kong's namespace."""


@dataclass(frozen=True)
class Row:
    """One service, or one container of the gateway.

    Attributes:
        name: the service's, with its path if it is the one that clients reach; else the component's.
        ready: pods that are ready, of those wanted: 1/2.
        problem: why it isn't ready; empty if it is.
        log: the last line that the container printed; empty if it is ready.
        next: the command to type next; empty if it is ready.
    """

    name: str
    ready: str
    image: str
    problem: str = ""
    log: str = ""
    next: str = ""


def status(kubernetes: Kubernetes, settings: Settings, stack: str) -> Iterator[Row]:
    """Yields a row for each version of each service, and one for each container of the gateway and its companions."""
    for workload in settings.workloads:
        for name in workload.versions:
            yield from _rows(kubernetes, settings.namespace, f"{name}-deployment", stack, {"api": f"service {name}"})
    for namespace in namespaces.RESERVED:
        names = [
            item["metadata"]["name"] for item in kubernetes.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
        ]
        # Kong's own is expected, the others are there if the configuration has them.
        for name in sorted({*names, *(["kong"] if namespace == namespaces.GATEWAY else [])}):
            labels = {container: label for (deployment, container), label in _NAMES.items() if deployment == name}
            yield from _rows(kubernetes, namespace, name, stack, labels or {"": name})


def _rows(kubernetes: Kubernetes, namespace: str, deployment: str, stack: str, labels: dict[str, str]) -> Iterator[Row]:
    """A row for each container that has a label; a label for "" is for all of them."""
    document = kubernetes.find(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
    if document is None:
        missing = f"Deployment {namespace}/{deployment} is missing"
        for label in labels.values():
            yield Row(label, "0/0", "", missing, next=f"pulumi up --refresh --stack {stack}")
        return
    wanted = document["spec"].get("replicas", 1)
    ready = f"{(document.get('status') or {}).get('readyReplicas', 0)}/{wanted}"
    selector = ",".join(f"{name}={value}" for name, value in document["spec"]["selector"]["matchLabels"].items())
    running = [container for pod in pods(kubernetes, namespace, selector) for container in containers(pod)]
    images = {container["name"]: container["image"] for container in document["spec"]["template"]["spec"]["containers"]}
    for name, label in labels.items():
        mine = [container for container in running if name in ("", container.name)]
        failing = next((container for container in mine if container.problem), None)
        image = failing.image if failing else images.get(name, ", ".join(images.values()))
        if failing:
            log = last_log_line(kubernetes, failing)
            yield Row(label, ready, image, failing.problem, log, _next(failing, stack))
        elif wanted and not mine:
            events = f"kubectl get events --namespace {namespace}"
            yield Row(label, ready, image, "no pods were created", next=events)
        else:
            yield Row(label, ready, image)


def _next(container: Container, stack: str) -> str:
    reason = container.problem.partition(":")[0]
    where = f"{container.pod} --namespace {container.namespace}"
    if reason == "Unschedulable":
        return f"python -m ops preflight --stack {stack}"
    if "Image" in reason:
        return f"kubectl describe pod {where}"
    previous = " --previous" if container.restarts else ""
    return f"kubectl logs {where} --container {container.name}{previous}"
