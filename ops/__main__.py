"""python -m ops: what a person runs beside pulumi.

Exit status: 0 it is so; 1 it is not (something is billed, something would fail, something is to be mended); 2 wrong
usage; 3 the question couldn't be answered.
"""

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ops import preflight as preflights
from ops import timeline as timelines
from ops.account import estimate as costs
from ops.account import ownership as pasts
from ops.account.inventory import DEFAULT_POOL_TAG, PATHS, RUNS, Thing, inventory
from ops.cluster import helm_records as releases
from ops.cluster import load_balancer as balancers
from ops.digitalocean import Api, ApiError, OpsError
from ops.doctor import checks as doctors
from ops.pulumi import state as states
from ops.pulumi.stack import Stack

NO, UNANSWERED = 1, 3
POLL_SECONDS = 2
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

StackName = Annotated[
    str, typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The stack, whose file is Pulumi.<stack>.yaml.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ClusterId = Annotated[str, typer.Argument(metavar="CLUSTER", help="The cluster's id.")]


@contextmanager
def _errors_in_one_line(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except OpsError as error:
        if as_json:
            _print_json({"error": str(error)})
        else:
            errors.print(str(error), style="red", markup=False)
        raise typer.Exit(UNANSWERED) from None


def _open(name: str) -> tuple[Api, Stack]:
    stack = Stack(name, Path.cwd())
    return stack.account(), stack


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2))


def _plain(things: Sequence[Any]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(thing) for thing in things]


@app.command()
def preflight(stack: StackName = "dev", as_json: Json = False) -> None:
    """Check that `pulumi up` can work, before it costs anything: token, scopes, names, quota, what is on offer."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        checks = []
        with errors.status("asking DigitalOcean"):
            for check in preflights.preflight(api, opened):
                checks.append(check)
                if not as_json:
                    mark = "[green]ok[/green]  " if check.ok else "[red]FAIL[/red]"
                    console.print(f"{mark} {check.name}: ", end="")
                    console.print(check.said + (f"; fix: {check.fix}" if check.fix else ""), markup=False)
    ready = all(check.ok for check in checks)
    if as_json:
        _print_json({"ready": ready, "checks": _plain(checks)})
    raise typer.Exit(0 if ready else NO)


@app.command()
def cost(stack: StackName = "dev", as_json: Json = False) -> None:
    """Say what the stack as configured costs."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        items = costs.estimate(api, opened.settings)
    monthly, hourly = round(sum(item.monthly for item in items), 2), round(sum(item.hourly for item in items), 5)
    if as_json:
        _print_json({"items": _plain(items), "monthly": monthly, "hourly": hourly})
        return
    table = Table("what", "USD/month", "USD/hour")
    for item in items:
        table.add_row(item.what, f"{item.monthly:.2f}", f"{item.hourly:.5f}")
    console.print(table)
    console.print(
        f"{stack}: ${monthly:.2f} a month, ${hourly:.5f} an hour; traffic and storage beyond tiers not counted"
    )


@app.command()
def timeline(
    events: Annotated[
        Path | None,
        typer.Argument(metavar="[EVENTS]", exists=True, help="What `pulumi up --event-log EVENTS` has written."),
    ] = None,
    stack: StackName = "dev",
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture.")] = Path("timeline.svg"),
    as_json: Json = False,
) -> None:
    """Draw what an `up` waited for: the critical path and the ten longest steps.

    Without EVENTS it is the last `up`, from the state, where each step starts as soon as it can.
    """
    with _errors_in_one_line(as_json=as_json):
        opened = Stack(stack, Path.cwd())
        resources = states.read(opened).resources
        if events:
            with events.open() as lines:
                steps = timelines.steps_of_events(lines, resources)
        else:
            steps = timelines.steps_of_state(resources, timelines.last_update(opened))
    path, slowest = timelines.critical_path(steps), timelines.longest(steps)
    output.write_text(timelines.draw(steps, f"{stack}: {len(steps)} steps in {path[-1].end:.0f} s"))
    if as_json:
        found = {"critical_path": path, "longest": slowest}
        _print_json(
            {name: [dataclasses.asdict(s) | {"needs": sorted(s.needs)} for s in of] for name, of in found.items()}
        )
        return
    table = Table("from", "to", "takes", "waited before", "critical path")
    for step in path:
        table.add_row(
            *(f"{at:.1f} s" for at in (step.start, step.end, step.end - step.start, step.start - step.ready)), step.name
        )
    console.print(table)
    table = Table("takes", "ten longest steps")
    for step in slowest:
        table.add_row(f"{step.end - step.start:.1f} s", step.name)
    console.print(table)
    console.print(f"drawn in {output}", markup=False)


