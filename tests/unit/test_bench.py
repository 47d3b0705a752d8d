"""The performance page shows what the last run of the benchmark measured."""

import json
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench import pictures, report
from tests.bench.fleet import watched
from tests.support import eventually
from tests.unit.configurations import PROJECT

RESULTS = PROJECT / "tests" / "bench" / "results.json"
SVG = "{http://www.w3.org/2000/svg}"


def seconds(up: float) -> dict[str, list[float]]:
    names = ("no-op up", "preview", "kubectl apply", "kubectl apply, unchanged", "kubectl delete", "destroy of none")
    return {name: [10.0] for name in names} | {"up": [up], "up of none": [5.0], "destroy": [30.0]}


@pytest.fixture
def results() -> dict[str, Any]:
    return {
        "seconds": {"20": seconds(25), "40": seconds(45)},
        "tutorial": {"up": 44, "critical path": 40, "by hand": 55},
    }


def test_each_figure_is_a_ratio_to_its_baseline(results: dict[str, Any]) -> None:
    ratios = {row.what: (row.ratio, row.goal) for row in report.rows(results) if "delays" not in row.what}
    assert ratios["`up` of 20, less cluster and Kong"] == (2.0, 1.5)
    assert ratios["`destroy` of 40, less cluster and Kong"] == (2.0, 1.5)
    assert ratios["growth of `up` from 20 to 40"] == (1.0, 1.1)
    tutorial = [row.ratio for row in report.rows(results) if "delays" in row.what]
    assert tutorial == [1.1, 0.8]


def test_the_page_has_the_tables_of_the_last_run() -> None:
    page = (PROJECT / "docs" / "explanation" / "performance.md").read_text()
    assert report.tables(json.loads(RESULTS.read_text())) in page


def test_a_curve_passes_through_its_values() -> None:
    svg = ET.fromstring(pictures.chart("Seconds", {"one": {0: 0, 50: 5, 100: 10}}))  # noqa: S314 -- drawn here
    (line,) = svg.findall(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points", "").split()]
    (left, bottom), (middle, half), (right, top) = points
    assert middle == pytest.approx((left + right) / 2)
    assert half == pytest.approx((bottom + top) / 2)
    assert bottom > top


def test_memory_and_processor_time_are_noted_for_the_kinds_of_processes_that_run() -> None:
    peaks: dict[str, int] = {}
    processor: dict[str, float] = {}
    with watched(peaks, processor):
        program = "sum(range(20_000_000)); print(flush=True); input()"
        command = [sys.executable, "-c", program, "pulumi preview"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            process.stdout.readline()
            for _ in range(2):  # noted twice, so the first time with its processor time
                peaks.clear()
                eventually(lambda: peaks, pause=0.01)
            process.communicate("\n")
    assert set(peaks) == {"MiB of the engine"}
    assert set(processor) == {"engine"}
    assert processor["engine"] > 0
