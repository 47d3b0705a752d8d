"""The ids of the stack's own resources, as the Pulumi CLI exports them."""

import json
import subprocess
from typing import Any

import pulumi
import pulumi_digitalocean as digitalocean
import pytest

from infra.own_state import own_ids

_CLUSTER, _VPC = "digitalocean:index/kubernetesCluster:KubernetesCluster", "digitalocean:index/vpc:Vpc"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The resources that `pulumi stack export` prints."""
    resources: list[dict[str, Any]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == ["pulumi", "stack", "export", "--stack"]
        return subprocess.CompletedProcess(command, 0, json.dumps({"deployment": {"resources": resources}}))

    monkeypatch.setattr(subprocess, "run", run)
    for name in ("get_organization", "get_project", "get_stack"):
        monkeypatch.setattr(pulumi, name, lambda: "it")
    return resources


def test_only_the_stacks_own_resources_of_each_class_count(exported: list[dict[str, Any]]) -> None:
    exported += [
        {"type": "pulumi:pulumi:Stack"},
        {"type": _CLUSTER, "id": "own"},
        {"type": _CLUSTER, "id": "read", "external": True},
        {"type": _VPC, "id": "network"},
    ]
    assert own_ids(digitalocean.KubernetesCluster, digitalocean.Vpc) == [{"own"}, {"network"}]
    exported.clear()
    assert own_ids(digitalocean.KubernetesCluster) == [set()]
