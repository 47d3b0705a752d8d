"""A chart's archive is downloaded once, and never taken for another."""

import functools
import hashlib
from pathlib import Path

import httpx
import pytest
import yaml

from infra.config import versions
from infra.config.settings import Settings
from infra.kubernetes.chart_archive import chart_archive

CONTENT = b"the archive"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
REPOSITORY = "https://charts.example"


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Paths of the requests to the repository; the cache is empty."""
    paths: list[str] = []
    index = {"entries": {"kong": [{"version": "1.2.3", "urls": ["kong-1.2.3.tgz"]}]}}

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        content = yaml.safe_dump(index).encode() if request.url.path == "/index.yaml" else CONTENT
        return httpx.Response(200, content=content)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(httpx, "Client", functools.partial(httpx.Client, transport=httpx.MockTransport(answer)))
    return paths


def read(digest: str | None) -> bytes:
    return chart_archive(REPOSITORY, "kong", "1.2.3", digest)


def test_a_pinned_archive_is_downloaded_once(requested: list[str]) -> None:
    assert read(DIGEST) == CONTENT
    assert requested == ["/index.yaml", "/kong-1.2.3.tgz"]
    assert read(DIGEST) == CONTENT
    assert len(requested) == 2


def test_an_archive_without_a_pin_is_downloaded_each_time(requested: list[str], tmp_path: Path) -> None:
    assert read(None) == read(None) == CONTENT
    assert len(requested) == 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("requested")
def test_an_archive_with_another_digest_is_refused_and_not_cached(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"kong 1.2.3 has the SHA-256 {DIGEST} instead of the pinned {'0' * 64}"):
        read("0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_cache_entry_is_downloaded_again(requested: list[str], tmp_path: Path) -> None:
    read(DIGEST)
    (kept,) = tmp_path.rglob("*.tgz")
    kept.write_bytes(CONTENT[:4])
    assert read(DIGEST) == CONTENT
    assert len(requested) == 4
    assert kept.read_bytes() == CONTENT


@pytest.mark.usefixtures("requested")
def test_an_archive_is_used_even_if_it_cannot_be_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert read(DIGEST) == CONTENT


def test_the_digest_applies_to_the_charts_own_repository_only() -> None:
    assert Settings.model_validate({}).kong_chart_sha256 == versions.KONG_CHART_SHA256[versions.KONG_CHART]
    assert Settings.model_validate({"chartRepository": "https://mirror.example"}).kong_chart_sha256 is None
