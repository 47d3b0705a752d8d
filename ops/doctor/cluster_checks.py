"""Differences between the state and the inside of the cluster."""

import json
import shlex
from collections.abc import Iterator

from infra.config.load_balancer import ID_ANNOTATION
from ops.cluster import helm_records
from ops.cluster.default_pool import is_interim
from ops.cluster.objects import Addition, Key
from ops.doctor.findings import REFRESH, UP, UP_REFRESH, Finding, FindingId
from ops.doctor.snapshot import Snapshot
from ops.pulumi import state as states

_RECREATED = ("ConfigMap", "KongPlugin", "Secret")
"""Kinds of objects that the doctor's commands delete, for `up --refresh` to create them again."""
_ROUTES = ("Ingress", "HTTPRoute")


def check_releases(snapshot: Snapshot) -> Iterator[Finding]:
    """Releases about which the state and Helm's records differ: that stops either `up` or `destroy`."""
    if snapshot.cluster is None:
        return
    known, created = snapshot.state.names(states.RELEASE), snapshot.state.of(states.NAMESPACE)
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
        # A release in a namespace that the stack didn't create is somebody else's. So is a Grafana that the stack file
        # switches off.
        is_own = namespace in created and (name != "grafana" or _may_have_grafana(snapshot))
        if name not in known and not is_own:
            continue
        yield from _release(name, records, snapshot.cluster.id, is_known=name in known)


def _may_have_grafana(snapshot: Snapshot) -> bool:
    """True if the stack file enables Grafana, or has no monitoring any more: the release may be left from before."""
    monitoring = snapshot.settings.gateway.monitoring
    return monitoring is None or monitoring.grafana


def _release(name: str, records: list[helm_records.Record], cluster: str, *, is_known: bool) -> Iterator[Finding]:
    """Yields the findings of one release.

    Args:
        name: of the release.
        records: Helm's records of it.
        cluster: the cluster's id.
        is_known: True if the state has the release.
    """
    for record in records:
        forget = f"python -m ops forget-release {cluster} {record.name} --namespace {record.namespace}"
        if record.status == "uninstalling" and is_known:
            yield Finding(
                FindingId.HELM_INTERRUPTED,
                f"Helm's record {record.name} was left by an interrupted destroy: {name} is only partly removed",
                [[forget, REFRESH]],
            )
        # Helm then fails with: cannot re-use a name that is still in use.
        elif record.interrupted or not is_known:
            yield Finding(
                FindingId.HELM_INTERRUPTED,
                f"Helm's record {record.name} ({record.status}) was left by an interrupted up; the next up fails until "
                "it is removed, and then takes over what is installed",
                [[forget, UP]],
            )
    if not records and is_known:
        # Helm then fails with: release: not found.
        yield Finding(
            FindingId.HELM_UNINSTALLED,
            f"{name} is in the state and was uninstalled, by hand or by a destroy that was interrupted",
            [[REFRESH]],
        )


def check_installed(snapshot: Snapshot) -> Iterator[Finding]:
    """Objects of Helm releases that were deleted or changed by hand, which no `up` repairs.

    Helm installs a release again whose record is gone, and takes over the objects that are there: Kong keeps its
    load balancer.
    """
    if snapshot.cluster is None:
        return
    for record, objects in snapshot.cluster.installed.items():
        problems = [f"{key} was deleted" for key in objects.missing]
        problems += [f"{change.key} was changed{change.by}" for change in objects.changed]
        problems += [_addition(addition) for addition in objects.added]
        if problems:
            repairs = [repair for addition in objects.added for repair in _removal(addition, snapshot.state)]
            # Helm removes only what an earlier revision had.
            if len(repairs) < len(problems) or not all(addition.patch for addition in objects.added):
                forget = f"python -m ops forget-release {snapshot.cluster.id} {record.name}"
                repairs += [f"{forget} --namespace {record.namespace}", REFRESH, UP]
            yield Finding(
                FindingId.OBJECT_MISSING if objects.missing else FindingId.OBJECT_CHANGED,
                f"objects of the Helm release {record.release} differ from its chart: {'; '.join(problems)}",
                [repairs],
            )


def check_nodes(snapshot: Snapshot) -> Iterator[Finding]:
    """Nodes that accept no pod. DigitalOcean and `resize-pool` cordon nodes too, while they replace them."""
    view = snapshot.cluster
    cluster = snapshot.inventory.clusters.get(view.id) if view else None
    if view is None or cluster is None or cluster.status.state == "upgrading":
        return
    if any(map(is_interim, cluster.node_pools)):
        return
    for node in view.unavailable:
        if node.problem:
            replace = f"doctl kubernetes cluster node-pool replace-node {view.id} {node.pool} {node.id} --skip-drain"
            yield Finding(
                FindingId.NODE_UNAVAILABLE,
                f"node {node.name} is not ready: {node.problem}; its pods move after minutes, if others have room",
                [[replace]] if node.pool and node.id else [],
            )
        else:
            yield Finding(
                FindingId.NODE_UNAVAILABLE,
                f"node {node.name} is cordoned: no pod starts on it",
                [[f"kubectl uncordon {node.name}"]],
            )


