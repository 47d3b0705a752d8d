"""The commands that only read."""

import dataclasses
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from infra.config import cost as costs
from ops import status as statuses
from ops import timeline as timelines
from ops.account import estimate as estimates
from ops.account.billed import Owner
from ops.account.documents import Cluster
from ops.account.inventory import Inventory
from ops.cli.command import (
    POLL_SECONDS,
    Command,
    Json,
    StackName,
    app,
    check_seconds,
    errors_in_one_line,
    opened,
    plain,
)
from ops.cli.terminal import Progress, show, show_json, show_table, warn
from ops.cluster.client import Kubernetes, connected, through_context
from ops.digitalocean import segment
from ops.doctor import examination, snapshot, state_checks
from ops.doctor.findings import Finding
from ops.errors import PROBLEM, UNCHECKED, OpsError
from ops.preflight import run as preflights
from ops.pulumi import state as states
from ops.pulumi.backend import Backend
from ops.pulumi.cli import Cli, project_folder
from ops.pulumi.stack import Stack


@app.command()
def preflight(stack: StackName = "", as_json: Json = False) -> None:
    """Check that `pulumi up` can work, before it costs anything: token, scopes, names, quota, room for the pods."""
    checks = []
    with opened(stack, as_json=as_json) as command, Progress("reading the account") as progress:
        for check in preflights.preflight(command.api, command.stack):
            checks.append(check)
            if not as_json:
                # On a terminal the line would continue the progress, which is on stderr.
                progress.stop()
                mark = ("ok  ", "green") if check.ok else ("FAIL", "red")
                show(mark, f" {check.name}: {check.said}" + (f"; fix: {check.fix}" if check.fix else ""))
                progress.start()
    ready = all(check.ok for check in checks)
    if as_json:
        command.show_json(ready=ready, checks=plain(checks))
    else:
        command.show_verdict("pulumi up can run" if ready else "pulumi up would fail")
    raise typer.Exit(0 if ready else PROBLEM)


@app.command()
def cost(stack: StackName = "", as_json: Json = False) -> None:
    """Estimate the price of the stack as configured."""
    with opened(stack, as_json=as_json) as command:
        items = estimates.estimate(command.api, command.settings)
    total = costs.total(items)
    if as_json:
        totals = dataclasses.asdict(total)
        del totals["what"]
        command.show_json(items=plain(items), **totals)
        return
    show_table(("what", "USD/month", "USD/hour"), [(item.what, item.a_month, item.an_hour) for item in items])
    price = f"${total.a_month} a month, ${total.an_hour} an hour"
    command.show_verdict(f"{price}; traffic and storage beyond tiers not counted")


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
    with opened(stack, as_json=as_json, needs_token=False) as command:
        resources = command.state.resources
        if events:
            with events.open(encoding="utf-8") as lines:
                steps = timelines.steps_of_events(lines, resources)
        else:
            steps = timelines.steps_of_state(resources, timelines.last_update(command.stack))
        path, slowest = timelines.critical_path(steps), timelines.longest(steps)
        picture = timelines.draw(steps, f"{command.stack.name}: {len(steps)} steps in {path[-1].end:.0f} s")
        try:
            output.write_text(picture, "utf-8")
        except OSError as error:
            raise OpsError(f"{output}: {error.strerror}; fix: --output with a file that can be written") from None
    if as_json:
        documents = [
            [dataclasses.asdict(step) | {"needs": sorted(step.needs)} for step in chosen] for chosen in (path, slowest)
        ]
        command.show_json(critical_path=documents[0], longest=documents[1])
        return
    show_table(
        ("from", "to", "takes", "waited before", "critical path"),
        [
            (*map(_seconds, (step.start, step.end, step.end - step.start, step.start - step.ready)), step.name)
            for step in path
        ],
    )
    show_table(("takes", "ten longest steps"), [(_seconds(step.end - step.start), step.name) for step in slowest])
    command.show_verdict(f"drawn in {output}")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s"


