"""Field ownership: in the stack's own cluster its values win over what others applied to its objects.

The API server refuses a server-side apply that changes a field of another manager: `kubectl scale`, an autoscaler, or
a Pulumi process that was killed before it recorded what it had created. Forcing takes these fields over.
"""

from typing import Any

import pulumi

PATCH_FORCE = {"pulumi.com/patchForce": "true"}


def force_apply() -> None:
    """Has Pulumi force the apply of every Kubernetes object that the program creates after this call."""
    pulumi.runtime.register_stack_transformation(_with_patch_force)


def _with_patch_force(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    metadata: Any = args.props.get("metadata") if args.type_.startswith("kubernetes:") else None
    if metadata is None:
        return None  # a Helm release, or an object that is looked up
    if isinstance(metadata, dict):
        annotations = {**(metadata.get("annotations") or {}), **PATCH_FORCE}
        return pulumi.ResourceTransformationResult(
            {**args.props, "metadata": {**metadata, "annotations": annotations}}, args.opts
        )
    metadata.annotations = {**(metadata.annotations or {}), **PATCH_FORCE}
    return pulumi.ResourceTransformationResult(args.props, args.opts)
