"""python -m ops: commands beside Pulumi.

Exit status: 0 no problem, 1 problems found, 2 usage error, 3 could not check.
"""

import dataclasses
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.config import cost as costs
from ops import preflight as preflights
from ops import status as statuses
from ops import timeline as timelines
from ops.account import estimate as estimates
from ops.account import removal
from ops.account.documents import Cluster
from ops.account.inventory import RUNS, BilledResource, Inventory
from ops.account.inventory import inventory as read_inventory
from ops.account.ownership import Names
from ops.account.ownership import read as read_ownership
from ops.cluster import default_pool, helm_records, load_balancer
from ops.cluster.client import Kubernetes, connected, through_context
from ops.digitalocean import Api, segment
from ops.doctor import examination, snapshot, state_checks
from ops.doctor.findings import Finding
from ops.errors import OpsError
from ops.pulumi import state as states
from ops.pulumi.backend import Backend
from ops.pulumi.cli import Cli
from ops.pulumi.stack import Stack

PROBLEM, UNCHECKED = 1, 3
POLL_SECONDS = 2
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

StackName = Annotated[
    str,
    typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The stack; by default the one that is selected."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClusterId = Annotated[str, typer.Argument(metavar="CLUSTER", help="The cluster's id.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


@contextmanager
def _errors_in_one_line(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except OpsError as error:
        if as_json:
            _print_json({"error": str(error)})
        else:
            errors.print(str(error), style="red", markup=False)
        raise typer.Exit(UNCHECKED) from None


def _open(name: str) -> tuple[Api, Stack]:
    stack = Stack(Path.cwd(), name)
    return stack.account(), stack


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2))


def _plain(items: Sequence[Any]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(item) for item in items]


def _read_account(api: Api, stack: Stack) -> tuple[states.State, Inventory]:
    state = states.read(stack)
    return state, read_inventory(api, Names.of(stack.values), read_ownership(stack, state, api.clock_error))


@app.command()
def preflight(stack: StackName = "", as_json: Json = False) -> None:
    """Check that `pulumi up` can work, before it costs anything: token, scopes, names, quota, room for the pods."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        checks = []
        with errors.status("reading the account") as progress:
            for check in preflights.preflight(api, opened):
                checks.append(check)
                if not as_json:
                    # On a terminal the line would continue the progress, which is on stderr.
                    progress.stop()
                    mark = "[green]ok[/green]  " if check.ok else "[red]FAIL[/red]"
                    console.print(f"{mark} {check.name}: ", end="")
                    console.print(check.said + (f"; fix: {check.fix}" if check.fix else ""), markup=False)
                    progress.start()
    ready = all(check.ok for check in checks)
    if as_json:
        _print_json({"stack": opened.name, "ready": ready, "checks": _plain(checks)})
    else:
        verdict = "pulumi up can run" if ready else "pulumi up would fail"
        console.print(f"stack {opened.name}: {verdict}", markup=False)
    raise typer.Exit(0 if ready else PROBLEM)


@app.command()
def cost(stack: StackName = "", as_json: Json = False) -> None:
    """Estimate the price of the stack as configured."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        items = estimates.estimate(api, opened.settings)
    total = costs.total(items)
    if as_json:
        totals = dataclasses.asdict(total)
        del totals["what"]
        _print_json({"stack": opened.name, "items": _plain(items)} | totals)
        return
    table = Table("what", "USD/month", "USD/hour")
    for item in items:
        table.add_row(escape(item.what), item.a_month, item.an_hour)
    console.print(table)
    price = f"${total.a_month} a month, ${total.an_hour} an hour"
    console.print(f"stack {opened.name}: {price}; traffic and storage beyond tiers not counted", markup=False)


