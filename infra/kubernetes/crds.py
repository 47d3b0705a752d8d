"""Custom resource definitions (CRDs) as resources of the stack.

Helm installs a chart's definitions once and never upgrades them; here a new version of the chart does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from infra.kubernetes.field_ownership import PATCH_FORCE
from infra.kubernetes.raw_object import KubernetesObject


class CustomResourceDefinitions(pulumi.ComponentResource):
    """Definitions that the stack applies and never deletes: deleting a kind deletes every object of it.

    In the stack's own cluster they go with the cluster. With `is_forced` the stack takes over fields that another tool
    has applied. Without it, another version that is installed already ends the `up` with a conflict.

    Attributes:
        objects: the definitions by name, `<plural>.<group>`.
    """

    def __init__(
        self,
        name: str,
        definitions: Sequence[Mapping[str, Any]],
        opts: pulumi.ResourceOptions,
        annotations: Mapping[str, str] | None = None,
        *,
        is_forced: bool = True,
    ) -> None:
        super().__init__("kong-doks:definitions:Definitions", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with, retain_on_delete=True)
        self.objects: dict[str, pulumi.Resource] = {}
        for definition in definitions:
            metadata = {key: value for key, value in definition["metadata"].items() if value is not None}
            metadata["annotations"] = {
                **metadata.get("annotations", {}),
                **(PATCH_FORCE if is_forced else {}),
                **(annotations or {}),
            }
            manifest = {key: definition[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
            self.objects[metadata["name"]] = KubernetesObject(metadata["name"], manifest, child)
        self.register_outputs({})
