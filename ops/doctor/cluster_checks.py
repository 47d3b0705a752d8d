"""Differences between the state and the inside of the cluster."""

from collections.abc import Iterator

from ops.cluster import helm_records
from ops.cluster.load_balancer import STAMP
from ops.doctor.account_checks import REFRESH, UP, UP_REFRESH
from ops.doctor.findings import Finding, Problem
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states


def check_releases(snapshot: Snapshot) -> Iterator[Finding]:
    """Releases about which the state and Helm's records differ: that stops either `up` or `destroy`."""
    if snapshot.cluster is None:
        return
    known, made = snapshot.state.names(states.RELEASE), snapshot.state.of(states.NAMESPACE)
    for name, namespace in helm_records.NAMESPACES.items():
        records = [
            record for record in snapshot.cluster.releases if (record.namespace, record.release) == (namespace, name)
        ]
        # The stack creates no namespace for this one, so a complete release may be DigitalOcean's 1-Click App.
        if name == "metrics-server" and name not in known and snapshot.settings.installs_metrics_server:
            yield from _release(
                name, [record for record in records if record.interrupted], snapshot.cluster.id, is_known=False
            )
            continue
        # A release in a namespace that the stack didn't create is somebody else's, and so is an unwanted Grafana.
        if name not in known and (namespace not in made or (name == "grafana" and not _wants_grafana(snapshot))):
            continue
        yield from _release(name, records, snapshot.cluster.id, is_known=name in known)


def _wants_grafana(snapshot: Snapshot) -> bool:
    monitoring = snapshot.settings.gateway.monitoring
    return monitoring is None or monitoring.grafana


def _release(name: str, records: list[helm_records.Record], cluster: str, *, is_known: bool) -> Iterator[Finding]:
    """One release; `is_known`: the state has it."""
    for record in records:
        forget = f"python -m ops forget-release {cluster} {record.name} --namespace {record.namespace}"
        if record.status == "uninstalling" and is_known:
            yield Finding(
                Problem.HELM_INTERRUPTED,
                f"Helm's record {record.name} was left by an interrupted destroy: {name} is only partly removed",
                [[forget, REFRESH]],
            )
        # Helm then fails with: cannot re-use a name that is still in use.
        elif record.interrupted or not is_known:
            yield Finding(
                Problem.HELM_INTERRUPTED,
                f"Helm's record {record.name} ({record.status}) was left by an interrupted up; the next up fails until "
                "it is removed, and then takes over what is installed",
                [[forget, UP]],
            )
    if not records and is_known:
        # Helm then fails with: release: not found.
        yield Finding(
            Problem.HELM_UNINSTALLED,
            f"{name} is in the state and was uninstalled, by hand or by a destroy that was interrupted",
            [[REFRESH]],
        )


def check_load_balancer(snapshot: Snapshot) -> Iterator[Finding]:
    """The gateway's load balancer, deleted by hand: nothing answers at the address in the outputs."""
    if snapshot.cluster is None:
        return
    for service in snapshot.state.read_of(states.SERVICE).values():
        metadata = (service.get("outputs") or {}).get("metadata") or {}
        stamp = (metadata.get("annotations") or {}).get(STAMP)
        if stamp and stamp not in snapshot.inventory.load_balancers:
            yield Finding(
                Problem.LOAD_BALANCER_DELETED,
                f"load balancer {stamp}, the one behind proxy_ip, was deleted by hand",
                [[f"python -m ops renew-balancer {snapshot.cluster.id}", UP_REFRESH]],
            )


def check_objects(snapshot: Snapshot) -> Iterator[Finding]:
    """Kubernetes objects of the state that were deleted or changed in the cluster, which a plain `up` doesn't see."""
    if snapshot.cluster is None:
        return
    objects = snapshot.cluster.objects
    if objects.missing:
        named = ", ".join(map(str, objects.missing))
        yield Finding(
            Problem.OBJECT_MISSING,
            f"deleted in the cluster, and still in the state: {named}",
            [[UP_REFRESH]],
        )
    for change in objects.changed:
        by = f" by {', '.join(change.managers)}" if change.managers else ""
        yield Finding(
            Problem.OBJECT_CHANGED,
            f"{change.key} was changed in the cluster{by}: {', '.join(change.fields)}",
            [[UP_REFRESH]],
        )


def check_objects_not_in_state(snapshot: Snapshot) -> Iterator[Finding]:
    """Objects that an interrupted `up` created: the next one takes them over, if the configuration still has them."""
    for key in snapshot.cluster.objects.not_in_state if snapshot.cluster else ():
        namespace = f" --namespace {key.namespace}" if key.namespace else ""
        yield Finding(
            Problem.OBJECT_NOT_IN_STATE,
            f"{key} is in the cluster and not in the state: the next up adopts it, or it is left over",
            [[UP], [f"kubectl delete {key.kind.lower()} {key.name}{namespace}"]],
        )


def check_pods(snapshot: Snapshot) -> Iterator[Finding]:
    """Pods that don't become ready. No command of the stack repairs that: the reason is in the app or in its image."""
    for container in snapshot.cluster.failing if snapshot.cluster else ():
        yield Finding(
            Problem.POD_FAILING,
            f"pod {container.namespace}/{container.pod}, container {container.name}: {container.problem}; "
            "python -m ops status shows its last log line",
        )
