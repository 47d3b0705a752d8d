"""Line charts as SVG."""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

WIDTH, HEIGHT, LEFT, TOP = 640, 320, 60, 40
COLORS = ("#c2410c", "#60a5fa", "#16a34a", "#6b7280")


def chart(title: str, curves: Mapping[str, Mapping[int, float]]) -> str:
    """A line for each curve: a value for each number of services."""
    right = max(max(curve) for curve in curves.values()) or 1
    top = max(max(curve.values()) for curve in curves.values()) or 1
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH + LEFT + 40} {HEIGHT + TOP + 40}")
    svg.set("font-family", "sans-serif")
    svg.set("font-size", "12")
    _add(svg, "rect", width="100%", height="100%", fill="white")
    _add(svg, "text", f"{title} against the number of services", x=8, y=18)

    def at(services: float, value: float) -> tuple[float, float]:
        return round(LEFT + WIDTH * services / right, 1), round(TOP + HEIGHT * (1 - value / top), 1)

    for tick in range(6):
        (x, _), (_, y) = at(right * tick / 5, 0), at(0, top * tick / 5)
        _add(svg, "line", x1=LEFT, x2=LEFT + WIDTH, y1=y, y2=y, stroke="#e5e7eb")
        _add(svg, "text", f"{right * tick / 5:.0f}", x=x, y=TOP + HEIGHT + 18, fill="#6b7280")
        _add(svg, "text", f"{top * tick / 5:.3g}", x=8, y=y + 4, fill="#6b7280")
    for number, (name, curve) in enumerate(curves.items()):
        points = [at(services, value) for services, value in sorted(curve.items())]
        color = COLORS[number]
        _add(svg, "polyline", points=" ".join(f"{x},{y}" for x, y in points), stroke=color, fill="none")
        for x, y in points:
            _add(svg, "circle", cx=x, cy=y, r=3, fill=color)
        _add(svg, "text", name, x=LEFT + 12, y=TOP + 16 + 16 * number, fill=color)
    return ET.tostring(svg, encoding="unicode")


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> None:
    ET.SubElement(parent, tag, {key: str(value) for key, value in attributes.items()}).text = text or None
