"""The interface of a cluster, created or existing, to the rest of the stack."""

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pulumi
import pulumi_kubernetes as kubernetes

from infra.config.node_pools import Taint


class Pool(NamedTuple):
    """A node pool that services may name."""

    name: pulumi.Output[str]
    """On DigitalOcean, once its nodes run."""
    taints: Sequence[Taint]


class Cluster(pulumi.ComponentResource):
    """A Kubernetes cluster.

    Attributes:
        provider: of Kubernetes objects.
        resource: the cluster that the stack creates; None: an existing one.
        id: its UUID; None: an existing cluster.
        vpc_id: UUID of the private network that the stack creates; None: it creates none.
        kubeconfig: of the cluster that the stack creates; None: the user has one.
        kube_context: the context of the user's kubeconfig; None: the stack creates the cluster.
        pools: node pools by their keys of the configuration.
        platform: of images, such as linux/amd64; None: that of the machine that builds them.
    """

    provider: kubernetes.Provider
    resource: pulumi.CustomResource | None = None
    id: pulumi.Output[str] | None = None
    vpc_id: pulumi.Output[str] | None = None
    kubeconfig: pulumi.Output[str] | None = None
    kube_context: str | None = None
    pools: Mapping[str, Pool] = {}
    platform: str | None = None

    @property
    def deleted_with_cluster_options(self) -> pulumi.ResourceOptions:
        """Options of objects that go with the cluster: deleting them takes no call and no credential."""
        return pulumi.ResourceOptions(provider=self.provider, deleted_with=self.resource)

    @property
    def provider_options(self) -> pulumi.ResourceOptions:
        """Options of objects that have to be deleted before the cluster."""
        return pulumi.ResourceOptions(provider=self.provider)

    def kubectl(self, namespace: str) -> str:
        """Returns the start of a kubectl command for a namespace of this cluster."""
        context = f"--context {shlex.quote(self.kube_context)} " if self.kube_context else ""
        return f"kubectl {context}--namespace {namespace}"
