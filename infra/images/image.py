"""The image of a service: built from its directory, or ready-made."""

from dataclasses import dataclass

import pulumi
import pulumi_docker_build as docker_build

from infra.images.registry import Registry


@dataclass(frozen=True)
class ReadyImage:
    """An image that is there already."""

    ref: pulumi.Input[str]
    content: None = None


@dataclass(frozen=True, kw_only=True)
class ImageArgs:
    """An image to build.

    Attributes:
        directory: the build's context, with a Dockerfile.
        registry: where it is pushed; a registry without an endpoint: it stays with the local engine.
        platform: what it runs on; None: what it is built on.
    """

    directory: str
    registry: Registry
    platform: str | None


class Image(pulumi.ComponentResource):
    """An image that is built. One whose directory didn't change isn't built again, and a preview builds nothing."""

    ref: pulumi.Output[str]
    """What pods name."""
    content: pulumi.Output[str] | None
    """Names what it was built from, where `ref` doesn't."""

    def __init__(self, name: str, args: ImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:image:Image", name, None, opts)
        push = args.registry.endpoint is not None
        tag = args.registry.tag(name)
        built = docker_build.Image(
            name,
            context=docker_build.BuildContextArgs(location=args.directory),
            platforms=[docker_build.Platform(args.platform)] if args.platform else None,
            tags=[tag],
            registries=list(args.registry.push),
            push=push,
            load=not push,
            build_on_preview=False,
            # Deleting would delete the manifest, which another service of the same content may share. A registry of the
            # stack's own goes as a whole.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        # Pods roll exactly when what was built changes. Kubernetes finds an image in a local engine by its tag only,
        # and the engine may tell no digest.
        self.ref = built.ref if push else tag
        self.content = None if push else built.context_hash
        self.register_outputs({"ref": self.ref})