@app.command()
def timeline(
    events: Annotated[
        Path | None,
        typer.Argument(
            metavar="[EVENTS]", exists=True, dir_okay=False, help="What `pulumi up --event-log EVENTS` has written."
        ),
    ] = None,
    stack: StackName = "",
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture.")] = Path("timeline.svg"),
    as_json: Json = False,
) -> None:
    """Draw what an `up` waited for: the critical path and the ten longest steps.

    Without EVENTS it is the last `up`, from the state, where each step starts as soon as it can.
    """
    with _errors_in_one_line(as_json=as_json):
        opened = Stack(Path.cwd(), stack)
        resources = states.read(opened).resources
        if events:
            with events.open() as lines:
                steps = timelines.steps_of_events(lines, resources)
        else:
            steps = timelines.steps_of_state(resources, timelines.last_update(opened))
        path, slowest = timelines.critical_path(steps), timelines.longest(steps)
        picture = timelines.draw(steps, f"{opened.name}: {len(steps)} steps in {path[-1].end:.0f} s")
        try:
            output.write_text(picture)
        except OSError as error:
            raise OpsError(f"{output}: {error.strerror}; fix: --output with a file that can be written") from None
    if as_json:
        report = {"critical_path": path, "longest": slowest}
        documents = {
            name: [dataclasses.asdict(step) | {"needs": sorted(step.needs)} for step in chosen]
            for name, chosen in report.items()
        }
        _print_json({"stack": opened.name} | documents)
        return
    table = Table("from", "to", "takes", "waited before", "critical path")
    for step in path:
        times = (step.start, step.end, step.end - step.start, step.start - step.ready)
        table.add_row(*(f"{seconds:.1f} s" for seconds in times), escape(step.name))
    console.print(table)
    table = Table("takes", "ten longest steps")
    for step in slowest:
        table.add_row(f"{step.end - step.start:.1f} s", escape(step.name))
    console.print(table)
    console.print(f"stack {opened.name}: drawn in {output}", markup=False)


@app.command()
def bill(
    stack: StackName = "",
    expect_zero: Annotated[bool, typer.Option("--expect-zero", help="Exit with 1 if anything is left.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait until nothing is left: deletes take a while.")] = 0,
    as_json: Json = False,
) -> None:
    """Show everything in the account that is the stack's, with its price."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        names, ownership = Names.of(opened.values), read_ownership(opened, states.read(opened), api.clock_error)
        end = time.monotonic() + wait
        with errors.status("reading the account") as status:
            while (inventory := read_inventory(api, names, ownership)).own:
                if time.monotonic() >= end:
                    break
                left = ", ".join(f"{resource.kind} {resource.name}" for resource in inventory.own)
                status.update(escape(f"{end - time.monotonic():.0f} s more for {left}"))
                time.sleep(POLL_SECONDS)
    _show_bill(inventory, opened.name, as_json=as_json)
    if expect_zero and inventory.own:
        raise typer.Exit(PROBLEM)
    raise typer.Exit(UNCHECKED if inventory.blind else 0)


def _show_bill(found: Inventory, stack: str, *, as_json: bool) -> None:
    monthly = round(sum(resource.monthly for resource in found.own), 2)
    hourly = round(sum(resource.hourly for resource in found.own), 5)
    if as_json:
        totals = {"monthly": monthly, "hourly": hourly, "blind": found.blind}
        _print_json({"stack": stack, "things": _plain(found.own), "others": _plain(found.others)} | totals)
        return
    if found.own:
        _print_table(found.own)
        # Below the table, which truncates long lines: users copy these commands.
        for resource in found.own:
            if resource.orphan:
                console.print(f"{resource.remove} --stack {stack}", style="bold", markup=False)
    for resource in found.others:
        if resource.owner == "nobody":
            what = f"{resource.kind} {resource.name} ({resource.id}), ${resource.monthly:.2f} a month"
            console.print(f"not this stack's: {what}: belongs to a cluster that it never had", markup=False)
    billed = f"billed: ${hourly:.5f} an hour, ${monthly:.2f} a month" if found.own else "nothing is billed"
    doubt = ", as far as can be seen" if found.blind else ""
    console.print(f"stack {stack}: {billed}{doubt}", markup=False)
    for reason in found.blind:
        errors.print(reason, style="yellow", markup=False)


def _print_table(resources: list[BilledResource]) -> None:
    table = Table("what", "name", "USD/month", "USD/hour")
    for resource in resources:
        name = f"{resource.name} (its cluster is gone)" if resource.orphan else resource.name
        table.add_row(resource.kind, escape(name), f"{resource.monthly:.2f}", f"{resource.hourly:.5f}")
    console.print(table)


@app.command()
def status(stack: StackName = "", as_json: Json = False) -> None:
    """Show whether each service and Kong are ready; if not, why, the last log line, and what to type next."""
    with _errors_in_one_line(as_json=as_json):
        opened = Stack(Path.cwd(), stack)
        with errors.status("reading the cluster"):
            state = states.read(opened)
            with _cluster_of(opened, state) as kubernetes:
                rows = list(statuses.status(kubernetes, opened.settings, opened.name, state.of(states.DEPLOYMENT)))
    failing = [row for row in rows if row.problem]
    if as_json:
        _print_json({"stack": opened.name, "ready": not failing, "rows": _plain(rows)})
        raise typer.Exit(PROBLEM if failing else 0)
    for row in rows:
        mark = "[red]not ready[/red]" if row.problem else "[green]ready[/green]    "
        console.print(f"{mark} {row.ready} {escape(row.name)}  [dim]{escape(_short_image(row.image))}[/dim]")
        for label, text in (("why", row.problem), ("last log line", row.log), ("next", row.next)):
            if text:
                console.print(f"    {label}: {text}", markup=False)
    verdict = f"{len(failing)} of {len(rows)} not ready" if failing else "all ready"
    console.print(f"stack {opened.name}: {verdict}", markup=False)
    raise typer.Exit(PROBLEM if failing else 0)


def _short_image(image: str) -> str:
    """Returns an image that fits on a line: without the registry's path, with the beginning of its digest."""
    return re.sub(r"(@?sha256:[0-9a-f]{12})[0-9a-f]+$", r"\1", image.rpartition("/")[2] if "@" in image else image)


