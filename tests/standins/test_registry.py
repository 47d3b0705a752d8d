"""The sandbox's container registry takes the tokens that the API issues, and nothing else."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.host import process
from sandbox.host.addresses import API
from sandbox.images.oci import Layer, Repository, sha256
from sandbox.images.registry import SERVICE, Signer, start_digitalocean_registry
from tests.support import PATIENCE, free_port

pytestmark = pytest.mark.skipif(not shutil.which("docker-registry"), reason="docker-registry isn't installed")

REPOSITORY = "mine/foo"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("signer"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the registry keeps its images."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(signer: Signer, folder: Path) -> Iterator[str]:
    address = f"127.0.0.1:{free_port()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "LOGS", folder)
        child = start_digitalocean_registry(signer, address, folder)
    yield f"http://{address}"
    child.stop()


def client(registry: str, signer: Signer, actions: list[str], name: str = REPOSITORY) -> httpx.Client:
    token = signer.token("someone", [{"type": "repository", "name": name, "actions": actions}])
    return httpx.Client(
        base_url=registry, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=PATIENCE
    )


def push(registry: httpx.Client, tag: str) -> None:
    def fill(layer: Layer) -> None:
        layer.file("greeting", tag.encode())

    Repository(registry, REPOSITORY).push(tag, fill, {})


def test_a_client_without_a_token_gets_the_token_services_address(registry: str) -> None:
    answer = httpx.get(f"{registry}/v2/{REPOSITORY}/manifests/latest", trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert f'realm="{API}/_registry/token"' in challenge
    assert f'service="{SERVICE}"' in challenge
    assert f'scope="repository:{REPOSITORY}:pull"' in challenge


def test_an_image_is_pushed_and_pulled_with_scoped_tokens(registry: str, signer: Signer) -> None:
    with client(registry, signer, ["pull", "push"]) as writer:
        push(writer, "one")
    with client(registry, signer, ["pull"]) as reader:
        manifest = reader.get(
            f"/v2/{REPOSITORY}/manifests/one", headers={"Accept": "application/vnd.oci.image.manifest.v1+json"}
        )
        assert manifest.status_code == 200
        assert sha256(manifest.content) == Repository(reader, REPOSITORY).digest("one")
        layer = manifest.json()["layers"][0]["digest"]
        assert sha256(reader.get(f"/v2/{REPOSITORY}/blobs/{layer}").content) == layer


def test_an_image_is_pushed_while_another_push_writes_the_link_of_a_layer_of_both(
    registry: str, signer: Signer, folder: Path
) -> None:
    with client(registry, signer, ["pull", "push"]) as writer:
        push(writer, "shared")
        links = [*folder.glob(f"registry/docker/registry/v2/repositories/{REPOSITORY}/_layers/sha256/*/link")]
        assert links
        for link in links:
            link.write_text("")
        push(writer, "shared")


def test_a_pull_token_cannot_push(registry: str, signer: Signer) -> None:
    with client(registry, signer, ["pull"]) as reader, pytest.raises(httpx.HTTPStatusError) as refused:
        push(reader, "two")
    assert refused.value.response.status_code == 401


def test_a_token_is_limited_to_its_repository(registry: str, signer: Signer) -> None:
    with client(registry, signer, ["pull"], "mine/bar") as reader:
        assert reader.get(f"/v2/{REPOSITORY}/tags/list").status_code == 401


def test_a_token_signed_by_another_key_is_refused(registry: str, tmp_path: Path) -> None:
    with client(registry, Signer(tmp_path), ["pull"]) as stranger:
        assert stranger.get(f"/v2/{REPOSITORY}/tags/list").status_code == 401


def test_a_deleted_manifest_is_gone(registry: str, signer: Signer) -> None:
    with client(registry, signer, ["pull", "push", "delete"]) as owner:
        push(owner, "three")
        digest = Repository(owner, REPOSITORY).digest("three")
        assert owner.delete(f"/v2/{REPOSITORY}/manifests/{digest}").status_code == 202
        assert Repository(owner, REPOSITORY).digest("three") is None