def check_load_balancer(snapshot: Snapshot) -> Iterator[Finding]:
    """The gateway's load balancer, deleted by hand: nothing answers at the address in the outputs."""
    if snapshot.cluster is None or any(
        (key.kind, key.name) == ("Service", "kong-proxy")
        for objects in snapshot.cluster.installed.values()
        for key in objects.missing
    ):
        return  # the load balancer went with its Service object
    for service in snapshot.state.read_of(states.SERVICE).values():
        metadata = (service.get("outputs") or {}).get("metadata") or {}
        stamp = (metadata.get("annotations") or {}).get(ID_ANNOTATION)
        if stamp and stamp not in snapshot.inventory.load_balancers:
            yield Finding(
                FindingId.LOAD_BALANCER_DELETED,
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
            FindingId.OBJECT_MISSING,
            f"deleted in the cluster, and still in the state: {named}",
            [[UP_REFRESH]],
        )
    for change in objects.changed:
        yield Finding(FindingId.OBJECT_CHANGED, f"{change.key} was changed in the cluster{change.by}", [[UP_REFRESH]])


def check_additions(snapshot: Snapshot) -> Iterator[Finding]:
    """Paths, ports, containers, settings of plugins and others that were added by hand: no `up` removes them."""
    for addition in snapshot.cluster.objects.added if snapshot.cluster else ():
        repairs = _removal(addition, snapshot.state)
        yield Finding(
            FindingId.OBJECT_CHANGED, _addition(addition), [repairs if addition.patch else [*repairs, UP_REFRESH]]
        )


def _addition(addition: Addition) -> str:
    if not addition.patch:
        return f"{addition.key} was changed in the cluster{addition.by}"
    return f"{addition.key} was extended in the cluster{addition.by}"


def _removal(addition: Addition, state: states.State) -> list[str]:
    """Returns the commands that remove what was added. Where values are secret, Pulumi creates the object again."""
    key = addition.key
    where = f"{key.kind.lower()} {key.name}{_namespace_option(key)}"
    if addition.patch:
        return [f"kubectl patch {where} --type json --patch {shlex.quote(json.dumps(addition.patch))}"]
    if key.kind not in _RECREATED:
        return []
    before = _deletions_of_routes(key, state) if key.kind == "KongPlugin" else []
    return [*before, f"kubectl delete {where}"]


def _deletions_of_routes(plugin: Key, state: states.State) -> list[str]:
    """Returns the commands that delete the routes with a plugin. Kong serves a route whose plugin doesn't exist."""
    commands = []
    for resource in state.resources:
        inputs = resource.get("inputs") or {}
        if inputs.get("kind") not in _ROUTES or inputs["metadata"].get("namespace") != plugin.namespace:
            continue
        annotations = inputs["metadata"].get("annotations") or {}
        if states.ENCRYPTED in annotations or plugin.name in annotations.get("konghq.com/plugins", "").split(","):
            name = inputs["metadata"]["name"]
            commands.append(f"kubectl delete {inputs['kind'].lower()} {name}{_namespace_option(plugin)}")
    return commands


def check_deletions(snapshot: Snapshot) -> Iterator[Finding]:
    """Objects of the state whose deletion doesn't end: an `up` can't create them again until it does."""
    deleted = snapshot.cluster.objects.stuck_deletions if snapshot.cluster else []
    namespaces = {deletion.key.name for deletion in deleted if deletion.key.kind == "Namespace"}
    for deletion in deleted:
        key = deletion.key
        # `up` fails while the namespace is there.
        wait = (
            [f"kubectl wait namespace {key.namespace} --for delete --timeout 2m"] if key.namespace in namespaces else []
        )
        patch = (
            f"kubectl patch {key.kind.lower()} {key.name}{_namespace_option(key)} --type merge "
            """--patch '{"metadata":{"finalizers":null}}'"""
        )
        held = f" and waits for: {'; '.join(deletion.held)}" if deletion.held else "; wait, and run the doctor again"
        yield Finding(
            FindingId.OBJECT_NOT_DELETED,
            f"{key} is being deleted in the cluster{held}",
            [[patch, *wait, UP_REFRESH]] if deletion.held and deletion.can_be_freed else [],
        )


def check_objects_not_in_state(snapshot: Snapshot) -> Iterator[Finding]:
    """Objects that an interrupted `up` created: the next one takes them over, if the configuration still has them."""
    for key in snapshot.cluster.objects.not_in_state if snapshot.cluster else ():
        yield Finding(
            FindingId.OBJECT_NOT_IN_STATE,
            f"{key} is in the cluster and not in the state: the next up adopts it with its fields, or it is left over",
            [[UP], [f"kubectl delete {key.kind.lower()} {key.name}{_namespace_option(key)}"]],
        )


def check_refusals(snapshot: Snapshot) -> Iterator[Finding]:
    """Observes objects that Kong refused within the last hour, and that nobody changed since.

    What the object names may have been mended since, so it is no finding.
    """
    for refusal in snapshot.cluster.refused if snapshot.cluster else ():
        key = refusal.key
        yield Finding(
            FindingId.KONG_REFUSES,
            f"Kong refused {key} at {refusal.at}, and its routes are closed or unchanged: {refusal.message}",
            [[f"kubectl get {key.kind.lower()} {key.name}{_namespace_option(key)} --output yaml"]],
        )


def _namespace_option(key: Key) -> str:
    return f" --namespace {key.namespace}" if key.namespace else ""


def check_pods(snapshot: Snapshot) -> Iterator[Finding]:
    """Pods that don't become ready. No command of the stack repairs that: the reason is in the app or in its image."""
    for container in snapshot.cluster.failing if snapshot.cluster else ():
        yield Finding(
            FindingId.POD_FAILING,
            f"pod {container.namespace}/{container.pod}, container {container.name}: {container.problem}; "
            "python -m ops status shows its last log line",
        )
