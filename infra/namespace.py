"""The namespace of the services, and what it needs to pull their images."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """A namespace.

    Attributes:
        name: created unless it is `default`, which every cluster has.
        docker_config: credentials (JSON, secret) to pull images with; None: none are needed.
    """

    name: str
    docker_config: pulumi.Input[str] | None


def namespace_options(cluster: pulumi.Resource | None) -> pulumi.ResourceOptions:
    """How a namespace ends: with the stack's own cluster.

    In a cluster that was there before, the namespace may have been there, too, with other things in it. There it stays.
    """
    return pulumi.ResourceOptions(deleted_with=cluster, retain_on_delete=cluster is None)


class Namespace(pulumi.ComponentResource):
    """A namespace whose pods can pull: `name` and `pull_secret` come with what they name."""

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:namespace:Namespace", name, None, opts)
        cluster = opts.deleted_with if opts else None
        child = pulumi.ResourceOptions(parent=self)
        self.name: pulumi.Output[str] = pulumi.Output.from_input(args.name)
        if args.name != "default":
            self.name = kubernetes.core.v1.Namespace(
                name,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name=args.name),
                opts=pulumi.ResourceOptions.merge(child, namespace_options(cluster)),
            ).metadata.name
        self.pull_secret: pulumi.Output[str] | None = None
        if args.docker_config is not None:
            self.pull_secret = kubernetes.core.v1.Secret(
                "registry",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name="kong-doks-registry", namespace=self.name),
                type="kubernetes.io/dockerconfigjson",
                string_data={".dockerconfigjson": args.docker_config},
                opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(deleted_with=cluster)),
            ).metadata.name
        self.register_outputs({"name": self.name})