@app.command()
def bill(
    stack: StackName = "dev",
    expect_zero: Annotated[bool, typer.Option("--expect-zero", help="Exit with 1 if anything is left.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait until nothing is left: deletes take a while.")] = 0,
    as_json: Json = False,
) -> None:
    """Show everything in the account that belongs to the stack, with what it costs."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        past, blind = _past(opened)
        end = time.monotonic() + wait
        with errors.status("asking DigitalOcean") as status:
            while things := inventory(api, opened.settings, past):
                left = ", ".join(f"{thing.kind} {thing.name}" for thing in things if thing.ours)
                if not left or time.monotonic() >= end:
                    break
                status.update(f"{end - time.monotonic():.0f} s more for {left}")
                time.sleep(POLL_SECONDS)
    sure = [thing for thing in things if thing.ours]
    blind += [f"{each.kind} {each.name} may be this stack's, or another's" for each in things if each.unsure]
    _show_bill(sure, blind, stack, as_json=as_json)
    if expect_zero and sure:
        raise typer.Exit(NO)
    raise typer.Exit(UNANSWERED if blind else 0)


def _past(stack: Stack) -> tuple[pasts.Past, list[str]]:
    """What Pulumi remembers, or why nothing: a bill can be seen without it too, and whatever became of the state."""
    try:
        return pasts.read(stack, states.read(stack)), []
    except OpsError as error:
        name = stack.settings.cluster_name
        return pasts.Past(), [f"what the stack made under another name than {name} would not be shown: {error}"]


def _show_bill(things: list[Thing], blind: list[str], stack: str, *, as_json: bool) -> None:
    monthly, hourly = round(sum(t.monthly for t in things), 2), round(sum(t.hourly for t in things), 5)
    if as_json:
        _print_json({"things": _plain(things), "monthly": monthly, "hourly": hourly, "blind": blind})
        return
    if things:
        table = Table("what", "name", "USD/month", "USD/hour", "")
        for thing in things:
            note = "its cluster is gone" if thing.orphan else ""
            table.add_row(thing.kind, thing.name, f"{thing.monthly:.2f}", f"{thing.hourly:.5f}", note)
        console.print(table)
        # Below the table, which cuts what is wide, and these are to be copied.
        for thing in filter(lambda thing: thing.orphan, things):
            console.print(f"{thing.remove} --stack {stack}", style="bold")
    billed = f"billed: ${hourly:.5f} an hour, ${monthly:.2f} a month" if things else "nothing is billed"
    console.print(billed + (", as far as can be seen" if blind else ""))
    for each in blind:
        errors.print(each, style="yellow", markup=False)


@app.command()
def doctor(stack: StackName = "dev", as_json: Json = False) -> None:
    """Compare the stack's state with the account: what is lost, left or locked, and the command that mends it."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        with errors.status("reading the state, asking DigitalOcean"):
            findings = doctors.examine(api, opened)
    if as_json:
        _print_json({"findings": _plain(findings)})
    for finding in [] if as_json else findings:
        console.print(finding.problem, style="yellow", markup=False)
        for number, commands in enumerate(finding.fixes):
            console.print("  or:" if number else "  fix:")
            for command in commands:
                console.print(f"    {command}", style="bold", markup=False)
    if not findings and not as_json:
        console.print("state and account agree")
    raise typer.Exit(NO if findings else 0)


