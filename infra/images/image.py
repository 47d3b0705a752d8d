"""The images that a service's versions run: built from a directory, or existing ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker_build as docker_build

from infra.config.build_folder import links_hash
from infra.config.bundled_app import AnyWorkload
from infra.images.file_modes import normalize_modes
from infra.images.registry import Registry


@dataclass(frozen=True)
class ExistingImage:
    """An image that isn't built here."""

    ref: pulumi.Input[str]
    content: None = None


class Image(pulumi.ComponentResource):
    """An image that is built. An unchanged directory isn't built again, and a preview builds nothing.

    Attributes:
        ref: name by which pods pull the image.
        content: changes with the directory, where `ref` doesn't.
    """

    ref: pulumi.Output[str]
    content: pulumi.Output[str] | None

    def __init__(self, name: str, directory: str, registry: Registry, platform: str | None) -> None:
        """Builds the image.

        Args:
            name: of the component and of the image.
            directory: the build's context, with a Dockerfile.
            registry: where the image is pushed; without an endpoint it stays in the local container engine.
            platform: that it runs on; None: that of the machine that builds it.
        """
        super().__init__("kong-doks:image:Image", name)
        is_pushed = registry.endpoint is not None
        tag = registry.tag(name)
        if unchanged := list(normalize_modes(Path(directory))):
            pulumi.log.warn(
                f"{directory}: the mode of {unchanged[0]} can't be changed to that of other checkouts, whose image "
                f"will differ; fix: chmod -R u=rwX,go=rX {directory}"
            )
        # The provider's hash leaves out links to folders. Without the label, no build would follow a changed link.
        links = links_hash(Path(directory))
        image = docker_build.Image(
            name,
            context=docker_build.BuildContextArgs(location=directory),
            platforms=[docker_build.Platform(platform)] if platform else None,
            tags=[tag],
            labels={"links": links} if links else None,
            registries=list(registry.push),
            push=is_pushed,
            load=not is_pushed,
            build_on_preview=False,
            # Deleting would delete the manifest, which another service with the same content may share. The stack's own
            # registry is deleted as a whole.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        # Pods roll exactly when the build's result changes. Kubernetes finds an image of the local engine by its tag
        # only, and that engine may report no digest.
        self.ref = image.ref if is_pushed else tag
        self.content = None if is_pushed else image.context_hash
        self.register_outputs({"ref": self.ref})


def provision_images(
    service: AnyWorkload, registry: Registry, platform: str | None
) -> Mapping[str, Image | ExistingImage]:
    """Returns the image of each version of a service, by the version's name."""
    return {
        name: Image(name, version.build, registry, platform) if version.build else ExistingImage(version.image)
        for name, version in service.versions.items()
    }
