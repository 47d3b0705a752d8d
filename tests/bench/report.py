"""The measurements of `tests.bench.fleet` as tables and pictures of docs/explanation/performance.md."""

import math
import re
import statistics
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sandbox.host.paths import PROJECT
from tests.bench.pictures import chart

PICTURES = PROJECT / "docs" / "explanation"
_QUIET = 5
"""The percentage of the processors' time up to which nothing else runs."""
_GOALS = {
    ("destroy", 100): 60,
    ("no-op up", 2): 4,
    ("no-op up", 100): 10,
    ("preview", 2): 3.5,
    ("preview", 100): 8,
    ("json", 100): 2_000_000,
}
"""Seconds or bytes for a number of services."""
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
    for small, large in pairwise(sorted(cost)):
        growth = math.log(cost[large] / cost[small]) / math.log(large / small)
        yield Row(f"growth of `up` from {small} to {large}", "exponent; 1 is linear", growth, 1.1)
    if tutorial := results.get("tutorial"):
        up = tutorial["up"]
        yield Row("`up` of two, delays at a tenth", "its critical path", up / tutorial["critical path"], 1.1)
        yield Row("`up` of two, delays at a tenth", "by hand, in order", up / tutorial["by hand"], 0.75)


def tables(results: Mapping[str, Any]) -> str:
    busy = "**The machine had other work: these ratios say little.** " if results["busy"] > _QUIET else ""
    machine = f"{results['machine']}, {results['busy']:.0f} % busy before it, rounds: {results['rounds']}"
    lines = [
        f"{busy}{results['date']}, commit {results['commit']}, {machine}.",
        "",
        "| services: what | against | ratio | goal |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row.what} | {row.baseline} | {row.ratio:.2f} | {_verdict(row.ratio, row.goal)} |" for row in rows(results)
    ]
    lines += ["", "| services | what | median, s | from | to | goal |", "|---|---|---|---|---|---|"]
    for services, seconds in results["seconds"].items():
        for name, values in seconds.items():
            middle = statistics.median(values)
            figures = " | ".join(f"{value:.1f}" for value in (middle, min(values), max(values)))
            lines.append(f"| {services} | {name} | {figures} | {_verdict(middle, _GOALS.get((name, int(services))))} |")
    lines += ["", "| services | what | size | goal |", "|---|---|---|---|"]
    for services, sizes in results["sizes"].items():
        for name, size in sizes.items():
            lines.append(f"| {services} | {name} | {size:,} | {_verdict(size, _GOALS.get((name, int(services))))} |")
    return "\n".join(lines)


def _verdict(figure: float, goal: float | None) -> str:
    return "" if goal is None else f"{goal:,}{'' if figure <= goal else ', missed'}"


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
