"""The measurements of `tests.bench.availability` as the tables of docs/explanation/availability.md."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.host.paths import PROJECT
from tests.bench.events import EVENTS

PAGE = PROJECT / "docs" / "explanation" / "availability.md"
_SETUPS = {"one": "one pod each, one node", "two": "two pods each, two nodes"}
_COLUMNS = (
    *("event", "setup", "took, s", "requests", "failed", "p50, ms", "p99, ms", "gap, s", "failures over, s", "load"),
    "commit",
)
_MARKS = re.compile("(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)


def tables(results: Mapping[str, Any]) -> str:
    lines = [
        f"{results['machine']}, {results['rate']} requests a second. Load is the machine's load average.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"|{'---|' * len(_COLUMNS)}",
        *_rows(results),
        *_gaps(results),
    ]
    return "\n".join(lines) + "\n"


def _rows(results: Mapping[str, Any]) -> Iterator[str]:
    for setup, name in _SETUPS.items():
        for event, row in results.get(setup, {}).items():
            outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(row["outcomes"].items()))
            failed = f"{row['failures']} ({outcomes})" if outcomes else "0"
            figures = (
                row["seconds"],
                row["requests"],
                failed,
                row["p50"],
                row["p99"],
                row["gap"],
                row["failing"],
                row["load"],
                row["commit"],
            )
            yield f"| {event} | {name} | {' | '.join(map(str, figures))} |"


def _gaps(results: Mapping[str, Any]) -> Iterator[str]:
    """Yields a sentence for each setup that lacks figures of events."""
    for setup, name in _SETUPS.items():
        events = [event for event, how in EVENTS.items() if setup in how.setups]
        if missing := [f"`{event}`" for event in events if event not in results.get(setup, {})]:
            yield from ("", f"Not measured with {name}: {', '.join(missing)}.")


def write(results: Mapping[str, Any]) -> None:
    """Puts the tables between the page's marks."""
    PAGE.write_text(_MARKS.sub(lambda _: tables(results), PAGE.read_text()))
