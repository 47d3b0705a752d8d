"""The shared context of the account's parts: lock, delays, bill, settings."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.digitalocean.ledger import Ledger
from sandbox.digitalocean.settings import Settings


class Scheduler:
    """Runs actions after a delay.

    Attributes:
        lock: held while the account is read or changed.
        stopped: set by `stop`; no action begins after it.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Runs `action` under the lock after `seconds`; at once if that is 0."""

        def act() -> None:
            if not self.stopped.wait(seconds):
                with self.lock:
                    action()

        if seconds <= 0:
            act()
        else:
            threading.Thread(target=act, daemon=True).start()


def wait_at_least(seconds: Callable[[], float], begin: float, cancelled: threading.Event) -> None:
    """Waits until `seconds` after `begin` (`time.monotonic`) or until `cancelled`; `seconds` may change meanwhile."""
    while (left := begin + seconds() - time.monotonic()) > 0:
        if cancelled.wait(min(left, 0.1)):
            return


@dataclass(frozen=True)
class Context:
    scheduler: Scheduler
    ledger: Ledger
    settings: Settings
