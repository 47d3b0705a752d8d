"""The pictures of the documentation are current, and load nothing."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from infra.monitoring.dashboard import dashboard
from sandbox import demo
from tests.pictures import graph, terminal
from tests.pictures.drawing import Box, draw
from tests.unit.configurations import PROJECT
from tests.unit.conftest import Recording

FOLDER = PROJECT / "docs" / "pictures"
PICTURES = sorted(PROJECT.glob("docs/**/*.svg"))


@pytest.mark.parametrize("picture", ["resource_graph", "architecture"])
def test_a_picture_of_the_stack_is_current(dev: Recording, picture: str) -> None:
    file = FOLDER / f"{picture.replace('_', '-')}.svg"
    assert file.read_text() == getattr(graph, picture)(dev), "run `make pictures`"


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.name)
def test_a_picture_is_used_in_a_page_and_self_contained(file: Path) -> None:
    text = file.read_text()
    ET.fromstring(text)  # noqa: S314 -- drawn here
    assert re.findall(r"(?:href|src)=|url\(http", text) == []
    pages = "".join(path.read_text() for path in [PROJECT / "README.md", *PROJECT.glob("docs/**/*.md")])
    assert f"{file.name})" in pages


def test_the_picture_of_the_dashboard_has_its_panels_and_queries() -> None:
    svg = ET.fromstring((FOLDER / "dashboard.svg").read_text())  # noqa: S314 -- drawn here
    groups = svg.findall("{*}g")
    drawn = [(group.findtext("{*}text"), json.loads(group.get("data-queries", "[]"))) for group in groups]
    panels = dashboard("default", ["foo", "bar"])["panels"]
    assert drawn == [(panel["title"], [target["expr"] for target in panel.get("targets", [])]) for panel in panels]
    assert [group.get("data-panel") for group in groups if not group.findall("{*}polyline")] == [
        str(panel["id"]) for panel in panels if panel["type"] == "row"
    ]


def texts(file: Path) -> str:
    """The text of a picture of a terminal."""
    return " ".join("".join(ET.fromstring(file.read_text()).itertext()).replace("\xa0", " ").split())  # noqa: S314 -- drawn here


def test_the_picture_of_make_up_ends_with_the_commands_that_it_prints() -> None:
    shown = texts(FOLDER / "make-up.svg")
    commands = [command.format(stack=demo.STACK) for command, _ in demo.LOOK_FURTHER]
    assert [command for command in commands if command not in shown] == []
    assert "Hello from the foo microservice" in shown


def test_the_picture_of_the_bill_has_the_price_of_the_tutorial() -> None:
    assert "billed: $0.03572 an hour, $24.00 a month" in texts(FOLDER / "bill.svg")


def test_transitive_arrows_are_omitted() -> None:
    boxes = {name: Box(name) for name in "abc"}
    svg = draw(boxes, {"b": ["a"], "c": ["a", "b"]}, "three")
    assert svg.count('fill="none"') == 2
    (first, second, third) = re.findall(r'rect x="(\d+)', svg)
    assert int(first) < int(second) < int(third)


def test_a_long_output_is_shortened() -> None:
    svg = terminal.picture("yes", "\n".join(f"line-{number}." for number in range(100)))
    assert "line-0." in svg
    assert "line-99." in svg
    assert "line-50." not in svg
    assert "54" in svg


def test_erased_progress_lines_are_not_shown() -> None:
    svg = terminal.picture("wait", "\x1b[?25l|\x1b[32m wait\x1b[0m\n\x1b[1A\x1b[2Kdone\n")
    assert "done" in svg
    assert svg.count("wait") == 1  # the title
