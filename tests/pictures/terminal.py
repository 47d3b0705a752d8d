"""What a command prints, as a terminal of 80 columns shows it."""

import io
import os
import re

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

_COLUMNS, _LINES = 80, 46


def environment() -> dict[str, str]:
    """The variables by which a command writes to a pipe as to a terminal."""
    return os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(_COLUMNS), "TERM": "xterm-256color"}


def picture(title: str, printed: str) -> str:
    """Returns the SVG; of a long output the middle is left out, with a line that says so."""
    lines = re.sub(r"\x1b\[[?0-9;]*[A-HJKfhlsu]|\r(?!\n)", "", printed).splitlines()
    if len(lines) > _LINES:
        half = _LINES // 2
        lines = [*lines[:half], f"   [{len(lines) - 2 * half} more lines]", *lines[-half:]]
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=False)
    svg = console.export_svg(title=f"$ {title}", theme=MONOKAI, unique_id="terminal")
    # Fonts are the reader's own: a picture loads nothing from elsewhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