@app.command()
def remove(
    kind: Annotated[str, typer.Argument(help=", ".join(PATHS))],
    identifier: Annotated[str, typer.Argument(metavar="ID")],
    stack: StackName = "dev",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove one thing that no stack has any more; a cluster goes with its load balancers, volumes and snapshots."""
    if kind not in PATHS:
        raise typer.BadParameter(f"allowed: {', '.join(PATHS)}", param_hint="KIND")
    if not yes:
        typer.confirm(f"Delete {kind} {identifier} for good?", abort=True, err=True)
    said = f"on its way out (python -m ops bill --wait 300 --stack {stack})"
    with _errors_in_one_line(as_json=as_json):
        api, _ = _open(stack)
        try:
            api.call("DELETE", PATHS[kind].format(identifier))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            said = "gone already"
    _done(f"{kind} {identifier}", said, as_json=as_json)


def _done(what: str, said: str, *, as_json: bool) -> None:
    if as_json:
        _print_json({"what": what, "said": said})
    else:
        console.print(f"{what}: {said}", markup=False)


@app.command()
def wait(
    cluster: ClusterId,
    stack: StackName = "dev",
    seconds: Annotated[float, typer.Option(help="How long at most.")] = 1800,
    as_json: Json = False,
) -> None:
    """Wait until a cluster that is being made is there: before that it can't be adopted."""
    end = time.monotonic() + seconds
    with _errors_in_one_line(as_json=as_json), errors.status("asking DigitalOcean") as status:
        api, _ = _open(stack)
        while (state := _state_of(api, cluster)) == "provisioning" and time.monotonic() < end:
            status.update(f"{end - time.monotonic():.0f} s more for cluster {cluster}")
            time.sleep(POLL_SECONDS)
    _done(f"cluster {cluster}", state, as_json=as_json)
    raise typer.Exit(0 if state in RUNS else NO)


def _state_of(api: Api, cluster: str) -> str:
    found = api.find(f"kubernetes/clusters/{cluster}")
    return str(found["kubernetes_cluster"]["status"]["state"]) if found else "gone"


@app.command()
def add_pool(cluster: ClusterId, stack: StackName = "dev", as_json: Json = False) -> None:
    """Give a cluster the stack's node pool back, after that was deleted by hand."""
    with _errors_in_one_line(as_json=as_json):
        api, opened = _open(stack)
        settings = opened.settings
        pool: dict[str, object] = {"name": f"{settings.cluster_name}-default-pool", "size": settings.node_size}
        pool |= {"count": settings.node_count, "tags": [DEFAULT_POOL_TAG]}
        api.create(f"kubernetes/clusters/{cluster}/node_pools", pool)
    _done(f"node pool {pool['name']}", f"on its way (pulumi refresh --stack {stack})", as_json=as_json)


@app.command()
def renew_balancer(
    cluster: ClusterId,
    stack: StackName = "dev",
    seconds: Annotated[float, typer.Option(help="How long to wait for its address.")] = 600,
    as_json: Json = False,
) -> None:
    """Have DigitalOcean make Kong's load balancer again, after that was deleted by hand."""
    with _errors_in_one_line(as_json=as_json), errors.status("waiting for an address"):
        api, _ = _open(stack)
        address = balancers.renew(api, cluster, seconds)
    _done(f"load balancer {address}", f"active (pulumi up --refresh --stack {stack})", as_json=as_json)


@app.command()
def forget_release(
    cluster: ClusterId,
    record: Annotated[str, typer.Argument(metavar="RECORD", help="The record's name, as `doctor` says it.")],
    namespace: Annotated[str, typer.Option(help="Where it is.")] = "kong",
    stack: StackName = "dev",
    as_json: Json = False,
) -> None:
    """Delete Helm's record of an install that was cut short. What is installed stays."""
    with _errors_in_one_line(as_json=as_json):
        api, _ = _open(stack)
        releases.forget(api, cluster, namespace, record)
    _done(record, f"forgotten (pulumi up --stack {stack})", as_json=as_json)


if __name__ == "__main__":
    app()
