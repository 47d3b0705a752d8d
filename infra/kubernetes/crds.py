"""Custom resource definitions (CRDs) as resources of the stack.

Helm brings a chart's definitions at the first install and never upgrades them; here a new version of the chart does.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pulumi
import yaml

from infra.kubernetes.chart_archive import chart_archive, download
from infra.kubernetes.field_ownership import PATCH_FORCE
from infra.kubernetes.raw_object import KubernetesObject
from infra.loader import config_key, exit_with_error

Definition = Mapping[str, Any]
_FAULTS = (OSError, yaml.YAMLError, tarfile.TarError, EOFError, LookupError, TypeError, ValueError)


def of_chart(repository: str, chart: str, version: str, digest: str | None = None) -> list[Definition]:
    """Reads the folder `crds` of a chart in a Helm repository. Failing to read it ends the program."""
    with _refusal("chartRepository", repository, f"a repository with the chart {chart} {version}"):
        content = chart_archive(repository, chart, version, digest)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = [archive.extractfile(name) for name in archive.getnames() if name.startswith(f"{chart}/crds/")]
            return [each for file in files if file for each in _definitions(file.read())]


def of_gateway_api(releases: str, version: str) -> list[Definition]:
    """The standard channel of a release of the Kubernetes Gateway API. Failing to read it ends the program."""
    with _refusal("gatewayApiReleases", releases, f"releases of the Gateway API, with {version}"):
        return list(_definitions(download(f"{releases.rstrip('/')}/v{version}/standard-install.yaml")))


@contextmanager
def _refusal(key: str, value: str, allowed: str) -> Iterator[None]:
    """One line for all that can be wrong with what somebody else's server says."""
    try:
        yield
    except _FAULTS as error:
        said = " ".join(str(error).split()) or type(error).__name__
        fix = "try again, or name a mirror that this machine reaches"
        line = f"{json.dumps(value)} can't be used ({said}); allowed: {allowed}; fix: {fix}"
    except StopIteration:
        line = (
            f"{json.dumps(value)} doesn't have it; allowed: {allowed}; fix: remove {key}, or name a mirror that has it"
        )
    else:
        return
    exit_with_error(f"{config_key(key)}: {line}")


def _definitions(manifest: bytes) -> Iterator[Definition]:
    documents: Iterable[Definition | None] = yaml.load_all(manifest, Loader=yaml.CSafeLoader)
    return (_concise(each) for each in documents if each and each["kind"] == "CustomResourceDefinition")


def _concise(part: Any) -> Any:  # noqa: ANN401 -- JSON
    """Drops the descriptions of fields: half of the definitions, which are in the state three times.

    A field that is called `description` is a mapping, and stays.
    """
    if isinstance(part, dict):
        return {
            key: value if key in ("default", "enum", "example") else _concise(value)
            for key, value in part.items()
            if not (key == "description" and isinstance(value, str))
        }
    return [_concise(item) for item in part] if isinstance(part, list) else part


class Definitions(pulumi.ComponentResource):
    """Definitions that the stack applies and never deletes: with a kind goes every object of it, whoever made it.

    Those in a cluster of the stack's own go with it. What another tool has applied before is taken over.

    Attributes:
        objects: the definitions by name, `<plural>.<group>`.
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
        self.objects: dict[str, pulumi.Resource] = {}
        for each in definitions:
            metadata = {key: value for key, value in each["metadata"].items() if value is not None}
            # Forced: what other tools have applied is taken over.
            ours = {**PATCH_FORCE, **(annotations or {})}
            metadata["annotations"] = metadata.get("annotations", {}) | ours
            manifest = {"apiVersion": each["apiVersion"], "kind": each["kind"], "metadata": metadata}
            self.objects[metadata["name"]] = KubernetesObject(
                metadata["name"], manifest | {"spec": each["spec"]}, child
            )
        self.register_outputs({})
