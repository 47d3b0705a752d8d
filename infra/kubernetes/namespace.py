"""The namespace of the services, and what it needs to pull their images."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes

from infra.kubernetes import network_policy as network


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """A namespace.

    Attributes:
        name: created unless it is `default`, which every cluster has.
        docker_config: credentials (JSON, secret) to pull images with; None: none are needed.
        policies: NetworkPolicies that everything in the namespace waits for.
    """

    name: str
    docker_config: pulumi.Input[str] | None
    policies: Mapping[str, network.Policy] = field(default_factory=dict)


def namespace_options(cluster: pulumi.Resource | None) -> pulumi.ResourceOptions:
    """How a namespace ends: with the stack's own cluster.

    In a cluster that was there before, the namespace may have been there, too, with other things in it. There it stays.
    """
    return pulumi.ResourceOptions(deleted_with=cluster, retain_on_delete=cluster is None)


def pod_security(cluster: pulumi.Resource | None) -> Mapping[str, str]:
    """Labels by which the API server refuses pods that could do more than serve (Pod Security Admission, "restricted").

    In a cluster that was there before, where the namespace may have other pods, it warns of them.
    """
    modes = ("enforce", "warn") if cluster else ("warn",)
    return {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}


def default_deny(cluster: pulumi.Resource | None) -> Mapping[str, network.Policy]:
    """What closes a namespace, where all of its pods are the stack's own business."""
    return network.default_deny() if cluster else {}


class Namespace(pulumi.ComponentResource):
    """A closed namespace whose pods can pull images.

    `name` resolves once the namespace is closed, `pull_secret` once the Secret exists.
    """

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:namespace:Namespace", name, None, opts)
        cluster = opts.deleted_with if opts else None
        child = pulumi.ResourceOptions(parent=self)
        ends = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(deleted_with=cluster))
        namespace: pulumi.Output[str] = pulumi.Output.from_input(args.name)
        if args.name != "default":
            namespace = kubernetes.core.v1.Namespace(
                name,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name=args.name, labels=pod_security(cluster)),
                opts=pulumi.ResourceOptions.merge(child, namespace_options(cluster)),
            ).metadata.name
        elif cluster:
            patched = kubernetes.core.v1.NamespacePatch(
                name,
                metadata=kubernetes.meta.v1.ObjectMetaPatchArgs(name=args.name, labels=pod_security(cluster)),
                opts=ends,
            )
            namespace = patched.metadata.name
        self._created = namespace
        self._options = ends
        self.name = network.closed(namespace, {**default_deny(cluster), **args.policies}, ends)
        self.pull_secret: pulumi.Output[str] | None = None
        if args.docker_config is not None:
            self.pull_secret = kubernetes.core.v1.Secret(
                "registry",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name="kong-doks-registry", namespace=self.name),
                type="kubernetes.io/dockerconfigjson",
                string_data={".dockerconfigjson": args.docker_config},
                opts=ends,
            ).metadata.name
        self.register_outputs({"name": self.name})

    def closed_for(self, service: str, policy: network.Policy, gateway: pulumi.Output[str]) -> pulumi.Output[str]:
        """Creates the NetworkPolicy of one service's pods.

        Args:
            service: the service's name, which the policy gets.
            policy: lets Kong in.
            gateway: Kong's namespace once it is closed. A policy that lets Kong in comes after that. So Kong's release,
                which the longest chain hangs on, doesn't queue behind the objects of many services either.

        Returns:
            The namespace's name, resolved once the namespace is closed and this policy exists. Only this service's
            objects wait for it: if each waited for every policy, the edges of N services would number N squared.
        """
        after = pulumi.ResourceOptions(depends_on=gateway.apply(lambda _: list[pulumi.Resource]()))
        opts = pulumi.ResourceOptions.merge(self._options, after)
        own = network.closed(self._created, {service: policy}, opts)
        return pulumi.Output.all(self.name, own).apply(lambda names: str(names[0]))
