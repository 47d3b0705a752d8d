"""The kinds of Kong's chart, in a cluster that has an earlier version of them."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.host.paths import RUN
from tests.e2e.configured import configured
from tests.e2e.stack import Stack

pytestmark = pytest.mark.soak

NAME = "kongplugins.configuration.konghq.com"


@pytest.fixture
def newer_chart(stack: Stack) -> Iterator[None]:  # noqa: ARG001 -- the repository is the running sandbox's
    """The chart in the repository, with a definition that has one more short name."""
    (archive,) = (RUN / "charts").glob("kong-*.tgz")
    before = archive.read_bytes()
    archive.write_bytes(renewed(archive))
    yield
    archive.write_bytes(before)


def renewed(path: Path) -> bytes:
    target = io.BytesIO()
    with tarfile.open(path) as source, tarfile.open(fileobj=target, mode="w:gz") as archive:
        for member in source.getmembers():
            content = source.extractfile(member)
            data = content.read() if content else b""
            if member.name.endswith("_kongplugins.yaml"):
                definition = yaml.safe_load(data)
                definition["spec"]["names"]["shortNames"].append("newer")
                data = yaml.safe_dump(definition).encode()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def names(stack: Stack) -> list[str]:
    definition: dict[str, Any] = stack.kubernetes("crd", NAME)
    names: list[str] = definition["spec"]["names"]["shortNames"]
    return names


@pytest.mark.usefixtures("newer_chart")
def test_a_chart_upgrade_updates_the_crds_and_keeps_every_object(stack: Stack) -> None:
    with configured(stack) as changed:
        changed.up({"name": "foo", "path": "/foo", "build": "apps/foo", "bodyLimit": 1})
        (plugin,) = stack.kubernetes("kongplugin")["items"]
        assert "newer" in names(stack)
        (same,) = stack.kubernetes("newer")["items"]
        assert same["metadata"]["uid"] == plugin["metadata"]["uid"]