@contextmanager
def _cluster_of(stack: Stack, state: states.State) -> Iterator[Kubernetes]:
    """Connects to the stack's cluster."""
    if context := stack.settings.kube_context:
        with through_context(context) as kubernetes:
            yield kubernetes
        return
    identifier = next(iter(state.of(states.CLUSTER)), None)
    if identifier is None:
        raise OpsError(f"stack {stack.name} has no cluster yet; fix: pulumi up --stack {stack.name}")
    with connected(stack.account(), identifier) as kubernetes:
        yield kubernetes


@app.command()
def doctor(stack: StackName = "", as_json: Json = False) -> None:
    """Compare state, account and cluster: what is lost, left, changed or locked, and the command that repairs it."""
    with _errors_in_one_line(as_json=as_json):
        findings, notes, unread, name, is_complete = _examine(stack)
    status = PROBLEM if findings else 0 if is_complete else UNCHECKED
    if as_json:
        documents = [finding.document(name) for finding in findings]
        others = [note.document(name) for note in notes]
        _print_json({"stack": name, "findings": documents, "notes": others, "not_read": unread})
        raise typer.Exit(status)
    for finding in findings:
        console.print(f"{finding.problem} [{finding.id}]", style="yellow", markup=False)
        for number, commands in enumerate(finding.commands(name)):
            console.print("  or:" if number else "  fix:")
            for command in commands:
                console.print(f"    {command}", style="bold", markup=False)
    for note in notes:
        console.print(f"{note.problem} [{note.id}]", markup=False)
    for part in unread:
        console.print(f"not read: {part}", markup=False)
    if findings:
        count = f"{len(findings)} finding{'s' * (len(findings) > 1)}"
        verdict = f"{count}; then: pulumi up, or repeat pulumi destroy"
    else:
        verdict = "state and account agree"
    doubt = "" if is_complete else "; the cluster couldn't be read"
    console.print(f"stack {name}: {verdict}{doubt}", markup=False)
    raise typer.Exit(status)


class _Examined(NamedTuple):
    findings: list[Finding]
    notes: list[Finding]
    not_read: list[str]
    stack: str
    is_complete: bool = True
    """False if a part that the doctor reads for every stack of this kind couldn't be read."""


def _examine(name: str) -> _Examined:
    with errors.status("reading state, account and cluster"):
        # Until this is repaired, Pulumi can't even name the selected stack.
        backend = Backend(Cli(Path.cwd()))
        if broken := state_checks.check_attributes(backend.broken_attributes()):
            return _Examined(broken, [], [], name or "selected")
        stack = Stack(Path.cwd(), name)
        locks = backend.locks(stack)
        if running := state_checks.check_running(locks):
            return _Examined(running, [], [], stack.name)
        current = snapshot.read(stack.account(), stack, locks)
        # The doctor never looks into a cluster that the stack uses through a context.
        is_complete = bool(current.settings.kube_context) or not current.not_read
        return _Examined(
            examination.examine(current), examination.notes(current), current.not_read, stack.name, is_complete
        )


