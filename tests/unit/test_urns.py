"""Pins the URN and the parent of every resource: they are in people's state.

A resource with another type token, logical name or parent is another resource, so Pulumi deletes the old one. Whoever
changes a line of tests/unit/urns/ adds an alias to the resource and an entry to the changelog (CONTRIBUTING.md).

`python -m tests.unit.test_urns` writes the files anew.
"""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.unit.configurations import DOMAIN, FOO, PROJECT, shared
from tests.unit.conftest import Recording, recorded

CONFIGURATIONS = {
    **shared("example autoscale", "example everything", "local"),
    "domain, canary, monitoring": {
        "stack": "dev",
        "config": DOMAIN
        | {
            "kong-doks:gateway": {"monitoring": True, "replicas": 2, "rateLimit": {"minute": 60}},
            "kong-doks:services": [FOO | {"canary": {"image": "user/foo:2"}}],
        },
    },
    "vpc, pools, pull, namespace": {
        "stack": "dev",
        "config": {
            "kong-doks:vpc": {"name": "shop"},
            "kong-doks:nodePools": {"batch": {"size": "s-2vcpu-4gb"}},
            "kong-doks:namespace": "shop",
            "kong-doks:registry": {"kind": "digitalocean", "name": "mine", "existing": True},
            "kong-doks:services": [
                {"name": "web", "path": "/", "image": "ghcr.io/user/web:1"}
                | {"pull": {"server": "ghcr.io", "username": "user", "password": "planted-" + "word"}},
                FOO,
            ],
        },
        "secret_keys": ["kong-doks:services"],
    },
}

PINNED = PROJECT / "tests" / "unit" / "urns"
NAMES = ["dev", *CONFIGURATIONS]


def identities(recording: Recording) -> list[str]:
    """Returns a line for each resource: its types from the outermost parent on, its name, and its parent's name."""

    def short(urn: str) -> str:
        return urn.partition("::")[2].partition("::")[2]

    return sorted(
        f"{short(resource.urn)} in {short(resource.parent).rpartition('::')[2]}".removesuffix(" in ")
        for resource in recording.resources
    )


def pinned(name: str) -> Path:
    return PINNED / f"{name.replace(', ', '-').replace(' ', '-')}.txt"


@pytest.mark.parametrize("name", NAMES)
def test_every_urn_is_unchanged(run: Callable[[str], Recording], name: str) -> None:
    recording = run(name)
    assert recording.errors == []
    assert identities(recording) == pinned(name).read_text().splitlines()


def test_a_resource_of_each_type_is_pinned(recordings: dict[str, Recording]) -> None:
    """Of all configurations of the unit tests that run with this one."""

    def types(lines: Iterable[str]) -> set[str]:
        return {line.partition("::")[0] for line in lines}

    files = set().union(*(types(pinned(name).read_text().splitlines()) for name in NAMES))
    assert set().union(*(types(identities(recording)) for recording in recordings.values())) == files


@pytest.mark.parametrize("change", ["type", "name", "parent"])
def test_a_changed_urn_is_detected(dev: Recording, change: str) -> None:
    first, *others = dev.resources
    urn = {"type": first.urn.replace("kong-doks:", "other:"), "name": f"{first.urn}2"}.get(change, first.urn)
    parent = f"{first.parent}2" if change == "parent" else first.parent
    changed = dataclasses.replace(dev, resources=[dataclasses.replace(first, urn=urn, parent=parent), *others])
    assert identities(changed) != identities(dev)


if __name__ == "__main__":
    for written, recording in recorded(shared("dev") | CONFIGURATIONS).items():
        pinned(written).write_text("".join(f"{line}\n" for line in identities(recording)))
