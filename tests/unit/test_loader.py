"""What the program says of a configuration before the first resource."""

import json
from typing import Any

import pulumi
import pytest

from infra import loader
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


def test_the_warning_names_the_pool_that_is_short(warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
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
