"""Interrupts without a traceback."""

import sys
from types import TracebackType


def hide_interrupts() -> None:
    """Ends an interrupted program without a traceback.

    When a resource fails, Pulumi interrupts the program. The traceback would be 15 lines in the diagnostics, all of the
    language host and of asyncio, beside the error that caused it.
    """
    sys.excepthook = _print_unless_interrupt


def _print_unless_interrupt(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
