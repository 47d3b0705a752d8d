"""The commands' own reading of the configuration agrees with the program's."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.config import settings
from ops.cluster import helm_records as release
from ops.pulumi.stack import Stack
from tests.unit.conftest import PROJECT, Recording


@pytest.mark.parametrize("name", ["dev", "sandbox", "local"])
def test_the_commands_see_the_stack_that_the_program_sees(name: str) -> None:
    config = yaml.safe_load((PROJECT / f"Pulumi.{name}.yaml").read_text())["config"]
    own = {key: value for key, value in config.items() if ":" not in key}
    theirs = settings.Settings.model_validate(own)
    ours = Stack(name, PROJECT).settings
    for field in type(ours).model_fields:
        if field not in ("registry", "services", "gateway"):
            assert getattr(ours, field) == getattr(theirs, field), field
    assert [each.build for each in ours.services] == [each.build for each in theirs.services]
    for field in type(ours.registry).model_fields:
        assert getattr(ours.registry, field) == getattr(theirs.registry, field), field


@pytest.mark.parametrize(
    "service",
    [
        {"build": "apps/foo"},
        {"image": "a:1"},
        {"image": "a:1", "canary": {"build": "apps/foo"}},
        {"image": "a:1", "canary": {"image": "a:2"}},
        {"blueGreen": {"blue": {"image": "a:1"}, "green": {"build": "apps/foo"}, "live": "blue"}},
        {"blueGreen": {"green": {"image": "a:2"}, "live": "green"}},
    ],
)
def test_the_commands_know_whether_a_stack_builds_anything(tmp_path: Path, service: dict[str, Any]) -> None:
    services = [{"name": "foo", "path": "/foo"} | service]
    (tmp_path / "Pulumi.yaml").write_text((PROJECT / "Pulumi.yaml").read_text())
    (tmp_path / "Pulumi.dev.yaml").write_text(json.dumps({"config": {"kong-doks:services": services}}))
    theirs = settings.Settings.model_validate({"services": services})
    assert Stack("dev", tmp_path).settings.uses_registry == bool(theirs.built_images)


def test_a_value_of_the_wrong_type_is_said_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text((PROJECT / "Pulumi.yaml").read_text())
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {'kong-doks:nodeCount': many}")
    with pytest.raises(Exception, match=r"Pulumi.dev.yaml: kong-doks:nodeCount: .*integer.*; fix: "):
        Stack("dev", tmp_path)


def test_an_aggregate_is_built_and_so_needs_the_registry(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text((PROJECT / "Pulumi.yaml").read_text())
    file = tmp_path / "Pulumi.dev.yaml"
    config: dict[str, object] = {"kong-doks:services": [{"name": "web", "path": "/", "image": "nginx:1.29.3"}]}
    file.write_text(yaml.safe_dump({"config": config}))
    assert not Stack("dev", tmp_path).settings.makes_registry
    config["kong-doks:aggregates"] = [{"name": "all", "path": "/all", "backends": {"web": "/"}}]
    file.write_text(yaml.safe_dump({"config": config}))
    assert Stack("dev", tmp_path).settings.makes_registry


def test_the_commands_know_where_every_release_is(recordings: dict[str, Recording]) -> None:
    found = {
        (each.name, each.inputs["name"], each.inputs["namespace"])
        for recording in recordings.values()
        for each in recording.of("Release")
    }
    assert found == {(name, name, namespace) for name, namespace in release.NAMESPACES.items()}


@pytest.mark.parametrize(
    ("monitoring", "grafana"), [(True, True), ({}, True), ({"grafana": False}, False), ({"retention": "2w"}, True)]
)
def test_the_commands_know_whether_a_stack_has_grafana(tmp_path: Path, monitoring: object, *, grafana: bool) -> None:
    (tmp_path / "Pulumi.yaml").write_text((PROJECT / "Pulumi.yaml").read_text())
    gateway = {"monitoring": monitoring}
    (tmp_path / "Pulumi.dev.yaml").write_text(json.dumps({"config": {"kong-doks:gateway": gateway}}))
    theirs = settings.Settings.model_validate({"gateway": gateway}).gateway.monitoring
    assert theirs
    assert Stack("dev", tmp_path).settings.grafana == theirs.grafana == grafana
