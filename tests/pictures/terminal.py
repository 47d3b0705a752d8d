"""A command's output as a terminal of 80 columns shows it."""

import io
import os
import re
from itertools import groupby

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

_COLUMNS, _HISTORY, _LINES = 80, 2000, 64


def environment() -> dict[str, str]:
    """The variables by which a command writes to a pipe as to a terminal."""
    return os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(_COLUMNS), "TERM": "xterm-256color"}


def picture(title: str, printed: str) -> str:
    """Returns the SVG; a line marks the omitted middle of a long output."""
    lines = shown(printed)
    if len(lines) > _LINES:
        half = _LINES // 2
        lines = [*lines[:half], Text(f"    [{len(lines) - 2 * half} more lines]"), *lines[-half:]]
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    svg = console.export_svg(title=f"$ {title}", theme=MONOKAI, unique_id="terminal")
    # Fonts are the reader's own: a picture loads nothing from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def shown(printed: str) -> list[Text]:
    """The lines that are on the terminal in the end, without those of a progress display that were erased."""
    screen = pyte.Screen(_COLUMNS, _HISTORY)
    pyte.Stream(screen).feed(re.sub(r"\r?\n", "\r\n", printed))
    lines = [_line(screen, row) for row in range(screen.cursor.y + 1)]
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def _line(screen: pyte.Screen, row: int) -> Text:
    cells = [screen.buffer[row][column] for column in range(_COLUMNS)]
    line = Text()
    for (color, is_bold), same in groupby(cells, key=lambda cell: (_color(cell.fg), cell.bold)):
        line.append("".join(cell.data for cell in same), Style(color=color, bold=is_bold))
    line.rstrip()
    return line


def _color(name: str) -> str | None:
    """Rich's name of a colour of pyte's; pyte has hexadecimal digits for those beyond the sixteen."""
    if name == "default":
        return None
    if name not in pyte.graphics.FG_ANSI.values() and name not in pyte.graphics.FG_AIXTERM.values():
        return f"#{name}"
    return name.replace("brown", "yellow").replace("bright", "bright_")
