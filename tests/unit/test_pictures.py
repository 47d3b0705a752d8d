"""The pictures of the documentation are current, and load nothing."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

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
def test_a_picture_is_shown_in_a_page_and_loads_nothing(file: Path) -> None:
    text = file.read_text()
    ET.fromstring(text)  # noqa: S314 -- drawn here
    assert re.findall(r"(?:href|src)=|url\(http", text) == []
    pages = "".join(path.read_text() for path in [PROJECT / "README.md", *PROJECT.glob("docs/**/*.md")])
    assert f"{file.name})" in pages


def test_an_arrow_that_others_imply_is_left_out() -> None:
    boxes = {name: Box(name) for name in "abc"}
    svg = draw(boxes, {"b": ["a"], "c": ["a", "b"]}, "three")
    assert svg.count('fill="none"') == 2
    (first, second, third) = re.findall(r'rect x="(\d+)', svg)
    assert int(first) < int(second) < int(third)


def test_a_long_output_is_shown_without_its_middle() -> None:
    svg = terminal.picture("yes", "\n".join(f"line-{number}." for number in range(100)))
    assert "line-0." in svg
    assert "line-99." in svg
    assert "line-50." not in svg
    assert "54" in svg
