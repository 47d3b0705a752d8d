"""The archive of a Helm chart, from its repository or from this machine's cache."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import urljoin

import yaml

_SECONDS = 30


def chart_archive(repository: str, chart: str, version: str, digest: str | None) -> bytes:
    """Downloads the archive of a chart, unless an earlier run has kept the one with this digest.

    Args:
        repository: URL of a Helm repository.
        chart: the chart's name there.
        version: the chart's version.
        digest: SHA-256 of the archive; None: it isn't known, so the archive is downloaded each time.

    Raises:
        StopIteration: the repository doesn't have the version.
        ValueError: the repository has another archive.
    """
    kept = _cache() / f"{digest}.tgz"
    if digest and kept.exists() and _digest(content := kept.read_bytes()) == digest:
        return content
    base = repository.rstrip("/") + "/"
    entries = yaml.load(download(f"{base}index.yaml"), Loader=yaml.CSafeLoader)["entries"][chart]
    url = next(url for entry in entries if entry["version"] == version for url in entry["urls"])
    content = download(urljoin(base, url))
    if digest:
        if _digest(content) != digest:
            message = f"{chart} {version} has the SHA-256 {_digest(content)} instead of the pinned {digest}"
            raise ValueError(message)
        with contextlib.suppress(OSError):  # a read-only home directory, as in a container
            _keep(kept, content)
    return content


def download(url: str) -> bytes:
    # Importing httpx takes 0.1 s, and most runs download nothing.
    import httpx  # noqa: PLC0415

    with httpx.Client(follow_redirects=True, timeout=_SECONDS) as client:
        try:
            return client.get(url).raise_for_status().content
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OSError(str(error) or type(error).__name__) from error


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kong-doks" / "charts"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _keep(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all: another run may read it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(content)
    Path(part.name).replace(path)
