"""Images put together in memory and pushed by the registry's HTTP API. The same contents make the same digest."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import httpx

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_EPOCH = "1970-01-01T00:00:00Z"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Layer:
    """A tar that takes every path once: the first wins."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 -- `pack` closes
        self._paths: set[str] = set()

    def add(self, entry: tarfile.TarInfo, data: IO[bytes] | None = None) -> None:
        if entry.name in self._paths:
            return
        self._paths.add(entry.name)
        entry.mtime = 0
        entry.uname = entry.gname = ""
        entry.pax_headers = {}
        self._tar.addfile(entry, data)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(data), mode
        self.add(entry, io.BytesIO(data))

    def directory(self, path: str, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self.add(entry)

    def link(self, path: str, target: str) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.linkname = tarfile.SYMTYPE, 0o777, target
        self.add(entry)

    def pack(self) -> bytes:
        self._tar.close()
        return self._buffer.getvalue()


class Repository:
    """One repository of a registry without login.

    Raises (all methods):
        httpx.HTTPError: the registry refused, or can't be reached.
    """

    def __init__(self, client: httpx.Client, name: str) -> None:
        """`client` has the registry's address as its base URL."""
        self._client = client
        self._url = f"/v2/{name}"

    def digest(self, tag: str) -> str | None:
        """The digest of the manifest that `tag` names, None if there is none."""
        answer = self._client.head(f"{self._url}/manifests/{tag}", headers={"Accept": _MANIFEST})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return str(answer.raise_for_status().headers["Docker-Content-Digest"])

    def tag(self, existing: str, new: str) -> None:
        """Tags the manifest of the tag `existing` as `new`; sends nothing if it already is."""
        if self.digest(new) == self.digest(existing):
            return
        manifest = self._client.get(f"{self._url}/manifests/{existing}", headers={"Accept": _MANIFEST})
        self._put_manifest(new, manifest.raise_for_status().content)

    def push(self, tag: str, fill: Callable[[Layer], None], settings: Mapping[str, Any]) -> None:
        """Pushes an image of one layer, which `fill` puts together; `settings` is the `config` of an OCI image."""
        layer = Layer()
        fill(layer)
        tar = layer.pack()
        config = {
            "created": _EPOCH,
            "architecture": _ARCHITECTURE,
            "os": "linux",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar)]},
            "history": [{"created": _EPOCH, "created_by": "kong-doks"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._push_blob(_CONFIG, json.dumps(config, sort_keys=True).encode()),
            "layers": [self._push_blob(_LAYER, gzip.compress(tar, compresslevel=1, mtime=0))],
        }
        self._put_manifest(tag, json.dumps(manifest, sort_keys=True).encode())

    def _push_blob(self, media_type: str, data: bytes) -> dict[str, Any]:
        digest = sha256(data)
        if self._client.head(f"{self._url}/blobs/{digest}").status_code == httpx.codes.NOT_FOUND:
            upload = self._client.post(f"{self._url}/blobs/uploads/").raise_for_status()
            target = httpx.URL(upload.headers["Location"]).copy_merge_params({"digest": digest})
            headers = {"Content-Type": "application/octet-stream"}
            self._client.put(target, content=data, headers=headers).raise_for_status()
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def _put_manifest(self, tag: str, manifest: bytes) -> None:
        self._client.put(
            f"{self._url}/manifests/{tag}", content=manifest, headers={"Content-Type": _MANIFEST}
        ).raise_for_status()
