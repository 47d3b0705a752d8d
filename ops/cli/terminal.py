"""Prints results to stdout, and progress and errors to stderr."""

import json
from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

_console = Console(highlight=False, soft_wrap=True)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


def show(*parts: str | tuple[str, str], style: str = "") -> None:
    """Prints one text; a part may be a pair of text and style. Square brackets are no markup."""
    _console.print(Text.assemble(*parts, style=style))


def show_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(escape, row))
    _console.print(table)


def show_json(document: object) -> None:
    print(json.dumps(document, indent=2))


def warn(text: str, style: str = "yellow") -> None:
    _errors.print(Text(text, style=style))


class Progress(Status):
    """A text that is shown while something takes time, on a terminal only."""

    def __init__(self, text: str) -> None:
        super().__init__(Text(text), console=_errors)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def report(self, text: str) -> None:
        self.update(Text(text))
