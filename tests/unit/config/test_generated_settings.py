"""Any stack file deploys or is refused with errors: no traceback, no hang, no call."""

import copy
import functools
import multiprocessing
import operator
import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from hypothesis import event, given, target
from hypothesis import strategies as st

from tests.unit.configurations import EXAMPLES, POLICIES, PROJECT
from tests.unit.loading import PROJECT_NAME as NAMESPACE
from tests.unit.record import STACKS, record

BASES = [STACKS["dev"], STACKS["local"], *EXAMPLES.values(), POLICIES]
# One line for each mistake; values are JSON, so a line break in one doesn't end the line.
MISTAKE = re.compile(rf"{NAMESPACE}:[^\n]+: .+; allowed: .+; fix: .+")
ODD = ["", " ", "\n", "\0", "-1", "1e400", "NaN", "null", "é", "../..", "/", "a" * 300, "${x}", "{", "[]", '{"a": [']

Place = tuple[str | int, ...]


def places(value: object, place: Place = ()) -> Iterator[Place]:
    """A path in a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*place, key)
        yield from places(item, (*place, key))


def at(value: Any, place: Place) -> Any:  # noqa: ANN401 -- JSON
    return functools.reduce(operator.getitem, place, value)


# What other configurations have at keys of the same name: more often right than what is made up.
SEEN: dict[str | int, list[Any]] = {}
for base in BASES:
    for place in places(base):
        SEEN.setdefault(place[-1], []).append(at(base, place))
KEYS = sorted(str(key) for key in SEEN if isinstance(key, str))

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A configuration that is right, with up to four changes."""
    config: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(0, 4))):
        if not (all_places := list(places(config))):
            break
        *way, key = draw(st.sampled_from(all_places))
        around = at(config, tuple(way))
        match draw(st.sampled_from(["seen", "anything", "remove", "another"])):
            case "seen":
                around[key] = copy.deepcopy(draw(st.sampled_from(SEEN.get(key, [None]))))
            case "anything":
                around[key] = draw(ANYTHING)
            case "remove":
                del around[key]
            case _ if isinstance(around, list):
                around.append(copy.deepcopy(around[int(key)]))
            case _:
                other = draw(st.sampled_from(KEYS))
                prefix = "" if way or other.startswith(f"{NAMESPACE}:") else f"{NAMESPACE}:"
                around[f"{prefix}{other}"] = copy.deepcopy(draw(st.sampled_from(SEEN[other]) | ANYTHING))
    return config


def _prepare() -> None:
    os.chdir(PROJECT)
    os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "true"


@functools.cache
def program() -> ProcessPoolExecutor:
    """A process that runs the program under mocks: Pulumi keeps its runtime in globals."""
    spawned = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(max_workers=1, mp_context=spawned, initializer=_prepare)


@pytest.fixture(scope="module", autouse=True)
def _process_ends() -> Iterator[None]:
    yield
    program().shutdown()
    program.cache_clear()


@given(configurations(), st.booleans())
def test_any_configuration_deploys_or_is_refused_with_fixes(config: dict[str, Any], secret: bool) -> None:
    secrets = [f"{NAMESPACE}:consumers", f"{NAMESPACE}:registry"] if secret else []
    # Its inputs are the engine's; an exception in the program comes out here, and a hang ends as TimeoutError.
    run = {"stack": "dev", "config": config, "secret_keys": secrets}
    recorded = program().submit(record, run).result(timeout=500)
    if recorded["status"] == 0:
        event("deploys")
        target(len(recorded["resources"]))
        assert recorded["errors"] == []
        assert recorded["outputs"]
        return
    event("is refused")
    assert recorded["status"] == 32
    assert recorded["resources"] == []
    (message,) = recorded["errors"]
    lines = message.splitlines()
    assert all(MISTAKE.fullmatch(line) for line in lines), message
    # Look-ups at DigitalOcean change nothing.
    assert recorded["invoked"] == [] or lines[0].startswith((f"{NAMESPACE}:kubernetesVersion", f"{NAMESPACE}:registry"))
