"""Kubernetes objects whose fields reach the cluster as they are written."""

from collections.abc import Mapping
from typing import Any

import pulumi

SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Annotation: Pulumi goes on once the API server has the object."""


class KubernetesObject(pulumi.CustomResource):
    """An object of any kind. Pulumi's own CustomResource only lets it have a `spec`, and renames what is in it."""

    def __init__(self, name: str, manifest: Mapping[str, pulumi.Input[Any]], opts: pulumi.ResourceOptions) -> None:
        super().__init__(f"kubernetes:{manifest['apiVersion']}:{manifest['kind']}", name, dict(manifest), opts)
