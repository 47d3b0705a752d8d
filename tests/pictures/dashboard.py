"""The dashboard of a running gateway: `python -m tests.pictures.dashboard`, after `make up EXAMPLE=monitoring`.

Grafana's image can't be had in the sandbox. Prometheus is real: it answers the panels' own queries.
"""

import json
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree as ET

import httpx

from sandbox.environment import environment
from sandbox.examples import stack_name
from sandbox.host.paths import PROJECT
from tests.e2e.stack import Stack, connects
from tests.support import eventually

FILE = PROJECT / "docs" / "pictures" / "dashboard.svg"
COLORS = ("#2563eb", "#c2410c", "#16a34a", "#7c3aed")
_SECONDS, _STEP, _INTERVAL = 240, 15, "1m"
"""The time that is shown, Prometheus' interval of scrapes, and four of them: Grafana's `$__rate_interval`."""
_UNIT, _LINE, _GAP = 40, 22, 8
"""Pixels: a column of Grafana's grid, one of its lines, the space between panels."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 26, 40

Series = Mapping[str, Sequence[tuple[float, float]]]
"""Legend -> points of seconds and values."""


def draw(model: Mapping[str, Any], data: Mapping[int, Series]) -> str:
    """Returns the dashboard as SVG: the model's panels at their places, with the data by the panel's id."""
    height = max(place["y"] + place["h"] for place in (panel["gridPos"] for panel in model["panels"])) * _LINE + _GAP
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {24 * _UNIT} {height}", role="img")
    svg.set("font-family", "sans-serif")
    _add(svg, "title", model["title"])
    _add(svg, "rect", width=24 * _UNIT, height=height, fill="white")
    for panel in model["panels"]:
        place = panel["gridPos"]
        x, y = place["x"] * _UNIT + _GAP, place["y"] * _LINE + _GAP
        group = ET.SubElement(svg, "g", {"data-panel": str(panel["id"]), "transform": f"translate({x},{y})"})
        if panel["type"] == "row":
            _add(group, "text", panel["title"], y=14, **{"font-size": 15, "font-weight": "bold"})
        else:
            group.set("data-queries", json.dumps([target["expr"] for target in panel["targets"]]))
            _panel(group, panel, data[panel["id"]], place["w"] * _UNIT - _GAP, place["h"] * _LINE - _GAP)
    ET.indent(svg, "")
    return ET.tostring(svg, encoding="unicode") + "\n"


def _panel(group: ET.Element, panel: Mapping[str, Any], series: Series, width: int, height: int) -> None:
    top = max((value for points in series.values() for _, value in points), default=0) or 1
    plot_width, plot_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    _add(group, "rect", width=width, height=height, fill="none", stroke="#d1d5db", rx=3)
    _add(group, "text", panel["title"], x=8, y=17, **{"font-size": 12, "font-weight": "bold"})
    for tick in range(3):
        y = _TOP + plot_height * (1 - tick / 2)
        _add(group, "line", x1=_LEFT, x2=width - _RIGHT, y1=y, y2=y, stroke="#e5e7eb")
        label = _shown(top * tick / 2, panel["fieldConfig"]["defaults"]["unit"])
        _add(group, "text", label, x=_LEFT - 4, y=y + 3, fill="#4b5563", **{"font-size": 9, "text-anchor": "end"})
    x = 8.0
    for number, (legend, points) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        line = " ".join(
            f"{_LEFT + plot_width * (1 + second / _SECONDS):.1f},{_TOP + plot_height * (1 - value / top):.1f}"
            for second, value in points
        )
        _add(group, "polyline", points=line, fill="none", stroke=color)
        _add(group, "text", legend, x=x, y=height - 8, fill=color, **{"font-size": 10})
        x += 14 + 6 * len(legend)
    end = _TOP + plot_height + 13
    _add(group, "text", f"-{_SECONDS // 60} min", x=_LEFT, y=end, fill="#4b5563", **{"font-size": 9})
    _add(group, "text", "now", x=width - _RIGHT, y=end, fill="#4b5563", **{"font-size": 9, "text-anchor": "end"})


def _shown(value: float, unit: str) -> str:
    """Returns a value in a unit of Grafana's."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    return f"{value:.3g}" + {"ms": " ms", "reqps": "/s"}.get(unit, "")


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> None:
    shown = {key: f"{value:g}" if isinstance(value, float) else str(value) for key, value in attributes.items()}
    ET.SubElement(parent, tag, shown).text = text or None


@contextmanager
def _requested(address: str) -> Iterator[None]:
    """Requests foo more and more often, and bar evenly."""
    done = threading.Event()

    def request(path: str, pauses: Sequence[float]) -> None:
        started = time.monotonic()
        while True:
            elapsed = min(time.monotonic() - started, _SECONDS - 1)
            if done.wait(pauses[int(elapsed * len(pauses) / _SECONDS)]):
                return
            httpx.get(f"http://{address}{path}", timeout=10, trust_env=False)

    threads = [
        threading.Thread(target=request, args=("/foo", (0.2, 0.1, 0.05, 0.1))),
        threading.Thread(target=request, args=("/bar", (0.1,))),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _observed(stack: Stack, model: Mapping[str, Any]) -> dict[int, Series]:
    """Returns what Prometheus answers to each panel's queries after some minutes of requests.

    For twenty seconds bar has no pod, so that the errors have something to show.
    """
    stack.address = stack.output("proxy_ip")
    with _requested(stack.address):
        time.sleep(_SECONDS * 0.6)
        stack.run("kubectl", "scale", "deployment", "bar-deployment", "--replicas=0")
        time.sleep(20)
        stack.run("kubectl", "scale", "deployment", "bar-deployment", "--replicas=1")
        time.sleep(_SECONDS * 0.4)
    command = shlex.split(stack.output("prometheus_command"))
    with subprocess.Popen(command, env=stack.environment, stdout=subprocess.DEVNULL) as forward:
        try:
            eventually(lambda: connects("127.0.0.1", 9090))
            end = time.time()
            return {
                panel["id"]: {
                    legend: points for target in panel["targets"] for legend, points in _answers(target, end).items()
                }
                for panel in model["panels"]
                if panel["type"] != "row"
            }
        finally:
            forward.terminate()


def _answers(target: Mapping[str, str], end: float) -> dict[str, list[tuple[float, float]]]:
    """Returns the series of a query, with their seconds before the end, by the legend that Grafana would show."""
    query: dict[str, str | float] = {
        "query": target["expr"].replace("$__rate_interval", _INTERVAL),
        "start": end - _SECONDS,
        "end": end,
        "step": _STEP,
    }
    answer = httpx.get("http://127.0.0.1:9090/api/v1/query_range", params=query, timeout=10, trust_env=False)
    results = answer.raise_for_status().json()["data"]["result"]
    return {
        target["legendFormat"].replace("{{code}}", series["metric"].get("code", "")): [
            (time - end, float(value)) for time, value in series["values"] if value != "NaN"
        ]
        for series in results
    }


def main() -> None:
    stack = Stack(PROJECT, stack_name("monitoring"))
    stack.environment |= environment()
    shown = stack.kubernetes("configmap", "gateway-dashboard", "-n", "monitoring")
    model = json.loads(shown["data"]["gateway.json"])
    FILE.write_text(draw(model, _observed(stack, model)))


if __name__ == "__main__":
    main()
