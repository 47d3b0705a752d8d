"""Commands of guides that need an account and a state, but nothing that runs."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.e2e.api_server import ApiServer
from tests.e2e.pages import Guide
from tests.reliability.part import Part, until
from tests.reliability.whole import Whole


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    part = Part(tmp_path)
    part.environment["PULUMI_SKIP_CONFIRMATIONS"] = "true"
    yield part
    part.stop()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    whole = Whole(tmp_path)
    whole.environment["PULUMI_SKIP_CONFIRMATIONS"] = "true"
    yield whole
    whole.stop()


def test_the_guide_to_registries_works_as_typed(part: Part) -> None:
    with Guide("how-to/choose-a-registry.md") as guide:
        part.types(guide.commands(), answer="planted-password")
    config = (part.project / "Pulumi.dev.yaml").read_text()
    assert "planted-password" not in config
    part.types("pulumi preview")


@pytest.fixture
def endpoint() -> Iterator[str]:
    """An object storage with the bucket my-bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    key = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **key).create_bucket(Bucket="my-bucket")
    yield endpoint
    server.stop()


def test_the_guide_to_a_state_in_a_bucket_works_as_typed(whole: Whole, endpoint: str) -> None:
    del whole.environment["PULUMI_BACKEND_URL"]
    with Guide("how-to/keep-the-state-in-a-bucket.md") as guide:
        login = guide.commands().replace("...", "test").replace("https://nyc3.digitaloceanspaces.com", endpoint)
        whole.types(f"{login}\npulumi stack init dev")
        whole.up()
        # Pulumi's ~ is the user's home, whatever HOME is.
        home = whole.project.parent / "files"
        home.mkdir()
        to_files = guide.commands().replace("~", str(home))
        whole.types(guide.commands())
        assert "KubernetesCluster" in (whole.project / "backup.json").read_text()
        # Another backend, without the stack.
        whole.types(f"{to_files}\npulumi stack ls")
        restored = whole.types(guide.commands().replace("<stack>", "dev"))
        assert "state and account agree" in restored
    assert whole.ends_at_zero()


def test_the_guide_to_another_size_works_as_typed(part: Part, tmp_path: Path) -> None:
    part.up()
    (record,) = part.account.cloud.clusters.records.values()
    api_server = ApiServer(tmp_path)
    record.kubernetes = api_server.kubernetes
    with Guide("how-to/resize-a-node-pool.md") as guide:
        part.types(guide.commands(), answer="y\n")
    api_server.stop()
    (pool,) = record.document["node_pools"]
    assert (pool["name"], pool["size"]) == ("mycluster-default-pool", "s-2vcpu-4gb")
    part.types("pulumi preview --expect-no-changes")
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


def test_the_guide_to_upgrades_works_as_typed(part: Part) -> None:
    part.configure(kubernetesVersion="1.34")
    part.up()
    with Guide("how-to/upgrade-kubernetes.md") as guide:
        assert "pulumi up upgrades cluster mycluster from 1.34.10-do.0 to 1.35" in part.types(guide.commands())
    (record,) = part.account.cloud.clusters.records.values()
    until(lambda: record.document["version"] == "1.35.7-do.0")
    part.types("pulumi preview --expect-no-changes")
    assert part.ends_at_zero()
