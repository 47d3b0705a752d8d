"""Isolated namespaces: NetworkPolicies deny their pods all connections but the named ones."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import meta, networking

from infra.kubernetes.network_policy import Policy, policy


def namespace_options(cluster: pulumi.Resource | None) -> pulumi.ResourceOptions:
    """Options of a namespace: it goes with the stack's own cluster.

    In an existing cluster, the namespace may have existed before and hold other things, so it stays.
    """
    return pulumi.ResourceOptions(deleted_with=cluster, retain_on_delete=cluster is None)


def default_deny(cluster: pulumi.Resource | None) -> Mapping[str, Policy]:
    """Returns the policy that denies the namespace's pods all ingress and egress.

    In an existing cluster there is none: the namespace may hold pods of others.
    """
    # The dot avoids a clash with the policies of services, whose names have none.
    return {"default.deny": policy(meta.v1.LabelSelectorArgs())} if cluster else {}


def isolate_namespace(
    namespace: pulumi.Output[str], policies: Mapping[str, Policy], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Creates the NetworkPolicies of a namespace.

    Returns:
        The namespace's name, resolved once the policies exist: for objects that must not exist before. It is a property
        of the policies, so that such an object depends on them alone, and through them on the namespace.
    """
    names = [network_policy(name, namespace, spec, opts).metadata.namespace for name, spec in policies.items()]
    return pulumi.Output.all(*names or [namespace]).apply(lambda known: str(known[0]))


def network_policy(
    name: str, namespace: pulumi.Output[str], spec: Policy, opts: pulumi.ResourceOptions
) -> networking.v1.NetworkPolicy:
    return networking.v1.NetworkPolicy(
        name, metadata=meta.v1.ObjectMetaArgs(name=name, namespace=namespace), spec=spec, opts=opts
    )
