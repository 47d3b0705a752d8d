"""The Kubernetes cluster: a DigitalOcean one that the stack makes, or one that you already have."""

from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes

from infra.cluster.kubeconfig import kubeconfig


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """A DOKS cluster with one pool of nodes.

    Attributes:
        version: of a new cluster, such as 1.35.7-do.0; one that exists keeps its own.
        ha: a highly available control plane; $40 a month, and can't be switched off again.
        api_endpoint: DigitalOcean's API where it isn't the usual one.
        stack: the stack whose configuration holds `digitalocean:token`, if one does.
    """

    name: str
    region: str
    version: str
    node_size: str
    node_count: int
    ha: bool
    api_endpoint: str | None = None
    stack: str | None = None


class Cluster(pulumi.ComponentResource):
    """A DigitalOcean Kubernetes cluster."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:cluster:Cluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.resource = digitalocean.KubernetesCluster(
            name,
            name=args.name,
            region=args.region,
            version=args.version,
            # From 1.36 on, leaving this out means true.
            ha=args.ha,
            auto_upgrade=False,
            surge_upgrade=True,
            # Read from the state when the cluster is destroyed, so it has to be there from the first `up`.
            destroy_all_associated_resources=True,
            node_pool=digitalocean.KubernetesClusterNodePoolArgs(
                name=f"{args.name}-default-pool", size=args.node_size, node_count=args.node_count
            ),
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    # DigitalOcean upgrades clusters too; a version behind theirs would replace the cluster.
                    ignore_changes=["version"],
                    # Creating takes 4 to 8 minutes. After a time-out the provider forgets the cluster, which goes on
                    # costing; so wait long.
                    custom_timeouts=pulumi.CustomTimeouts(create="45m"),
                ),
            ),
        )
        self.id: pulumi.Output[str] = self.resource.id
        self.kubeconfig = kubeconfig(
            context=f"do-{args.region}-{args.name}",
            cluster_id=self.resource.id,
            server=self.resource.endpoint,
            certificate_authority=self.resource.kube_configs[0].cluster_ca_certificate,
            api_endpoint=args.api_endpoint,
            stack=args.stack,
        )
        self.provider = kubernetes.Provider(
            "kubernetes",
            kubeconfig=self.kubeconfig,
            # Without it a changed kubeconfig may look like another cluster, and replace everything in it.
            cluster_identifier=self.resource.id,
            enable_server_side_apply=True,
            opts=child,
        )
        self.register_outputs({"id": self.id, "kubeconfig": self.kubeconfig})


class ExistingCluster(pulumi.ComponentResource):
    """A cluster that the stack uses and doesn't own, reached by a context of your kubeconfig."""

    def __init__(self, name: str, context: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:cluster:ExistingCluster", name, None, opts)
        self.resource = None
        self.id = None
        self.kubeconfig = None
        self.provider = kubernetes.Provider(
            "kubernetes", context=context, enable_server_side_apply=True, opts=pulumi.ResourceOptions(parent=self)
        )
        self.register_outputs({})
