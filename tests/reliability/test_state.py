"""A state in object storage, as on Spaces: who holds its lock, and how it comes back."""

import getpass
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from tests.reliability.part import Part, until
from tests.support import PATIENCE

pytestmark = pytest.mark.soak


class Bucket:
    """The bucket `state` of an object storage; an object of it is read only with a key."""

    def __init__(self) -> None:
        self._port = 0
        self.appear()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        # moto has one account for all its servers in a process.
        httpx.post(f"{self.endpoint}/moto-api/reset", timeout=PATIENCE).raise_for_status()
        key = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self._client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **key)
        self._client.create_bucket(Bucket="state")

    def appear(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def vanish(self) -> None:
        """Nobody reaches it any more; what is in it stays."""
        self._server.stop()

    def keys(self, part: str) -> list[str]:
        """The keys that have `part` in them, in their order."""
        entries = self._client.list_objects_v2(Bucket="state")["Contents"]
        return [entry["Key"] for entry in entries if part in entry["Key"]]

    def read(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket="state", Key=key)["Body"].read()
        return content

    def write(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket="state", Key=key, Body=content)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    bucket = Bucket()
    yield bucket
    bucket.vanish()


@pytest.fixture
def part(tmp_path: Path, bucket: Bucket) -> Iterator[Part]:
    part = Part(tmp_path, f"s3://state?endpoint={bucket.endpoint}&region=us-east-1&s3ForcePathStyle=true")
    yield part
    part.stop()


def test_the_lock_of_a_killed_up_in_a_bucket_is_found_and_removed(part: Part) -> None:
    part.cut("up", signal.SIGKILL, lambda: part.has("POST", "/v2/kubernetes/clusters"))
    until(lambda: all(record.state == "running" for record in part.account.cloud.clusters.records.values()))
    findings = part.doctor()
    assert f"of {getpass.getuser()} on {socket.gethostname()}" in findings[0]["problem"]
    assert "which is gone" in findings[0]["problem"]
    assert part.mend()[0].startswith("pulumi cancel")
    assert part.ends_at_zero()


def test_a_concurrent_up_on_a_bucket_is_refused_with_the_lock_owner(part: Part) -> None:
    part.account.settings.cluster_create = 3600
    refused = []

    def second_refuses() -> bool:
        if part.has("POST", "/v2/kubernetes/clusters"):
            (held,) = part.doctor()
            assert "is changing the stack: wait for it" in held["problem"]
            refused.append(part.up(check=False))
            part.account.settings.cluster_create = 0
        return bool(refused)

    part.cut("up", signal.SIGINT, second_refuses)
    said = refused[0].stdout + refused[0].stderr
    assert refused[0].returncode != 0
    assert "the stack is currently locked by 1 lock(s)" in said
    assert f"created by {getpass.getuser()}@{socket.gethostname()}" in said
    part.mend()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


def test_an_unreadable_bucket_is_reported_in_one_line(part: Part) -> None:
    part.environment["PULUMI_BACKEND_URL"] = part.environment["PULUMI_BACKEND_URL"].replace("//state", "//elsewhere")
    done = part.run("python", "-m", "ops", "doctor", check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "bucket does not exist" in done.stderr


def test_an_up_that_lost_its_backend_can_be_continued(part: Part, bucket: Bucket) -> None:
    part.account.settings.cluster_create = 2

    def vanished() -> bool:
        begun = part.has("POST", "/v2/kubernetes/clusters")
        if begun:
            bucket.vanish()
        return begun

    ended = part.cut("up", signal.SIGINT, vanished, times=0)
    assert ended.returncode != 0
    bucket.appear()
    part.mend()
    part.up()
    assert part.doctor() == []
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()


def test_a_truncated_state_is_restored_from_bucket_versions(part: Part, bucket: Bucket) -> None:
    part.up()
    part.configure(nodeCount=2)
    part.up()
    state = ".pulumi/stacks/kong-doks/dev.json"
    bucket.write(state, bucket.read(state)[:1000])
    failed = part.up(check=False)
    assert failed.returncode != 0
    assert "Traceback" not in failed.stdout + failed.stderr
    done = part.run("python", "-m", "ops", "doctor", check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    newest = bucket.keys(".checkpoint.json")[-1]
    assert "history/kong-doks/dev" in newest
    bucket.write(state, bucket.read(newest))
    assert part.doctor() == []
    part.up()
    assert part.clusters_ever() == 1
    assert part.ends_at_zero()
