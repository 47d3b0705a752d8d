"""Registers a Kubernetes object of any kind, verbatim."""

from collections.abc import Mapping
from typing import Any

import pulumi

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Annotation: Pulumi goes on once the API server has the object."""


class KubernetesObject(pulumi.CustomResource):
    """An object of any kind. Pulumi's CustomResource allows no field but `spec`, and renames the fields in it."""

    def __init__(self, name: str, manifest: Mapping[str, pulumi.Input[Any]], opts: pulumi.ResourceOptions) -> None:
        super().__init__(f"kubernetes:{manifest['apiVersion']}:{manifest['kind']}", name, dict(manifest), opts)
