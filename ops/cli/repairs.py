"""The commands that repair, and the one that resizes the default pool."""

import time
from collections.abc import Collection
from typing import Annotated

import typer

from ops.account import removal
from ops.account.documents import RUNS, Cluster
from ops.cli.command import (
    POLL_SECONDS,
    ClusterId,
    Json,
    StackName,
    Yes,
    app,
    check_identifier,
    check_seconds,
    opened,
    refuse,
)
from ops.cli.terminal import Progress, warn
from ops.cluster import default_pool, helm_records, load_balancer
from ops.cluster.client import connected
from ops.digitalocean import Api, segment
from ops.errors import PROBLEM, UNCHECKED, OpsError
from ops.pulumi import state as states

_FORGETTABLE = {"cluster": states.CLUSTER, "registry": states.REGISTRY, "vpc": states.VPC}


@app.command()
def remove(  # noqa: PLR0913, PLR0917 -- arguments and options of the command
    kind: Annotated[str, typer.Argument(help=", ".join(removal.KINDS))],
    identifier: Annotated[str, typer.Argument(metavar="ID", callback=check_identifier)],
    stack: StackName = "",
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Also if it isn't provably the stack's.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a resource that the stack has lost; a cluster with its load balancers, volumes and snapshots."""
    _check_kind(kind, removal.KINDS)
    with opened(stack, as_json=as_json) as command:
        inventory = command.inventory()
        target = removal.target(command.api, kind, identifier, inventory, command.state)
        if target.reason and not force:
            message = f"{target.description}: {target.reason}; fix: leave it to its owner, or --force"
            refuse(message, PROBLEM, as_json=as_json)
        if target.path and not yes:
            doubt = f" ({target.reason})" if target.reason else ""
            typer.confirm(f"Delete {target.description}{doubt} for good?", abort=True, err=True)
        removed = removal.remove(command.api, target)
    # The token may be another team's: then it is still there, and billed.
    is_unseen = f"{kind} {identifier}" in inventory.missing and not inventory.is_right_account
    if removed:
        command.done(f"{kind} {identifier}", "being deleted", "python -m ops bill --wait 300")
    else:
        command.done(f"{kind} {identifier}", "gone already" + (", as far as can be seen" if is_unseen else ""))
    if is_unseen:
        warn(f"{kind} {identifier} of the state is not in this account: {inventory.why_missing}", style="")
        raise typer.Exit(UNCHECKED)


@app.command()
def forget(
    kind: Annotated[str, typer.Argument(help="cluster, registry or vpc")],
    identifier: Annotated[str, typer.Argument(metavar="ID", callback=check_identifier)],
    stack: StackName = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make the state forget a cluster, a registry or a VPC that was deleted by hand, after a look at the account."""
    _check_kind(kind, _FORGETTABLE)
    what = f"{kind} {identifier}"
    with opened(stack, as_json=as_json) as command:
        inventory, name = command.inventory(), command.stack.name
        resource = command.state.of(_FORGETTABLE[kind]).get(identifier)
        if resource is None:
            raise OpsError(f"{what} is not in the state; fix: python -m ops doctor --stack {name}")
        if what not in inventory.missing:
            raise OpsError(f"{what} is in the account; fix: pulumi destroy --stack {name}")
        if not yes:
            question = f"The account of {inventory.account} has no {what}. Is it the account of this stack?"
            typer.confirm(question, abort=True, err=True)
        if kind == "cluster":
            arguments = ["state", "delete", resource["urn"], "--target-dependents", "--force", "--yes"]
        else:
            arguments = ["refresh", "--yes", "--skip-preview", "--target", resource["urn"]]
        command.stack.pulumi(*arguments, "--stack", name)
    command.done(what, "no longer in the state")


def _check_kind(kind: str, allowed: Collection[str]) -> None:
    if kind not in allowed:
        raise typer.BadParameter(f"allowed: {', '.join(allowed)}", param_hint="KIND")


@app.command()
def wait(
    cluster: ClusterId,
    stack: StackName = "",
    seconds: Annotated[float, typer.Option(callback=check_seconds, help="How long at most.")] = 1800,
    as_json: Json = False,
) -> None:
    """Wait until a cluster is created: before that it can't be adopted."""
    end = time.monotonic() + seconds
    with opened(stack, as_json=as_json) as command, Progress("reading the cluster") as progress:
        while (state := _state_of(command.api, cluster)) == "provisioning" and time.monotonic() < end:
            progress.report(f"{end - time.monotonic():.0f} s more for cluster {cluster}")
            time.sleep(POLL_SECONDS)
    command.done(f"cluster {cluster}", state)
    raise typer.Exit(0 if state in RUNS else PROBLEM)


def _state_of(api: Api, cluster: str) -> str:
    document = api.find(f"kubernetes/clusters/{segment(cluster)}", "kubernetes_cluster", Cluster)
    return document.status.state if document else "gone"


@app.command()
def add_pool(cluster: ClusterId, stack: StackName = "", as_json: Json = False) -> None:
    """Replace the stack's node pool after it was deleted by hand."""
    with opened(stack, as_json=as_json) as command:
        command.check_own(cluster)
        pool = default_pool.add(command.api, cluster, command.settings)
    command.done(f"node pool {pool}", "being created", "pulumi refresh")


@app.command()
def resize_pool(
    stack: StackName = "",
    seconds: Annotated[float, typer.Option(callback=check_seconds, help="How long each wait may take.")] = 1800,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Also where pods lack room or a controller.")] = False,
    as_json: Json = False,
) -> None:
    """Move the nodes of the default pool to the configured nodeSize: new ones first, then the old ones are drained.

    The cluster stays. After an interruption the same command goes on, or takes it back if nodeSize is the old one.
    """
    with opened(stack, as_json=as_json) as command:
        settings, name = command.settings, command.stack.name
        resources = command.state.of(states.CLUSTER)
        if settings.kube_context:
            raise OpsError(
                f"stack {name} has no node pools: kubeContext names a cluster that it doesn't manage; "
                "fix: resize the pool where that is managed"
            )
        if not resources:
            raise OpsError(f"stack {name} has no cluster yet; fix: pulumi up --stack {name}")
        (cluster, resource), *_ = resources.items()
        progress = Progress("reading the cluster")
        resize = default_pool.Resize(command.api, cluster, settings, seconds, progress.report, force=force)
        if warning := resize.check():
            warn(warning)
        if not yes and (question := resize.question()):
            typer.confirm(question, abort=True, err=True)
        with progress:
            result = resize.run()
            # Pulumi's state gets the new pool.
            command.stack.pulumi("refresh", "--yes", "--skip-preview", "--target", resource["urn"], "--stack", name)
    command.done(f"cluster {cluster}", result, "pulumi up")


@app.command()
def renew_balancer(
    cluster: ClusterId,
    stack: StackName = "",
    seconds: Annotated[float, typer.Option(callback=check_seconds, help="How long to wait for its address.")] = 600,
    as_json: Json = False,
) -> None:
    """Replace Kong's load balancer after it was deleted by hand."""
    with opened(stack, as_json=as_json) as command, Progress("waiting for an address"):
        command.check_own(cluster)
        with connected(command.api, cluster) as kubernetes:
            address = load_balancer.renew(command.api, kubernetes, seconds)
    command.done(f"load balancer {address}", "active", "pulumi up --refresh")


@app.command()
def forget_release(
    cluster: ClusterId,
    record: Annotated[
        str,
        typer.Argument(metavar="RECORD", callback=check_identifier, help="The record's name, as `doctor` prints it."),
    ],
    namespace: Annotated[str, typer.Option(callback=check_identifier, help="The record's namespace.")] = "kong",
    stack: StackName = "",
    as_json: Json = False,
) -> None:
    """Delete Helm's record of an interrupted install or uninstall. What is installed stays."""
    with opened(stack, as_json=as_json) as command:
        command.check_own(cluster)
        with connected(command.api, cluster) as kubernetes:
            helm_records.forget(kubernetes, namespace, record)
    command.done(record, "forgotten", "pulumi up")
