"""`pulumi new` of this repository: a project with another name, by the real CLI."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.git_server import served
from tests.e2e.stack import copy_checkout
from tests.reliability.whole import Planned

CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"


class NewProject(Planned):
    """A project that was made from this repository as a template."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.template = folder / "template"
        copy_checkout(self.template)
        # The packages are this interpreter's, found on PATH.
        settings = self.template / "Pulumi.yaml"
        settings.write_text(settings.read_text().replace("    virtualenv: .venv\n", ""))
        self.project = folder / "shop"
        self.project.mkdir()

    def planned_cluster(self) -> dict[str, Any]:
        steps = json.loads(self.run("pulumi", "preview", "--json").stdout)["steps"]
        (cluster,) = (step["newState"]["inputs"] for step in steps if step["newState"]["type"] == CLUSTER)
        found: dict[str, Any] = cluster
        return found


@pytest.fixture
def new(tmp_path: Path) -> Iterator[NewProject]:
    new = NewProject(tmp_path)
    yield new
    new.stop()


def test_a_new_project_with_another_name_works_and_reads_its_configuration(new: NewProject, tmp_path: Path) -> None:
    options = ("--yes", "--name", "shop-gateway", "--stack", "staging", "--generate-only")
    with served(new.template, tmp_path) as (url, authority):
        new.environment |= {"SSL_CERT_FILE": str(authority), "NO_PROXY": "localhost,127.0.0.1"}
        printed = new.run("pulumi", "new", url, *options).stdout
    del new.environment["SSL_CERT_FILE"]
    assert "python -m ops cost" in printed
    assert "name: shop-gateway\n" in (new.project / "Pulumi.yaml").read_text()
    new.types(f"""
pulumi stack init staging
pulumi config set nodeCount 2
pulumi config set region fra1
pulumi config set chartRepository {new.config["chartRepository"]}
""")
    cluster = new.planned_cluster()
    assert (cluster["region"], cluster["nodePool"]["nodeCount"], cluster["nodePool"]["size"]) == (
        "fra1",
        2,
        "s-1vcpu-2gb",
    )
