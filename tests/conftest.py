"""Fixtures that several tiers share: one sandbox for the whole run, one bring-up of the stack for all tests on it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sandbox import cleanup
from sandbox.__main__ import daemon_pid
from sandbox.host.paths import LOGS, PROJECT
from tests.e2e.stack import Stack, control, copy_checkout
from tests.standins.gateway import Gateway, running, served
from tests.support import eventually, sandbox_command

# How much Hypothesis tries: a little each time, the same; much more, and different each time, with `make soak`.
# Durations are the machine's; a test that hangs ends by its own time-out.
settings.register_profile(
    "quick",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=25,
    derandomize=True,
    database=None,
)
settings.register_profile("soak", deadline=None, max_examples=2000, database=None, print_blob=True)
settings.load_profile("quick")


def pytest_itemcollected(item: pytest.Item) -> None:
    """All that needs the one sandbox can be chosen, and run beside the rest."""
    if "sandbox" in getattr(item, "fixturenames", ()):
        item.add_marker("sandbox")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `last` end what the others share, so they run after them, in the order of their number."""

    def number(item: pytest.Item) -> int:
        marker = item.get_closest_marker("last")
        return int(marker.args[0]) if marker else 0

    items.sort(key=number)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The proxy stand-in with nothing set; modules that need more have their own."""
    with running(tmp_path_factory.mktemp("kong")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    """Yields the port of a service that echoes requests."""
    with served() as port:
        yield port


def _new_files() -> str:
    """Files of the checkout that git neither keeps nor ignores."""
    command = ("git", "ls-files", "--others", "--exclude-standard")
    return subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def sandbox() -> Iterator[None]:
    """A running sandbox with an empty account; at the end nothing of it may be left on the machine."""
    if daemon_pid():
        pytest.exit("a sandbox is up, and these tests need an empty one: `make down` first", returncode=3)
    before = _new_files()
    sandbox_command("start")
    yield
    print((LOGS / "daemon.log").read_text()[-4000:] if LOGS.exists() else "no logs")  # shown if something fails
    sandbox_command("stop")
    assert cleanup.leftovers() == []
    assert _new_files() == before


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout that tests may edit."""
    folder = tmp_path_factory.mktemp("project")
    copy_checkout(folder, without=("sandbox/", "tests/"))
    return folder


@pytest.fixture(scope="session")
def stack(sandbox: None, project: Path) -> Stack:  # noqa: ARG001 -- needs a running sandbox
    """The stack of Pulumi.sandbox.yaml, up."""
    stack = Stack(project)
    control("DELETE", "calls")
    stack.pulumi("preview")
    stack.calls_of_first_preview = control("GET", "calls")
    stack.up()
    # All of it fits the tutorial's node beside the room that DOKS's own pods take.
    eventually(lambda: stack.kubernetes("daemonset", "doks", "-n", "kube-system")["status"]["numberReady"] == 1)
    return stack
