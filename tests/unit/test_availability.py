"""The figures of a load, and the availability page that shows those of the last run."""

import json
from typing import Any

import pytest

from tests.bench import availability_page
from tests.bench.load import Request, figures
from tests.unit.configurations import PROJECT

RESULTS: dict[str, Any] = json.loads((PROJECT / "tests" / "bench" / "availability.json").read_text())


def steadily(count: int, outcome: str = "200", since: float = 0) -> list[Request]:
    return [Request(since + number / 10, 0.004, outcome) for number in range(count)]


def test_figures_of_a_load_count_failures_and_the_time_without_an_answer() -> None:
    requests = [*steadily(10), *steadily(5, "503", since=1), *steadily(10, since=1.5)]
    summed = figures(requests)
    assert (summed["requests"], summed["failures"], summed["outcomes"]) == (25, 5, {"503": 5})
    assert summed["gap"] == pytest.approx(0.6)
    assert summed["failing"] == pytest.approx(0.4)
    assert summed["p50"] == summed["p99"] == 4


def test_a_load_that_ends_unserved_has_its_gap_at_the_end() -> None:
    assert figures([*steadily(10), *steadily(20, "503", since=1)])["gap"] == pytest.approx(2.0)


def test_the_page_has_the_tables_of_the_last_run() -> None:
    assert availability_page.tables(RESULTS) in availability_page.PAGE.read_text()