@app.command()
def bill(
    stack: StackName = "",
    expect_zero: Annotated[bool, typer.Option("--expect-zero", help="Exit with 1 if anything is left.")] = False,
    wait: Annotated[
        float,
        typer.Option(callback=check_seconds, help="Seconds to wait until nothing is left: deletes take a while."),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Show everything in the account that is the stack's, with its price."""
    with opened(stack, as_json=as_json) as command:
        end = time.monotonic() + wait
        with Progress("reading the account") as progress:
            while (inventory := command.inventory()).own:
                if time.monotonic() >= end:
                    break
                left = ", ".join(f"{resource.kind} {resource.name}" for resource in inventory.own)
                progress.report(f"{end - time.monotonic():.0f} s more for {left}")
                time.sleep(POLL_SECONDS)
    _show_bill(command, inventory)
    if expect_zero and inventory.own:
        raise typer.Exit(PROBLEM)
    raise typer.Exit(UNCHECKED if inventory.blind else 0)


def _show_bill(command: Command, inventory: Inventory) -> None:
    own, others, blind = inventory.own, inventory.others, inventory.blind
    monthly = round(sum(resource.monthly for resource in own), 2)
    hourly = round(sum(resource.hourly for resource in own), 5)
    if command.as_json:
        command.show_json(things=plain(own), others=plain(others), monthly=monthly, hourly=hourly, blind=blind)
        return
    if own:
        rows = [
            (
                resource.kind,
                f"{resource.name} (its cluster is gone)" if resource.orphan else resource.name,
                f"{resource.monthly:.2f}",
                f"{resource.hourly:.5f}",
            )
            for resource in own
        ]
        show_table(("what", "name", "USD/month", "USD/hour"), rows)
        # Below the table, which truncates long lines: users copy these commands.
        for resource in own:
            if resource.orphan:
                show(f"{resource.remove} --stack {command.stack.name}", style="bold")
    for resource in others:
        if resource.owner == Owner.NOBODY:
            what = f"{resource.kind} {resource.name} ({resource.id}), ${resource.monthly:.2f} a month"
            show(f"not this stack's: {what}: belongs to a cluster that it never had")
    billed = f"billed: ${hourly:.5f} an hour, ${monthly:.2f} a month" if own else "nothing is billed"
    command.show_verdict(billed + (", as far as can be seen" if blind else ""))
    for reason in blind:
        warn(reason)


@app.command()
def status(stack: StackName = "", as_json: Json = False) -> None:
    """Show whether each service and Kong are ready; if not, why, the last log line, and what to type next."""
    with (
        opened(stack, as_json=as_json, needs_token=False) as command,
        Progress("reading the cluster"),
        _cluster_of(command) as kubernetes,
    ):
        created = command.state.of(states.DEPLOYMENT)
        rows = list(statuses.status(kubernetes, command.settings, command.stack.name, created))
    failing = [row for row in rows if row.problem]
    if as_json:
        command.show_json(ready=not failing, rows=plain(rows))
        raise typer.Exit(PROBLEM if failing else 0)
    for row in rows:
        mark = ("not ready", "red") if row.problem else ("ready    ", "green")
        show(mark, f" {row.ready} {row.name}  ", (_short_image(row.image), "dim"))
        for label, text in (("why", row.problem), ("last log line", row.log), ("next", row.next)):
            if text:
                show(f"    {label}: {text}")
    command.show_verdict(f"{len(failing)} of {len(rows)} not ready" if failing else "all ready")
    raise typer.Exit(PROBLEM if failing else 0)


def _short_image(image: str) -> str:
    """Returns an image that fits on a line: without the registry's path, with the beginning of its digest."""
    return re.sub(r"(@?sha256:[0-9a-f]{12})[0-9a-f]+$", r"\1", image.rpartition("/")[2] if "@" in image else image)


@contextmanager
def _cluster_of(command: Command) -> Iterator[Kubernetes]:
    """Connects to the stack's cluster."""
    if context := command.settings.kube_context:
        with through_context(context) as kubernetes:
            yield kubernetes
        return
    identifier = next(iter(command.state.of(states.CLUSTER)), None)
    if identifier is None:
        raise OpsError(f"stack {command.stack.name} has no cluster yet; fix: pulumi up --stack {command.stack.name}")
    cluster = command.api.find(f"kubernetes/clusters/{segment(identifier)}", "kubernetes_cluster", Cluster)
    if cluster is None or not cluster.runs:
        problem = f"is {cluster.status.state}" if cluster else "of the state is not in the account"
        raise OpsError(f"cluster {identifier} {problem}; fix: python -m ops doctor --stack {command.stack.name}")
    with connected(command.api, identifier) as kubernetes:
        yield kubernetes


@app.command()
def doctor(stack: StackName = "", as_json: Json = False) -> None:
    """Compare state, account and cluster: what is lost, left, changed or locked, and the command that repairs it."""
    with errors_in_one_line(as_json=as_json):
        findings, notes, unread, name, is_complete = _examine(stack)
    status = PROBLEM if findings else 0 if is_complete else UNCHECKED
    if as_json:
        documents = [finding.document(name) for finding in findings]
        others = [note.document(name) for note in notes]
        show_json({"stack": name, "findings": documents, "notes": others, "not_read": unread})
        raise typer.Exit(status)
    for finding in findings:
        show(f"{finding.problem} [{finding.id}]", style="yellow")
        for number, commands in enumerate(finding.commands(name)):
            show("  or:" if number else "  fix:")
            for command in commands:
                show(f"    {command}", style="bold")
    for note in notes:
        show(f"{note.problem} [{note.id}]")
    for part in unread:
        show(f"not read: {part}")
    if findings:
        count = f"{len(findings)} finding{'s' * (len(findings) > 1)}"
        verdict = f"{count}; then: pulumi up, or repeat pulumi destroy"
    else:
        verdict = "state and account agree"
    doubt = "" if is_complete else "; the cluster couldn't be read"
    show(f"stack {name}: {verdict}{doubt}")
    raise typer.Exit(status)


class _Examined(NamedTuple):
    findings: list[Finding]
    notes: list[Finding]
    not_read: list[str]
    stack: str
    is_complete: bool = True
    """False if a part that the doctor reads for every stack of this kind couldn't be read."""


def _examine(name: str) -> _Examined:
    with Progress("reading state, account and cluster"):
        # Until this is repaired, Pulumi can't even name the selected stack.
        backend = Backend(Cli(project_folder()))
        if broken := state_checks.check_attributes(backend.broken_attributes()):
            return _Examined(broken, [], [], name or "selected")
        stack = Stack(project_folder(), name)
        locks = backend.locks(stack)
        if running := state_checks.check_running(locks):
            return _Examined(running, [], [], stack.name)
        current = snapshot.read(stack.account(), stack, locks)
        # The doctor never looks into a cluster that the stack uses through a context.
        is_complete = bool(current.settings.kube_context) or not current.not_read
        return _Examined(
            examination.examine(current), examination.notes(current), current.not_read, stack.name, is_complete
        )
