"""The figures of a load, and the availability page that shows those of the last run."""

import json
from typing import Any

import pytest

from tests.bench import availability_page
from tests.bench.events import EVENTS
from tests.bench.load import Request, figures
from tests.unit.configurations import PROJECT

RESULTS: dict[str, Any] = json.loads((PROJECT / "tests" / "bench" / "availability.json").read_text())


def steadily(count: int, outcome: str = "200", since: float = 0) -> list[Request]:
    return [Request("/foo", since + number / 10, 0.004, outcome) for number in range(count)]


def test_load_figures_count_failures_and_the_longest_gap() -> None:
    requests = [*steadily(10), *steadily(5, "503", since=1), *steadily(10, since=1.5)]
    summed = figures(requests)
    assert (summed["requests"], summed["failures"], summed["outcomes"]) == (25, 5, {"503": 5})
    assert summed["gap"] == pytest.approx(0.6)
    assert summed["failing"] == pytest.approx(0.4)
    assert summed["p50"] == summed["p99"] == 4


def test_an_outage_at_the_end_counts_as_the_gap() -> None:
    assert figures([*steadily(10), *steadily(20, "503", since=1)])["gap"] == pytest.approx(2.0)


def test_the_page_names_the_events_without_figures() -> None:
    row = figures(steadily(10)) | {"seconds": 1.0, "load": 1.0, "commit": "0" * 7}
    events = {event: row for event, how in EVENTS.items() if "one" in how.setups}
    all_but_one = {event: row for event in EVENTS if event != "node hangs"}
    page = availability_page.tables({"machine": "2 processors", "rate": 50, "one": events, "two": all_but_one})
    assert page.endswith("\n\nNot measured with two pods each, two nodes: `node hangs`.\n")
    assert page.count("Not measured") == 1


def test_the_page_has_the_tables_of_the_last_run() -> None:
    assert availability_page.tables(RESULTS) in availability_page.PAGE.read_text()
