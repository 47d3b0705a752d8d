"""The images of public registries: built here and pushed to the mirror once."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from infra.config import versions
from sandbox.host.addresses import MIRROR
from sandbox.host.errors import SandboxError
from sandbox.host.paths import PROJECT
from sandbox.host.process import ANSWER_SECONDS
from sandbox.images import debian, python_base
from sandbox.images.oci import Layer, Repository
from sandbox.toolchain.build import tool

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageError(SandboxError):
    """An image can't be made or pushed; the message names it."""


@dataclass(frozen=True)
class Image:
    """An image of one layer."""

    repository: str
    tags: Sequence[str]
    settings: Mapping[str, Any]
    """The `config` of an OCI image."""
    recipe: Callable[[], bytes]
    """The bytes that the image depends on: it is made again only if they change."""
    fill: Callable[[Layer], None]


def _binary(name: str, image: str, entrypoint: str, command: Sequence[str] = (), user: str = "") -> Image:
    """Returns an image of one static binary.

    Args:
        name: of the tool that is the binary.
        image: repository and tag.
        entrypoint: path of the binary in the image, and its first arguments.
        command: further arguments, which a container may replace.
        user: that it runs as.
    """
    path, *_ = entrypoint.split()
    settings = {"Env": [_PATH], "Entrypoint": entrypoint.split(), "Cmd": list(command), "User": user}

    def fill(layer: Layer) -> None:
        layer.directory("tmp", 0o1777)
        layer.file("etc/passwd", b"root:x:0:0:root:/:\nkong:x:1000:1000:kong:/:\n")
        layer.file("etc/group", b"root:x:0:\nkong:x:1000:\n")
        layer.file(path.removeprefix("/"), tool(name).read_bytes(), 0o755)

    def recipe() -> bytes:
        return tool(name).read_bytes() + Path(__file__).read_bytes()

    repository, _, tag = image.partition(":")
    return Image(repository, [tag], settings, recipe, fill)


BINARIES = (
    _binary("pause", "library/pause:3.10", "/pause", user="65535:65535"),
    _binary("coredns", "library/coredns:1.12.4", "/coredns"),
    _binary("kong", f"library/kong:{versions.KONG}", "/usr/local/bin/kong", ["docker-start"], user="1000"),
    # The source of an older controller: that of the pinned one isn't published.
    _binary("controller", f"kong/kubernetes-ingress-controller:{versions.KONG_CONTROLLER}", "/manager", user="1000"),
)
PROMETHEUS = _binary("prometheus", f"prom/prometheus:{versions.PROMETHEUS}", "/bin/prometheus", user="65534")
"""An image apart from BINARIES, whose tool is built on demand."""

METRICS_SERVER = _binary(
    "metrics-server", f"metrics-server/metrics-server:{versions.METRICS_SERVER}", "/metrics-server", user="65534"
)
"""An image of registry.k8s.io, for stacks with autoscale. Its tool is built on demand."""

CERTIFICATES = (
    *(
        _binary(
            "cert-manager",
            f"jetstack/cert-manager-{name}:{versions.CERT_MANAGER}",
            f"/cert-manager {name}",
            user="1000",
        )
        for name in ("controller", "webhook", "cainjector", "startupapicheck")
    ),
    _binary("acmesolver", f"jetstack/cert-manager-acmesolver:{versions.CERT_MANAGER}", "/acmesolver", user="1000"),
)
"""Images of Quay, for stacks with a domain. Their tools are built on demand."""


def python() -> Image:
    """Docker Hub's `python` under the tags that the apps' Dockerfiles start from."""
    start = re.compile(r"^FROM\s+(?:--\S+\s+)*python:([\w.-]+)", re.MULTILINE | re.IGNORECASE)
    files = sorted((PROJECT / "apps").glob("*/Dockerfile"))
    tags = sorted({tag for file in files for tag in start.findall(file.read_text())})
    return Image("library/python", tags, python_base.SETTINGS, python_base.recipe, python_base.fill)


def valkey() -> Image:
    """Debian's Redis under the name of its descendant, which speaks the same protocol."""

    def fill(layer: Layer) -> None:
        with tempfile.TemporaryDirectory() as folder:
            debian.unpack(["redis-server"], Path(folder), layer)
        layer.link("usr/local/bin/valkey-server", "/usr/bin/redis-server")

    def recipe() -> bytes:
        return debian.recipe() + Path(__file__).read_bytes()

    return Image("valkey/valkey", [versions.VALKEY], {"Env": [_PATH], "Cmd": ["valkey-server"]}, recipe, fill)


OPTIONAL = {"valkey": valkey}
"""Images that only some stacks need: `python -m sandbox image NAME`."""


def publish(report: Callable[[str], None], images: Sequence[Image] | None = None) -> None:
    """Pushes to the mirror what it doesn't have yet.

    Args:
        report: gets a line for each image that has to be made.
        images: default: the apps' Python base and BINARIES.

    Raises:
        ImageError: an image can't be made or pushed.
    """
    with (
        httpx.Client(base_url=f"http://{MIRROR}", timeout=ANSWER_SECONDS, trust_env=False) as client,
        ThreadPoolExecutor(max_workers=2) as pool,  # packing takes a core, Debian's packages wait for the network
    ):
        for done in [pool.submit(_publish, image, client, report) for image in images or (python(), *BINARIES)]:
            done.result()


def _publish(image: Image, client: httpx.Client, report: Callable[[str], None]) -> None:
    repository = Repository(client, image.repository)
    try:
        # A tag for each recipe: images that the mirror has aren't built again.
        made = f"recipe-{hashlib.sha256(image.recipe()).hexdigest()}"
        if not repository.digest(made):
            report(f"{image.repository}:{' '.join(image.tags)}")
            repository.push(made, image.fill, image.settings)
        for tag in image.tags:
            repository.tag(made, tag)
    except (httpx.HTTPError, debian.PackagesError, OSError) as error:
        raise ImageError(f"{image.repository}: {error}") from error
