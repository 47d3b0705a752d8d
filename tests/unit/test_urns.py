"""Pins the URN and the parent of every resource: they are in people's state.

A resource with another type token, logical name or parent is another resource, so Pulumi deletes the old one. Whoever
changes a line of tests/unit/urns/ adds an alias to the resource and an entry to the changelog.
"""

import dataclasses
from collections.abc import Callable

import pytest

from tests.unit.configurations import DOMAIN, FOO, PROJECT, shared
from tests.unit.conftest import Recording

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
}

PINNED = PROJECT / "tests" / "unit" / "urns"
NAMES = ["dev", "local", "example autoscale", "example everything", "domain, canary, monitoring"]


def identities(recording: Recording) -> list[str]:
    """Returns a line for each resource: its types from the outermost parent on, its name, and its parent's name."""

    def short(urn: str) -> str:
        return urn.partition("::")[2].partition("::")[2]

    return sorted(
        f"{short(resource.urn)} in {short(resource.parent).rpartition('::')[2]}".removesuffix(" in ")
        for resource in recording.resources
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_urn_is_unchanged(run: Callable[[str], Recording], name: str) -> None:
    pinned = (PINNED / f"{name.replace(', ', '-').replace(' ', '-')}.txt").read_text().splitlines()
    assert identities(run(name)) == pinned


@pytest.mark.parametrize("change", ["type", "name", "parent"])
def test_a_changed_urn_is_detected(dev: Recording, change: str) -> None:
    first, *others = dev.resources
    urn = {"type": first.urn.replace("kong-doks:", "other:"), "name": f"{first.urn}2"}.get(change, first.urn)
    parent = f"{first.parent}2" if change == "parent" else first.parent
    changed = dataclasses.replace(dev, resources=[dataclasses.replace(first, urn=urn, parent=parent), *others])
    assert identities(changed) != identities(dev)