@app.command()
def remove(  # noqa: PLR0913, PLR0917 -- arguments and options of the command
    kind: Annotated[str, typer.Argument(help=", ".join(removal.KINDS))],
    identifier: Annotated[str, typer.Argument(metavar="ID")],
    stack: StackName = "",
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Also if it isn't provably the stack's.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a resource that the stack has lost; a cluster with its load balancers, volumes and snapshots."""
    if kind not in removal.KINDS:
        raise typer.BadParameter(f"allowed: {', '.join(removal.KINDS)}", param_hint="KIND")
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        state, inventory = _read_account(api, opened)
        target = removal.target(api, kind, identifier, inventory, state)
        if target.reason and not force:
            message = f"{target.description}: {target.reason}; fix: leave it to its owner, or --force"
            if as_json:
                _print_json({"error": message})
            else:
                errors.print(message, style="red", markup=False)
            raise typer.Exit(PROBLEM)
        if target.path and not yes:
            doubt = f" ({target.reason})" if target.reason else ""
            typer.confirm(f"Delete {target.description}{doubt} for good?", abort=True, err=True)
        removed = removal.remove(api, target)
    # The token may be another team's: then it is still there, and billed.
    unseen = f"{kind} {identifier}" in inventory.missing and not inventory.is_right_account
    gone = "gone already, as far as can be seen" if unseen else "gone already"
    result = f"being deleted (python -m ops bill --wait 300 --stack {opened.name})" if removed else gone
    _done(f"{kind} {identifier}", result, opened, as_json=as_json)
    if unseen:
        errors.print(f"{kind} {identifier} of the state is not in this account: {inventory.why_missing}", markup=False)
        raise typer.Exit(UNCHECKED)


@app.command()
def forget(
    kind: Annotated[str, typer.Argument(help="cluster or registry")],
    identifier: Annotated[str, typer.Argument(metavar="ID")],
    stack: StackName = "",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make the state forget a cluster or a registry that was deleted by hand, after a look at the account."""
    types = {"cluster": states.CLUSTER, "registry": states.REGISTRY}
    if kind not in types:
        raise typer.BadParameter(f"allowed: {', '.join(types)}", param_hint="KIND")
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        state, inventory = _read_account(api, opened)
        resource = state.of(types[kind]).get(identifier)
        if resource is None:
            raise OpsError(f"{kind} {identifier} is not in the state; fix: python -m ops doctor --stack {opened.name}")
        if f"{kind} {identifier}" not in inventory.missing:
            raise OpsError(f"{kind} {identifier} is in the account; fix: pulumi destroy --stack {opened.name}")
        if not yes:
            question = (
                f"The account of {inventory.account} has no {kind} {identifier}. Is it the account of this stack?"
            )
            typer.confirm(question, abort=True, err=True)
        if kind == "cluster":
            command = ["state", "delete", resource["urn"], "--target-dependents", "--force", "--yes"]
        else:
            command = ["refresh", "--yes", "--skip-preview", "--target", resource["urn"]]
        opened.pulumi(*command, "--stack", opened.name)
    _done(f"{kind} {identifier}", "no longer in the state", opened, as_json=as_json)


def _done(what: str, result: str, stack: Stack, *, as_json: bool) -> None:
    if as_json:
        _print_json({"stack": stack.name, "what": what, "said": result})
    else:
        console.print(f"stack {stack.name}: {what}: {result}", markup=False)


@app.command()
def wait(
    cluster: ClusterId,
    stack: StackName = "",
    seconds: Annotated[float, typer.Option(help="How long at most.")] = 1800,
    as_json: Json = False,
) -> None:
    """Wait until a cluster is created: before that it can't be adopted."""
    end = time.monotonic() + seconds
    with _errors_in_one_line(as_json=as_json), errors.status("reading the cluster") as status:
        api, opened = _open(stack)
        while (state := _state_of(api, cluster)) == "provisioning" and time.monotonic() < end:
            status.update(escape(f"{end - time.monotonic():.0f} s more for cluster {cluster}"))
            time.sleep(POLL_SECONDS)
    _done(f"cluster {cluster}", state, opened, as_json=as_json)
    raise typer.Exit(0 if state in RUNS else PROBLEM)


def _state_of(api: Api, cluster: str) -> str:
    document = api.find(f"kubernetes/clusters/{segment(cluster)}", "kubernetes_cluster", Cluster)
    return document.status.state if document else "gone"


def _check_own(stack: Stack, cluster: str) -> None:
    """Refuses to change a cluster that the state doesn't have.

    Raises:
        OpsError: the cluster is somebody else's, or lost.
    """
    if cluster not in states.read(stack).of(states.CLUSTER):
        raise OpsError(
            f"cluster {cluster} is not in the state of stack {stack.name}; "
            f"fix: python -m ops doctor --stack {stack.name}"
        )


@app.command()
def add_pool(cluster: ClusterId, stack: StackName = "", as_json: Json = False) -> None:
    """Replace the stack's node pool after it was deleted by hand."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        _check_own(opened, cluster)
        pool = default_pool.add(api, cluster, opened.settings)
    result = f"being created (pulumi refresh --stack {opened.name})"
    _done(f"node pool {pool}", result, opened, as_json=as_json)


@app.command()
def resize_pool(
    stack: StackName = "",
    seconds: Annotated[float, typer.Option(help="How long each wait may take.")] = 1800,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Also where pods lack room or a controller.")] = False,
    as_json: Json = False,
) -> None:
    """Move the nodes of the default pool to the configured nodeSize: new ones first, then the old ones are drained.

    The cluster stays. After an interruption the same command goes on, or takes it back if nodeSize is the old one.
    """
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        settings, resources = opened.settings, states.read(opened).of(states.CLUSTER)
        if settings.kube_context:
            raise OpsError(
                f"stack {opened.name} has no node pools: kubeContext names a cluster that it doesn't manage; "
                "fix: resize the pool where that is managed"
            )
        if not resources:
            raise OpsError(f"stack {opened.name} has no cluster yet; fix: pulumi up --stack {opened.name}")
        (cluster, resource), *_ = resources.items()
        status = errors.status("reading the cluster")

        def report(what: str) -> None:
            status.update(escape(what))

        resize = default_pool.Resize(api, cluster, settings, seconds, report, force=force)
        if warning := resize.check():
            errors.print(warning, style="yellow", markup=False)
        if not yes and (question := resize.question()):
            typer.confirm(question, abort=True, err=True)
        with status:
            result = resize.run()
            # Pulumi's state gets the new pool.
            opened.pulumi("refresh", "--yes", "--skip-preview", "--target", resource["urn"], "--stack", opened.name)
    _done(f"cluster {cluster}", f"{result} (pulumi up --stack {opened.name})", opened, as_json=as_json)


@app.command()
def renew_balancer(
    cluster: ClusterId,
    stack: StackName = "",
    seconds: Annotated[float, typer.Option(help="How long to wait for its address.")] = 600,
    as_json: Json = False,
) -> None:
    """Replace Kong's load balancer after it was deleted by hand."""
    with _errors_in_one_line(as_json=as_json), errors.status("waiting for an address"):
        api, opened = _open(stack)
        _check_own(opened, cluster)
        with connected(api, cluster) as kubernetes:
            address = load_balancer.renew(api, kubernetes, seconds)
    result = f"active (pulumi up --refresh --stack {opened.name})"
    _done(f"load balancer {address}", result, opened, as_json=as_json)


@app.command()
def forget_release(
    cluster: ClusterId,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="The record's name, as `doctor` prints it.")],
    namespace: Annotated[str, typer.Option(help="The record's namespace.")] = "kong",
    stack: StackName = "",
    as_json: Json = False,
) -> None:
    """Delete Helm's record of an interrupted install or uninstall. What is installed stays."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        _check_own(opened, cluster)
        with connected(api, cluster) as kubernetes:
            helm_records.forget(kubernetes, namespace, record)
    _done(record, f"forgotten (pulumi up --stack {opened.name})", opened, as_json=as_json)
