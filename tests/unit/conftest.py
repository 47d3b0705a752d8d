"""Runs the program once for each configuration of the collected tests, and returns plain data."""

import functools
import json
import operator
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from tests.unit.configurations import PROJECT, shared


@dataclass(frozen=True)
class Resource:
    """A resource that the program registered, or looked up by its `id`; `needs` exists before and is deleted after it.

    `frames` are the files of its stack trace, as URIs, the innermost first.
    """

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    needs: list[str]
    frames: list[str]
    created: bool
    parent: str = ""
    id: str = ""
    deleted_with: str = ""
    retained: bool = False
    ignore_changes: list[str] = field(default_factory=list)
    create_timeout: str = ""
    update_timeout: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def annotations(self) -> dict[str, Any]:
        """Annotations of a Kubernetes object, but for patchForce, which every object has in the stack's own cluster."""
        annotations: dict[str, Any] = self.inputs["metadata"].get("annotations", {})
        return {name: value for name, value in annotations.items() if name != "pulumi.com/patchForce"}


@dataclass(frozen=True)
class Recording:
    """One run of the program; `finished` are the components that registered outputs, by URN."""

    resources: list[Resource]
    outputs: dict[str, Any]
    finished: list[str]
    invoked: list[str]
    errors: list[str]
    warnings: list[str]
    status: int

    def of(self, kind: str) -> list[Resource]:
        """All resources of a type, by the last part of its token; components of this project have none of these."""
        return [r for r in self.resources if r.type.rpartition(":")[2] == kind and not r.type.startswith("kong-doks:")]

    def one(self, kind: str, name: str | None = None) -> Resource:
        (matching,) = [r for r in self.of(kind) if name in (None, r.name)]
        return matching

    def pod(self, name: str) -> dict[str, Any]:
        """Returns the pod spec of a Deployment."""
        spec: dict[str, Any] = self.one("Deployment", name).inputs["spec"]["template"]["spec"]
        return spec

    @cached_property
    def _by_urn(self) -> dict[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    def before(self, resource: Resource) -> set[str]:
        """Everything that has to exist before a resource, directly or not, as "Type name"."""
        names: set[str] = set()
        waiting = list(resource.needs)
        while waiting:
            if (urn := waiting.pop()) in self._by_urn and urn not in names:
                names.add(urn)
                waiting += self._by_urn[urn].needs
        custom = [self._by_urn[urn] for urn in names if not self._by_urn[urn].type.startswith("kong-doks:")]
        return {f"{resource.type.rpartition(':')[2]} {resource.name}" for resource in custom}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need recordings come after the others, during which these are made."""
    items.sort(key=_needs_recordings)


def _needs_recordings(item: pytest.Item) -> bool:
    return "recordings" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session", autouse=True)
def recording(request: pytest.FixtureRequest) -> Iterator[list[Future[dict[str, Recording]]]]:
    """Begins, if any test needs it, in two processes: they are started before a test replaces parts of Python."""
    runs = _configurations(request.session.items)
    names = list(runs)
    parts = [{name: runs[name] for name in part} for part in (names[::2], names[1::2]) if part]
    started = [(_recorder(), part) for part in parts]
    with ThreadPoolExecutor() as at_once:
        yield [at_once.submit(_recordings_of, process, part) for process, part in started]


@pytest.fixture(scope="session")
def recordings(recording: list[Future[dict[str, Recording]]]) -> dict[str, Recording]:
    return functools.reduce(operator.or_, (part.result() for part in recording))


def _configurations(items: list[pytest.Item]) -> dict[str, dict[str, Any]]:
    """Returns the configurations of the modules whose tests need recordings."""
    modules = {item.module for item in items if isinstance(item, pytest.Function) and _needs_recordings(item)}
    configurations = shared("dev") if modules else {}
    for module in modules:
        configurations |= getattr(module, "CONFIGURATIONS", {})
    return configurations


def recorded(runs: dict[str, dict[str, Any]]) -> dict[str, Recording]:
    return _recordings_of(_recorder(), runs)


def _recorder() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.record"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # An output that is formatted into a string by mistake is an error instead of a warning in the string.
        env=os.environ | {"PULUMI_ERROR_OUTPUT_STRING": "true"},
        cwd=PROJECT,
    )


def _recordings_of(process: subprocess.Popen[str], runs: dict[str, dict[str, Any]]) -> dict[str, Recording]:
    printed, errors = process.communicate(json.dumps(runs))
    assert process.returncode == 0, errors
    return {
        name: Recording(**{**run, "resources": [Resource(**resource) for resource in run["resources"]]})
        for name, run in json.loads(printed).items()
    }


@pytest.fixture(scope="session")
def run(recordings: dict[str, Recording]) -> Callable[[str], Recording]:
    return recordings.__getitem__


@pytest.fixture(scope="session")
def dev(recordings: dict[str, Recording]) -> Recording:
    return recordings["dev"]
