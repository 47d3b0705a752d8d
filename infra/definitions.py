"""Custom resource definitions (CRDs) as resources of the stack.

Helm brings a chart's definitions at the first install and never upgrades them; here a new version of the chart does.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin

import httpx
import pulumi
import yaml

from infra import complaints
from infra.objects import KubernetesObject

Definition = Mapping[str, Any]
_SECONDS = 30


def of_chart(repository: str, chart: str, version: str) -> list[Definition]:
    """What is in the folder `crds` of a chart in a Helm repository. Failing to read it ends the program."""
    key = "chartRepository"
    base = repository.rstrip("/") + "/"
    index = yaml.load(_get(f"{base}index.yaml", key), Loader=yaml.CSafeLoader)
    entries = index["entries"].get(chart, [])
    if not (urls := [url for entry in entries if entry["version"] == version for url in entry["urls"]]):
        allowed = f"a repository with the chart {chart} {version}"
        complaints.refuse(f'kong-doks:{key}: "{repository}" has none; allowed: {allowed}; fix: remove {key}')
    with tarfile.open(fileobj=io.BytesIO(_get(urljoin(base, urls[0]), key))) as archive:
        files = [archive.extractfile(name) for name in archive.getnames() if name.startswith(f"{chart}/crds/")]
        return [each for file in files if file for each in _definitions(file.read())]


def of_gateway_api(releases: str, version: str) -> list[Definition]:
    """The standard channel of a release of the Kubernetes Gateway API. Failing to read it ends the program."""
    manifest = _get(f"{releases.rstrip('/')}/v{version}/standard-install.yaml", "gatewayApiReleases")
    return list(_definitions(manifest))


def _get(url: str, key: str) -> bytes:
    try:
        transport = httpx.HTTPTransport(retries=2)
        with httpx.Client(transport=transport, follow_redirects=True, timeout=_SECONDS) as client:
            return client.get(url).raise_for_status().content
    except httpx.HTTPError as error:
        said = str(error).partition("\n")[0]
        fix = "try again, or set it to a mirror that this machine reaches"
        complaints.refuse(f'kong-doks:{key}: "{url}" can\'t be read ({said}); allowed: a URL that answers; fix: {fix}')


def _definitions(manifest: bytes) -> Iterator[Definition]:
    documents: Iterable[Definition | None] = yaml.load_all(manifest, Loader=yaml.CSafeLoader)
    return (each for each in documents if each and each["kind"] == "CustomResourceDefinition")


class Definitions(pulumi.ComponentResource):
    """Definitions that the stack applies and never deletes: with a kind goes every object of it, whoever made it.

    Those in a cluster of the stack's own go with it. What another tool has applied before is taken over.
    """

    def __init__(
        self,
        name: str,
        definitions: Sequence[Definition],
        opts: pulumi.ResourceOptions,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("kong-doks:definitions:Definitions", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with, retain_on_delete=True)
        for each in definitions:
            metadata = {key: value for key, value in each["metadata"].items() if value is not None}
            # Forced: what other tools have applied is taken over.
            ours = {"pulumi.com/patchForce": "true", **(annotations or {})}
            metadata["annotations"] = metadata.get("annotations", {}) | ours
            manifest = {"apiVersion": each["apiVersion"], "kind": each["kind"], "metadata": metadata}
            KubernetesObject(metadata["name"], manifest | {"spec": each["spec"]}, child)
        self.register_outputs({})
