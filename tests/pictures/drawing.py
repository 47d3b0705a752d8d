"""Boxes and arrows as SVG: nodes in columns, each after everything that it needs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from xml.etree import ElementTree as ET

_WIDTH, _HEIGHT, _COLUMN, _ROW, _MARGIN = 150, 40, 190, 58, 16
_STYLE = {"stroke": "#9ca3af", "fill": "none"}


@dataclass(frozen=True)
class Box:
    """A node with two lines of text."""

    title: str
    subtitle: str = ""
    color: str = "#f3f4f6"


Edges = Mapping[str, Collection[str]]
"""Node -> nodes that it needs, which are drawn to its left."""


def draw(boxes: Mapping[str, Box], edges: Edges, label: str) -> str:
    """Returns the SVG of a graph without cycles; arrows that others imply are left out."""
    # Sorted: the program registers what is independent in any order.
    direct = _reduced({node: set(edges.get(node, ())) for node in sorted(boxes)})
    columns, ways = _columns(direct)
    rows = max(len(column) for column in columns)
    width, height = len(columns) * _COLUMN + 2 * _MARGIN - (_COLUMN - _WIDTH), rows * _ROW + 2 * _MARGIN
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", role="img")
    svg.set("font-family", "sans-serif")
    _add(svg, "title", label)
    _add(svg, "rect", width=width, height=height, fill="white")
    places = {
        node: (_MARGIN + x * _COLUMN, _MARGIN + (y + (rows - len(column)) / 2) * _ROW)
        for x, column in enumerate(columns)
        for y, node in enumerate(column)
    }
    for way in ways:
        _arrow(svg, [places[node] for node in way])
    for node, box in sorted(boxes.items()):
        x, y = places[node]
        _add(svg, "rect", x=x, y=y, width=_WIDTH, height=_HEIGHT, rx=6, fill=box.color, stroke="#6b7280")
        lines = [box.title, box.subtitle] if box.subtitle else [box.title]
        for number, line in enumerate(lines):
            baseline = y + _HEIGHT / 2 + 4 + (number - (len(lines) - 1) / 2) * 14
            size, weight = (12.0, "bold") if number == 0 else (9.5, "normal")
            size = round(min(size, 1.7 * _WIDTH / len(line)), 1)
            center = {"x": x + _WIDTH / 2, "y": baseline, "text-anchor": "middle"}
            _add(svg, "text", line, **center, **{"font-size": size, "font-weight": weight})
    ET.indent(svg, "")
    return ET.tostring(svg, encoding="unicode") + "\n"


def _reduced(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Leaves out edges that a longer way implies."""
    everything: dict[str, set[str]] = {}
    for node in TopologicalSorter(edges).static_order():
        everything[node] = set(edges[node]).union(*(everything[other] for other in edges[node]))
    return {node: needed - set().union(*(everything[other] for other in needed)) for node, needed in edges.items()}


def _columns(edges: Mapping[str, set[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Puts each node right of everything that it needs, near the mean height of that.

    Returns:
        The nodes of each column, and each edge as a way through all columns between its ends. Where a way passes a
        column, it has a place there as a node has.
    """
    depth: dict[str, int] = {}
    for node in TopologicalSorter(edges).static_order():
        depth[node] = max((depth[other] + 1 for other in edges[node]), default=0)
    ways = [
        [other, *(f"{other} to {node}, {column}" for column in range(depth[other] + 1, depth[node])), node]
        for node, needed in edges.items()
        for other in sorted(needed)
    ]
    before: dict[str, set[str]] = {node: set() for node in edges}
    columns: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for node in edges:
        columns[depth[node]].append(node)
    for way in ways:
        for left, right in pairwise(way):
            if right not in before:
                columns[depth[way[0]] + way.index(right)].append(right)
            before.setdefault(right, set()).add(left)
    heights: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda node: (_mean([heights[other] for other in sorted(before[node])]), node))
        heights |= {node: row - len(column) / 2 for row, node in enumerate(column)}
    return columns, ways


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0


def _arrow(svg: ET.Element, corners: Sequence[tuple[float, float]]) -> None:
    """An arrow from the right side of the first box to the left side of the last one, through the places between."""
    (x, y), *passed, (right, target) = [(left, top + _HEIGHT / 2) for left, top in corners]
    line = f"M{x + _WIDTH},{y}"
    x += _WIDTH
    for left, height in passed:
        line += _bend(x, y, left, height) + f" H{left + _WIDTH}"
        x, y = left + _WIDTH, height
    _add(svg, "path", d=line + _bend(x, y, right - 5, target), **_STYLE)
    _add(svg, "path", d=f"M{right},{target} l-6,-3 v6 z", fill="#9ca3af")


def _bend(x: float, y: float, right: float, target: float) -> str:
    middle = (x + right) / 2
    return f" C{middle},{y} {middle},{target} {right},{target}"


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> None:
    ET.SubElement(parent, tag, {key: str(value) for key, value in attributes.items()}).text = text or None
