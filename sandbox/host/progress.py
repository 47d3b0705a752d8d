"""Long steps, shown with elapsed time: live on a terminal, line by line elsewhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_HEARTBEAT_SECONDS = 30


class Step:
    """A running step; `detail` is its current activity."""

    def __init__(self, name: str, progress: Progress, task: TaskID) -> None:
        self.name = name
        self.started = time.monotonic()
        self.last_detail = ""
        self._progress = progress
        self._task = task

    def detail(self, text: str) -> None:
        self.last_detail = text
        self._progress.update(self._task, detail=text[-60:])


class Report:
    """Shows steps; several may run at once, from several threads."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._started = time.monotonic()
        self._steps: set[Step] = set()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self._started:7.1f} s[/dim]  {text}", soft_wrap=True)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        step = Step(name, self._progress, self._progress.add_task(name, detail="", total=None))
        with self._lock:
            if not self._steps:
                self._progress.start()
            self._steps.add(step)
        if not self.console.is_terminal:
            self.say(f"{name} ...")
        ended = threading.Event()
        threading.Thread(target=self._beat, args=(step, ended), daemon=True).start()
        try:
            yield step
            self.say(f"{name}: {time.monotonic() - step.started:.1f} s")
        finally:
            ended.set()
            self._progress.remove_task(step._task)  # noqa: SLF001 -- a step is this module's own
            with self._lock:
                self._steps.discard(step)
                if not self._steps:
                    self._progress.stop()

    def _beat(self, step: Step, ended: threading.Event) -> None:
        if self.console.is_terminal:
            return
        while not ended.wait(_HEARTBEAT_SECONDS):
            self.say(f"{step.name}: {time.monotonic() - step.started:.0f} s so far; {step.last_detail}")
