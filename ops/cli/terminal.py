"""Prints results to stdout, and progress and errors to stderr."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

from ops.errors import UNCHECKED


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Ends the command with 3; Rich ends it with 1, the status for problems that were found."""
        end_without_output(BrokenPipeError(errno.EPIPE, ""))


# Without emoji: `:key:` in a name is text.
_console = _Console(highlight=False, soft_wrap=True, emoji=False)
_errors = _Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


_WIDEST = 10_000
"""Columns of the terminal for which a table is measured; the width of this one would limit it."""


def end_without_output(error: OSError) -> NoReturn:
    """Ends a command whose output can't be written with 3: nobody has read its result."""
    if error.errno != errno.EPIPE:
        # It may be stderr that can't be written.
        with contextlib.suppress(OSError):
            print(f"output: {error.strerror}; fix: write it where there is room", file=sys.stderr)
    # At exit Python writes what is left in the buffers, and would end with 120.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    raise SystemExit(UNCHECKED)


def show(*parts: str | tuple[str, str], style: str = "") -> None:
    """Prints one text; a part may be a pair of text and style. Square brackets are no markup."""
    _console.print(Text.assemble(*parts, style=style))


def show_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Prints a table. No word is cut: a terminal that is too narrow gets a table without borders, and wraps it."""
    table = Table()
    for column, *texts in zip(columns, *rows, strict=True):
        # The width of the longest word, which Rich would cut.
        table.add_column(column, min_width=max(len(word) for text in (column, *texts) for word in text.split()))
    for row in rows:
        table.add_row(*map(escape, row))
    least = _console.measure(table, options=_console.options.update(max_width=_WIDEST)).minimum
    if least > _console.width:
        table.box, table.width = None, least
    _console.print(table)


def show_json(document: object) -> None:
    _console.out(json.dumps(document, indent=2))


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
