"""Errors and warnings of the program before the first resource."""

import json
import os
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import loader
from infra.config.stack_file import OPTION
from tests.unit.configurations import FOO

_MANY = [
    FOO | {"name": f"s{number}", "path": f"/s{number}", "resources": {"requests": {"cpu": "100m"}}}
    for number in range(12)
]


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", found.append)
    monkeypatch.setattr(pulumi, "get_project", lambda: "kong-doks")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr(pulumi.runtime, "is_config_secret", lambda _: False)
    monkeypatch.setenv(OPTION, os.devnull)
    return found


def _configure(monkeypatch: pytest.MonkeyPatch, **keys: Any) -> None:  # noqa: ANN401 -- JSON
    texts = {f"kong-doks:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in keys.items()}
    monkeypatch.setattr(pulumi.runtime, "get_config_env", lambda: texts)


def test_pods_that_do_not_fit_are_a_warning_with_the_fix(warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _configure(monkeypatch, services=_MANY)
    loader.load_config()
    (warning,) = warnings
    assert warning.startswith("kong-doks:nodeCount: ")
    assert "fix: pulumi config set nodeCount" in warning


def test_the_warning_names_the_pools_key(warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    _configure(
        monkeypatch,
        services=[FOO | {"pool": "batch", "resources": resources}],
        nodePools={"batch": {"size": "s-2vcpu-4gb"}},
    )
    loader.load_config()
    (warning,) = warnings
    assert warning.startswith("kong-doks:nodePools.batch.count: ")


@pytest.mark.parametrize("changed", [{"nodeCount": 6}, {"services": [FOO]}, {"kubeContext": "docker-desktop"}])
def test_no_warning_if_pods_fit_or_the_cluster_exists(
    warnings: list[str], monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    registry = {"kind": "none"} if "kubeContext" in changed else {}
    _configure(monkeypatch, **{"services": _MANY, "registry": registry} | changed)
    loader.load_config()
    assert warnings == []


def test_a_config_file_that_ops_would_not_read_is_refused(
    warnings: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    errors: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", errors.append)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(OPTION)
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {clusterName: my-cluster, kong-doks:region: nyc1}\n")
    _configure(monkeypatch, clusterName="other", services=[FOO])
    with pytest.raises(SystemExit):
        loader.load_config()
    (text,) = errors
    first, second = text.splitlines()
    assert first == (
        "kong-doks:clusterName: \"my-cluster\" in the stack's file differs from Pulumi's configuration: "
        "--config-file names another file; allowed: one file for all commands; "
        "fix: export PULUMI_OPTION_CONFIG_FILE=FILE instead, which ops reads as well"
    )
    assert second.startswith("kong-doks:region: \"nyc1\" in the stack's file differs from Pulumi's configuration")
    (tmp_path / "other.yaml").write_text("config: {clusterName: other}\n")
    monkeypatch.setenv(OPTION, "other.yaml")
    assert loader.load_config().cluster_name == "other"
    assert warnings == []


@pytest.mark.parametrize(
    "written",
    [
        "{clusterName: other}",
        "{nodeCount: 2, clusterName: other, kong-doks:ha: no}",
        "{clusterName: {secure: v1:planted}}",
        "{digitalocean:apiEndpoint: 'http://127.0.0.1:1', clusterName: other}",
        "[]",
    ],
)
def test_ambiguous_yaml_is_not_another_file(
    warnings: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str
) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(f"config: {written}\n")
    monkeypatch.setenv(OPTION, str(tmp_path / "Pulumi.dev.yaml"))
    _configure(monkeypatch, clusterName="other", services=[FOO], nodeCount="2", ha="false")
    assert loader.load_config().cluster_name == "other"
    assert warnings == []
