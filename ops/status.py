"""Shows for each service, for Kong and for its controller whether it is ready, or why not and what to do next."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from infra.config import namespaces
from infra.config.settings import Settings
from ops.cluster.client import Kubernetes
from ops.cluster.pods import Container, containers, failed_probe, last_log_line, pods
from ops.digitalocean import one_line

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


def status(kubernetes: Kubernetes, settings: Settings, stack: str, created: Collection[str]) -> Iterator[Row]:
    """Yields a row for each version of each service, and one for each container of the gateway and its companions.

    Args:
        kubernetes: the cluster.
        settings: the stack's.
        stack: its name.
        created: ids of the Deployments in the state, NAMESPACE/NAME.
    """
    for workload in settings.workloads:
        for name in workload.versions:
            deployment = f"{name}-deployment"
            # What is in the state was deleted by hand; else its last `up` failed before it.
            refresh = " --refresh" if f"{settings.namespace}/{deployment}" in created else ""
            create = f"pulumi up{refresh} --stack {stack}"
            yield from _rows(kubernetes, settings.namespace, deployment, stack, {"api": f"service {name}"}, create)
    for namespace in namespaces.RESERVED:
        names = [
            item["metadata"]["name"] for item in kubernetes.items(f"/apis/apps/v1/namespaces/{namespace}/deployments")
        ]
        # Kong's own is expected, the others are there if the configuration has them.
        for name in sorted({*names, *(["kong"] if namespace == namespaces.GATEWAY else [])}):
            labels = {container: label for (deployment, container), label in _NAMES.items() if deployment == name}
            yield from _rows(kubernetes, namespace, name, stack, labels or {"": name})


def _rows(  # noqa: PLR0913, PLR0917 -- the Deployment, and how it is shown
    kubernetes: Kubernetes,
    namespace: str,
    deployment: str,
    stack: str,
    labels: dict[str, str],
    create: str = "",
) -> Iterator[Row]:
    """Yields a row for each container that has a label; a label for "" is for all of them.

    `create` is the command that creates the Deployment; by default, `doctor` shows it.
    """
    doctor = f"python -m ops doctor --stack {stack}"
    document = kubernetes.find(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
    if document is None:
        missing = f"Deployment {namespace}/{deployment} is missing"
        for label in labels.values():
            yield Row(label, "0/0", "", missing, next=create or doctor)
        return
    replicas = document["spec"].get("replicas", 1)
    ready = f"{(document.get('status') or {}).get('readyReplicas', 0)}/{replicas}"
    selector = ",".join(f"{name}={value}" for name, value in document["spec"]["selector"]["matchLabels"].items())
    running = [container for pod in pods(kubernetes, namespace, selector) for container in containers(pod)]
    images = {container["name"]: container["image"] for container in document["spec"]["template"]["spec"]["containers"]}
    for name, label in labels.items():
        mine = [container for container in running if name in ("", container.name)]
        failing = next((container for container in mine if container.problem), None)
        image = failing.image if failing else images.get(name, ", ".join(images.values()))
        if not replicas:
            yield Row(label, ready, image, "scaled to 0 pods by hand", next=doctor)
        elif failing:
            log, probe = last_log_line(kubernetes, failing), failed_probe(kubernetes, failing)
            problem = f"{failing.problem}; {probe}" if probe else failing.problem
            yield Row(label, ready, image, problem, log, _next(failing, stack))
        elif not mine:
            events = f"kubectl get events --namespace {namespace}"
            reason = _replica_failure(document)
            yield Row(label, ready, image, f"no pods were created{reason and f': {reason}'}", next=events)
        else:
            yield Row(label, ready, image)


def _replica_failure(deployment: Document) -> str:
    """Why the API server refuses the pods of a Deployment, such as for a quota; empty if it doesn't."""
    for condition in (deployment.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return one_line(condition.get("message", ""))
    return ""


def _next(container: Container, stack: str) -> str:
    reason = container.problem.partition(":")[0]
    where = f"{container.pod} --namespace {container.namespace}"
    if reason == "Unschedulable":
        # No node has room, which preflight computes, or accepts pods, which doctor sees.
        has_room = "Insufficient" not in container.problem
        return f"python -m ops {'doctor' if has_room else 'preflight'} --stack {stack}"
    if "Image" in reason:
        return f"kubectl describe pod {where}"
    previous = " --previous" if container.restarts else ""
    return f"kubectl logs {where} --container {container.name}{previous}"
