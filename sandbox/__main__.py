"""python -m sandbox: the sandbox's commands. `make up`, `make down` and the tests call them."""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import httpx
import typer
from rich.console import Console

from sandbox import cleanup, demo, examples
from sandbox.charts import repository as charts
from sandbox.environment import SHELL, NotRunningError
from sandbox.host.addresses import ACME, API, address
from sandbox.host.errors import SandboxError
from sandbox.host.paths import CACHE, LOGS, PROJECT, RUN
from sandbox.host.progress import Report
from sandbox.images import catalog as images
from sandbox.toolchain.build import demand, provide
from sandbox.toolchain.errors import ToolsError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False)

_PID = RUN / "daemon.pid"
_READY = RUN / "ready"
_START_SECONDS = 240
_ENDING_SECONDS = 60


def _is_listening(url: str) -> bool:
    try:
        socket.create_connection(address(url), timeout=1).close()
    except ConnectionRefusedError:
        return False
    except TimeoutError:  # a server listens, and its queue of connections is full
        return True
    return True


def _fail(text: str, status: int = 1) -> NoReturn:
    """Ends the command with an error in one line."""
    console.print(text, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(status)


def _check_no_other_sandbox() -> None:
    """Ends the command if a sandbox of another user, or of another HOME, runs: the machine has room for one."""
    end = time.monotonic() + _ENDING_SECONDS
    while not daemon_pid() and _is_listening(API):
        if not _is_ending() or time.monotonic() > end:
            _fail(
                f"{API}: answers, so a sandbox of another user or HOME runs; allowed: one a machine; "
                "fix: `make down` as that user"
            )
        time.sleep(0.1)


def _is_ending() -> bool:
    """Reports whether the sandbox was killed: its process has no command line any more, and may still listen."""
    try:
        return not Path(f"/proc/{int(_PID.read_text())}/cmdline").read_bytes()
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    try:
        yield
    except SandboxError as error:
        _fail(str(error))
    except httpx.TransportError as error:
        _fail(f"the sandbox doesn't answer ({error}): see {LOGS}")


def _check_machine() -> None:
    if platform.system() != "Linux" or not shutil.which("apt-get") or os.geteuid() != 0:
        _fail(
            "The sandbox runs as root on Debian or Ubuntu. Anywhere else use a cluster that you have: "
            "docs/how-to/use-your-own-cluster.md."
        )


def daemon_pid() -> int | None:
    """The process id of the running sandbox, if one runs."""
    try:
        pid = int(_PID.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return pid if b"sandbox.daemon" in command else None


@app.command()
def tools() -> None:
    """Install and build what the sandbox needs and the machine lacks."""
    _check_machine()
    with _errors_in_one_line():
        provide(Report(console))


@app.command()
def start() -> None:
    """Start the sandbox: an empty DigitalOcean account on this machine."""
    _check_machine()
    report = Report(console)
    with _errors_in_one_line():
        provide(report)
    _start(report)


def _start(report: Report) -> None:
    with _errors_in_one_line():
        if daemon_pid():
            report.say("the sandbox is running already")
            return
        _check_no_other_sandbox()
        cleanup.clean()
        _PID.write_text(str(_start_process(report, "start the sandbox", "sandbox.daemon", _READY, LOGS / "daemon.log")))


def _start_process(report: Report, name: str, module: str, ready: Path, log: Path) -> int:
    """Starts a module that makes the file `ready`; returns its process id then.

    `stop` recognises the process by this argument, which lies in the run directory.

    Raises:
        ToolsError: it ended, or didn't make the file in time.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with report.step(name) as step, log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(ready)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        end = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise ToolsError(f"{module} did not start; the end of {log}:\n{log.read_text()[-1500:]}")
            lines = log.read_text().splitlines()
            step.detail(lines[-1] if lines else "")
            time.sleep(0.1)
    return process.pid


def _check_running() -> None:
    if not daemon_pid():
        raise NotRunningError


@app.command()
def certificates() -> None:
    """Give the running sandbox what a stack with a domain needs: an ACME authority, name servers, cert-manager."""
    with _errors_in_one_line():
        _check_running()
        _start_acme(Report(console))
        console.print(f"ACME directory: {ACME}\nits certificate: {RUN / 'acme' / 'ca.crt'}", soft_wrap=True)


@app.command()
def autoscaling() -> None:
    """Give the running sandbox what a stack with autoscale needs: metrics-server's image and chart."""
    with _errors_in_one_line():
        _check_running()
        examples.add_metrics_server(Report(console))


def _start_acme(report: Report) -> None:
    demand("pebble", report)
    folder = RUN / "acme"
    if not (folder / "ready").exists():
        images.publish(report.say, images.CERTIFICATES)
        charts.add_cert_manager()
        _start_process(report, "start the ACME authority", "sandbox.acme.server", folder / "ready", LOGS / "acme.log")


@app.command()
def stop() -> None:
    """Stop the sandbox and remove everything that it left on the machine, also after a crash."""
    _check_machine()
    _check_no_other_sandbox()
    with _errors_in_one_line(), Report(console).step("stop the sandbox"):
        if pid := daemon_pid():
            os.kill(pid, signal.SIGTERM)
            end = time.monotonic() + 40
            while daemon_pid() and time.monotonic() < end:
                time.sleep(0.1)
        cleanup.clean()
        shutil.rmtree(RUN, ignore_errors=True)
        for example in examples.NAMES:
            examples.stack_file(example).unlink(missing_ok=True)
    if left := cleanup.leftovers():
        _fail("left on this machine:\n  " + "\n  ".join(left))
    console.print("the sandbox is gone: no process, mount, interface, rule or cgroup of it is left")


@app.command()
def up(example: str = typer.Option("", help="An example instead of the tutorial: a file of examples/.")) -> None:
    """Start the sandbox, bring the stack up in it and make the tutorial's requests."""
    if example and example not in examples.NAMES:
        _fail(f"EXAMPLE: {example!r} is no example; allowed: {', '.join(examples.NAMES)}", 2)
    # `make` passes its own start: it may have installed the Python packages first.
    started = float(os.environ.get("KONG_DOKS_STARTED") or time.time())
    _check_machine()
    report = Report(console)
    console.print(
        "Starts the sandbox on this machine, and brings the stack up in it: about a minute, and five more the first "
        f"time, to compile Kubernetes.\nCaches stay in {CACHE}; `make down` removes the rest.",
        markup=False,
    )
    with _errors_in_one_line():
        compiled = provide(report)
        provided = time.time()
    _start(report)
    with _errors_in_one_line():
        if example:
            examples.prepare(example, report, lambda: _start_acme(report))
            console.print(f"stack file: {examples.stack_file(example)}", soft_wrap=True)
        demo.up(console, examples.stack_name(example) if example else demo.STACK)
    text = f"\nmake up: {time.time() - started:.0f} s in all"
    if compiled:
        text += f", {provided - started:.0f} s of it once; the next takes about {time.time() - provided:.0f} s"
    console.print(text, style="bold")


@app.command()
def down() -> None:
    """Destroy the stack, show the bill at zero, stop the sandbox."""
    if not daemon_pid():
        console.print("no sandbox is running")
        stop()
        return
    with _errors_in_one_line():
        demo.down(console)
    stop()
    console.print(f"A shell in which you sourced {SHELL} still has its variables: open another.", soft_wrap=True)


@app.command()
def image(name: str) -> None:
    """Make an image that only some stacks need: valkey, for rate limits of several gateways."""
    if name not in images.OPTIONAL:
        _fail(f"no such image: {name}; there are: {', '.join(images.OPTIONAL)}", 2)
    with _errors_in_one_line(), Report(console).step(f"image {name}"):
        images.publish(lambda _: None, [images.OPTIONAL[name]()])


@app.command()
def bill() -> None:
    """Show what the stand-in for DigitalOcean bills, and billed."""
    with _errors_in_one_line():
        demo.bill(console)


@app.command()
def status() -> None:
    """Say whether a sandbox runs, and what an earlier one left."""
    if pid := daemon_pid():
        console.print(f"running, process {pid}; DigitalOcean's API at {API}; logs in {LOGS}")
        return
    console.print("not running")
    for line in cleanup.leftovers():
        console.print(f"left over: {line}", markup=False)


if __name__ == "__main__":
    app()
