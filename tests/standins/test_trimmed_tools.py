"""The tools are built without what the sandbox never reaches, and still do what it needs."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sandbox.toolchain import build, trim
from sandbox.toolchain.machine import installed
from sandbox.toolchain.modules import GO


def test_every_folder_under_trimmed_replaces_its_module() -> None:
    trimmed = GO / "engine" / "trimmed"
    modules = trim.trimmed_modules(GO / "engine" / "go.mod")
    for file in trimmed.rglob("*.go"):
        assert any(file.is_relative_to(trimmed / module) for module in modules), file


def test_a_file_replaces_the_published_one_of_its_name(tmp_path: Path) -> None:
    own, published = tmp_path / "own", tmp_path / "published"
    for folder in (own / "logs", published / "logs", published / "other"):
        folder.mkdir(parents=True)
    (own / "logs" / "aws.go").write_text("package logs // trimmed")
    for path in ("go.mod", "logs/aws.go", "logs/logs.go", "other/other.go"):
        (published / path).write_text("published")
    trim.complete(own, published)
    contents = {str(path.relative_to(own)): path.read_text() for path in own.rglob("*") if path.is_file()}
    assert contents == {
        "go.mod": "published",
        "logs/aws.go": "package logs // trimmed",
        "logs/logs.go": "published",
    }
    assert (own / "other" / "other.go").read_text() == "published"


def test_a_file_named_like_its_folder_replaces_the_whole_package(tmp_path: Path) -> None:
    own, published = tmp_path / "own", tmp_path / "published"
    for folder in (own / "policy", published / "policy" / "testdata"):
        folder.mkdir(parents=True)
    (own / "policy" / "policy.go").write_text("package policy // trimmed")
    (published / "policy" / "rego.go").write_text("published")
    trim.complete(own, published)
    assert sorted(path.name for path in (own / "policy").iterdir()) == ["policy.go", "testdata"]


def test_a_trimmed_file_without_an_original_is_reported(tmp_path: Path) -> None:
    """A newer version of a module may have moved what a file under `trimmed` leaves out."""
    own, published = tmp_path / "own", tmp_path / "published"
    (own / "logs").mkdir(parents=True)
    (published / "logs").mkdir(parents=True)
    (own / "logs" / "aws.go").write_text("package logs")
    with pytest.raises(FileNotFoundError, match=r"aws\.go replaces nothing"):
        trim.complete(own, published)


class Pulumi:
    """The CLI that the sandbox uses, with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "Pulumi.yaml").write_text("name: trimmed\nruntime: python\n")

    def run(self, *arguments: str, backend: str) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "PULUMI_HOME": str(self._folder / "home"),
            "PULUMI_BACKEND_URL": backend,
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        command = (str(build.tool("pulumi")), "--non-interactive", *arguments)
        return subprocess.run(command, cwd=self._folder, env=variables, check=False, capture_output=True, text=True)


@pytest.fixture
def pulumi(tmp_path: Path) -> Pulumi:
    return Pulumi(tmp_path)


@pytest.fixture
def bucket() -> Iterator[str]:
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    session = boto3.Session("any", "any")
    client = session.client("s3", "us-east-1", endpoint_url=endpoint)
    client.create_bucket(Bucket="state")
    yield f"s3://state?endpoint={endpoint}&region=us-east-1&s3ForcePathStyle=true"
    server.stop()


def _secret_survives(pulumi: Pulumi, backend: str) -> None:
    for arguments in (("stack", "init", "one"), ("config", "set", "--secret", "password", "hunter2", "--stack", "one")):
        done = pulumi.run(*arguments, backend=backend)
        assert done.returncode == 0, done.stderr
    assert pulumi.run("config", "get", "password", "--stack", "one", backend=backend).stdout.strip() == "hunter2"
    assert '"name": "one"' in pulumi.run("stack", "ls", "--json", backend=backend).stdout


def test_the_cli_keeps_state_in_files_and_secrets_by_passphrase(pulumi: Pulumi, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    _secret_survives(pulumi, f"file://{tmp_path / 'state'}")


def test_the_cli_keeps_state_in_s3(pulumi: Pulumi, bucket: str) -> None:
    _secret_survives(pulumi, bucket)


@pytest.mark.parametrize(
    ("arguments", "backend", "message"),
    [
        (("stack", "ls"), "gs://state", "built for the sandbox, without state in Google Cloud Storage"),
        (("stack", "ls"), "azblob://state", "built for the sandbox, without state in Azure"),
        (
            ("stack", "init", "one", "--secrets-provider", "awskms://alias/x?region=us-east-1"),
            "file://~",
            "built for the sandbox, without a cloud's secrets providers; use a passphrase",
        ),
        (("env", "ls"), "file://~", "built for the sandbox, without the environments of Pulumi ESC"),
    ],
    ids=["state in Google Cloud Storage", "state in Azure", "secrets by AWS", "environments"],
)
def test_the_cli_reports_left_out_features(
    pulumi: Pulumi, arguments: tuple[str, ...], backend: str, message: str
) -> None:
    if installed("pulumi"):
        pytest.skip("the machine's own pulumi has everything")
    done = pulumi.run(*arguments, backend=backend)
    assert done.returncode != 0
    assert message in done.stderr
