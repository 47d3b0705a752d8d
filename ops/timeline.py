"""The timeline of an `up`: when each resource was made, what it waited for, and the critical path."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from ops.errors import OpsError
from ops.pulumi.stack import Stack, history

ROW, LEFT, WIDTH, TOP = 16, 330, 900, 40
"""Pixels: height of a row, width of the names, width of the chart, height of the heading."""
COLORS = {"critical": "#c2410c", "other": "#60a5fa", "queued": "#e5e7eb"}


@dataclass(frozen=True)
class Step:
    """An operation on one resource.

    Attributes:
        name: the last part of the type, and the logical name.
        needs: URNs of the resources that it depends on, its parent's dependencies included.
        start: seconds after the first event, at which the engine begins with the resource.
        end: seconds after the first event.
        ready: the latest end of the steps in `needs`. From then to `start` the step waits for the program, or until the
            engine has a free slot.
        previous: URN of the step in `needs` that ended last; empty: `needs` is empty.
    """

    urn: str
    operation: str
    name: str
    needs: frozenset[str]
    start: float
    end: float
    ready: float = 0
    previous: str = ""


def steps_of_events(lines: Iterable[str], resources: Sequence[Mapping[str, Any]]) -> dict[str, Step]:
    """The steps of an `up` or `destroy` by URN, in the order of their start.

    Args:
        lines: what `pulumi up --event-log` has written; times are whole seconds.
        resources: of the state, for what depends on what.

    Raises:
        OpsError: the lines are no events, or none of them is about a resource that changed.
    """
    started: dict[str, tuple[int, str]] = {}
    steps: dict[str, Step] = {}
    zero = None
    try:
        for event in map(json.loads, lines):
            zero = event["timestamp"] if zero is None else zero
            for kind in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
                body = event.get(kind)
                if not body or body.get("planning"):
                    continue
                metadata = body["metadata"]
                urn, operation = metadata["urn"], metadata["op"]
                if kind == "resourcePreEvent":
                    started[urn] = (event["timestamp"] - zero, operation)
                elif urn in started and _counts(metadata):
                    start, operation = started.pop(urn)
                    steps[urn] = Step(urn, operation, _name(urn), frozenset(), start, event["timestamp"] - zero)
    except (ValueError, KeyError, TypeError) as error:
        raise OpsError(
            f"not an event log: {error}; fix: PULUMI_DEBUG_COMMANDS=true pulumi up --event-log FILE"
        ) from None
    return _ordered(steps, resources)


def steps_of_state(resources: Sequence[Mapping[str, Any]], since: datetime) -> dict[str, Step]:
    """Returns the steps from the state alone, which has their ends: each starts when its dependencies have ended.

    Args:
        resources: of the state.
        since: when the `up` began; what was changed earlier isn't shown.
    """
    steps = {}
    for resource in resources:
        if not resource.get("custom") or not resource.get("modified"):
            continue
        end = (datetime.fromisoformat(resource["modified"]) - since).total_seconds()
        if end >= 0:
            steps[resource["urn"]] = Step(resource["urn"], "up", _name(resource["urn"]), frozenset(), end, end)
    return _sorted({urn: replace(step, start=step.ready) for urn, step in _ordered(steps, resources).items()})


def last_update(stack: Stack) -> datetime:
    """When the last finished `up` of a stack began.

    Raises:
        OpsError: there was none.
    """
    for update in history(stack):
        if update["kind"] == "update" and update["result"] == "succeeded":
            return datetime.fromisoformat(update["startTime"])
    raise OpsError(f"{stack.name}: no `up` has succeeded yet; fix: pulumi up")


def critical_path(steps: Mapping[str, Step]) -> list[Step]:
    """The chain that ends last: each of its steps was the last that the next one waited for."""
    path: list[Step] = []
    # The state doesn't have what a read waited for.
    changes = [step for step in steps.values() if step.operation != "read"]
    urn = max(changes or steps.values(), key=lambda step: step.end).urn
    while urn:
        path.append(steps[urn])
        urn = steps[urn].previous
    return path[::-1]


def longest(steps: Mapping[str, Step], count: int = 10) -> list[Step]:
    return sorted(steps.values(), key=lambda step: step.start - step.end)[:count]


def draw(steps: Mapping[str, Step], title: str) -> str:
    """Draws a Gantt chart as SVG: a bar for each step, pale while waiting, and a line to its last dependency."""
    path = {step.urn for step in critical_path(steps)}
    total = max(step.end for step in steps.values()) or 1
    height = TOP + ROW * (len(steps) + 1)
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {LEFT + WIDTH + 60} {height}")
    svg.set("font-family", "sans-serif")
    svg.set("font-size", "11")
    _add(svg, "rect", width="100%", height="100%", fill="white")
    _add(svg, "text", title, x=8, y=18, **{"font-size": "14"})

    def at(seconds: float) -> float:
        return round(LEFT + WIDTH * seconds / total, 1)

    for tick in range(11):
        x = at(total * tick / 10)
        _add(svg, "line", x1=x, x2=x, y1=TOP - 8, y2=height, stroke="#f3f4f6")
        _add(svg, "text", f"{total * tick / 10:.0f} s", x=x, y=TOP - 12, fill="#6b7280")
    rows = {urn: TOP + ROW * number for number, urn in enumerate(steps)}
    for urn, step in steps.items():
        critical = urn in path
        group = _add(svg, "g", **{"class": "critical" if critical else "step", "data-step": step.name})
        waited = f" after {steps[step.previous].name}" if step.previous else ""
        _add(group, "title", f"{step.operation} {step.name}: {step.end - step.start:.1f} s{waited}")
        y, middle = rows[urn], rows[urn] + ROW / 2 - 2
        weight = "bold" if critical else "normal"
        _add(group, "text", step.name, x=8, y=y + 10, **{"font-weight": weight})
        color = COLORS["critical" if critical else "other"]
        if step.previous:
            above, x = rows[step.previous] + ROW / 2 - 2, at(step.ready)
            line = {"stroke": color, "fill": "none", "opacity": "1" if critical else "0.4"}
            _add(group, "path", d=f"M{x} {above} V{middle}", **line)
        _add(
            group,
            "rect",
            x=at(step.ready),
            y=y,
            width=at(step.start) - at(step.ready),
            height=12,
            fill=COLORS["queued"],
        )
        _add(group, "rect", x=at(step.start), y=y, width=max(at(step.end) - at(step.start), 2), height=12, fill=color)
        _add(group, "text", f"{step.end - step.start:.1f} s", x=at(step.end) + 4, y=y + 10, fill="#6b7280")
    return ET.tostring(svg, encoding="unicode")


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> ET.Element:
    element = ET.SubElement(parent, tag, {key: str(value) for key, value in attributes.items()})
    element.text = text or None
    return element


def _counts(metadata: Mapping[str, Any]) -> bool:
    """Drops steps without a duration: components and unchanged resources."""
    resource = metadata.get("new") or metadata.get("old") or {}
    return bool(resource.get("custom")) and metadata["op"] != "same"


def _name(urn: str) -> str:
    kind, _, name = urn.partition("::")[2].partition("::")[2].partition("::")
    return f"{kind.rpartition(':')[2]} {name}"


def _ordered(steps: Mapping[str, Step], resources: Sequence[Mapping[str, Any]]) -> dict[str, Step]:
    """Adds the dependencies of each step and the time when they were ready."""
    if not steps:
        raise OpsError("no resource was changed; fix: the log or the state of an `up` that changed something")
    direct: dict[str, set[str]] = {
        resource["urn"]: {
            *(resource.get("dependencies") or ()),
            resource.get("parent"),
            resource.get("provider", "").rpartition("::")[0],
        }
        - {None, ""}
        for resource in resources
    }
    if all(step.operation.startswith(("delete", "discard")) for step in steps.values()):
        turned: dict[str, set[str]] = {urn: set() for urn in direct}
        for urn, others in direct.items():
            for other in others & turned.keys():
                turned[other].add(urn)
        direct = turned

    def needs(urn: str) -> frozenset[str]:
        """Resolves dependencies on components and unchanged resources to steps."""
        needed: set[str] = set()
        seen: set[str] = set()
        waiting = list(direct.get(urn, ()))
        while waiting:
            other = waiting.pop()
            if other in steps:
                needed.add(other)
            elif other not in seen:
                seen.add(other)
                waiting += direct.get(other, ())
        return frozenset(needed - {urn})

    placed = {}
    for urn, step in steps.items():
        waited_for = needs(urn)
        last = max((steps[other] for other in waited_for), key=lambda other: other.end, default=None)
        # Times are whole seconds: a step that ended in the same second counts as ready.
        ready = min(last.end, step.start) if last else 0
        placed[urn] = replace(step, needs=waited_for, ready=ready, previous=last.urn if last else "")
    return _sorted(placed)


def _sorted(steps: Mapping[str, Step]) -> dict[str, Step]:
    return dict(sorted(steps.items(), key=lambda item: (item[1].start, item[1].end)))
