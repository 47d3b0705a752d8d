"""The measurements of `tests.bench.fleet` as tables and pictures of docs/explanation/performance.md."""

import math
import re
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.host.paths import PROJECT
from tests.bench.pictures import chart

PICTURES = PROJECT / "docs" / "explanation"
_QUIET = 0.5
"""The load average up to which nothing else runs."""
_MARKS = re.compile("(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)


def commit() -> str:
    """The last commit of the checkout; what is measured may have changes that aren't committed."""
    command = ("git", "rev-parse", "--short", "HEAD")
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Row:
    """A figure against its baseline.

    Attributes:
        goal: the highest ratio that is good enough; None: there is no goal.
    """

    what: str
    baseline: str
    ratio: float
    goal: float | None


def rows(results: Mapping[str, Any]) -> Iterator[Row]:
    cost = {}
    for services, seconds in results["seconds"].items():
        middle = {name: statistics.median(values) for name, values in seconds.items()}
        cost[int(services)] = middle["up"] - middle["up of none"]
        leaving = middle["destroy"] - middle["destroy of none"]
        again = middle["kubectl apply, unchanged"]
        apply, delete = middle["kubectl apply"], middle["kubectl delete"]
        yield Row(
            f"`up` of {services}, less cluster and Kong", "`kubectl apply`, waits", cost[int(services)] / apply, 1.5
        )
        yield Row(f"`destroy` of {services}, less cluster and Kong", "`kubectl delete`", leaving / delete, 1.5)
        yield Row(f"no-op `up` of {services}", "unchanged `kubectl apply`", middle["no-op up"] / again, None)
        yield Row(f"`preview` of {services}", "unchanged `kubectl apply`", middle["preview"] / again, None)
    small, large = min(cost), max(cost)
    if small < large:
        growth = math.log(cost[large] / cost[small]) / math.log(large / small)
        yield Row(f"growth of `up` from {small} to {large}", "exponent; 1 is linear", growth, 1.1)
    if tutorial := results.get("tutorial"):
        up = tutorial["up"]
        yield Row("`up` of two, delays at a tenth", "its critical path", up / tutorial["critical path"], 1.1)
        yield Row("`up` of two, delays at a tenth", "by hand, in order", up / tutorial["by hand"], 0.75)


def tables(results: Mapping[str, Any]) -> str:
    busy = "**The machine had other work: these ratios say little.** " if results["load"] > _QUIET else ""
    machine = f"{results['machine']}, load {results['load']}, rounds: {results['rounds']}"
    lines = [
        f"{busy}{results['date']}, commit {results['commit']}, {machine}.",
        "",
        "| services: what | against | ratio | goal |",
        "|---|---|---|---|",
    ]
    for row in rows(results):
        goal = "" if row.goal is None else f"{row.goal}{'' if row.ratio <= row.goal else ', missed'}"
        lines.append(f"| {row.what} | {row.baseline} | {row.ratio:.2f} | {goal} |")
    lines += ["", "| services | what | median, s | from | to |", "|---|---|---|---|---|"]
    for services, seconds in results["seconds"].items():
        for name, values in seconds.items():
            figures = " | ".join(f"{value:.1f}" for value in (statistics.median(values), min(values), max(values)))
            lines.append(f"| {services} | {name} | {figures} |")
    lines += ["", "| services | what | size |", "|---|---|---|"]
    for services, sizes in results["sizes"].items():
        lines += [f"| {services} | {name} | {size:,} |" for name, size in sizes.items()]
    return "\n".join(lines)


def write(results: Mapping[str, Any]) -> None:
    """Draws the pictures and puts the tables between the marks of the page."""

    def curve(name: str) -> dict[int, float]:
        return {int(n): statistics.median(seconds[name]) for n, seconds in results["seconds"].items()}

    none = statistics.median([value for seconds in results["seconds"].values() for value in seconds["up of none"]])
    curves = {"pulumi up": {0: none, **curve("up")}, "kubectl apply and waits": {0: 0.0, **curve("kubectl apply")}}
    (PICTURES / "up.svg").write_text(chart("Seconds of up", curves))
    state = {int(n): sizes["json"] / 1e6 for n, sizes in results["sizes"].items()}
    (PICTURES / "state.svg").write_text(chart("Megabytes of state", {"compact JSON": state}))
    page = PICTURES / "performance.md"
    page.write_text(_MARKS.sub(lambda _: tables(results) + "\n", page.read_text()))
