"""A Kubernetes cluster that the stack creates on DigitalOcean."""

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes

from infra.cluster.cluster import Cluster
from infra.cluster.kubeconfig import kubeconfig
from infra.config.cluster import ClusterSettings
from infra.loader import Account


class DoksCluster(Cluster):
    """A DigitalOcean Kubernetes cluster with one node pool."""

    def __init__(self, name: str, config: ClusterSettings, account: Account, version: str) -> None:
        """Creates the cluster.

        Args:
            name: of the component.
            config: the cluster's keys.
            account: that the cluster is created in.
            version: of a new cluster, such as 1.35.7-do.0; an existing one keeps its own.
        """
        super().__init__("kong-doks:cluster:Cluster", name)
        child = pulumi.ResourceOptions(parent=self)
        cluster = digitalocean.KubernetesCluster(
            name,
            name=config.cluster_name,
            region=config.region,
            version=version,
            # From 1.36 on, leaving this out means true.
            ha=config.ha,
            auto_upgrade=False,
            surge_upgrade=True,
            # `destroy` reads it from the state, so it has to be there from the first `up`.
            destroy_all_associated_resources=True,
            node_pool=digitalocean.KubernetesClusterNodePoolArgs(
                name=f"{config.cluster_name}-default-pool", size=config.node_size, node_count=config.node_count
            ),
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    # DigitalOcean upgrades clusters as well; a version behind theirs would replace the cluster.
                    ignore_changes=["version"],
                    # Creating takes 4 to 8 minutes. After a time-out the provider forgets the cluster, which goes on
                    # costing, so the wait is long.
                    custom_timeouts=pulumi.CustomTimeouts(create="45m"),
                ),
            ),
        )
        self.resource = cluster
        self.id = cluster.id
        # DOKS has no other nodes.
        self.platform = "linux/amd64"
        self.kubeconfig = kubeconfig(
            context=f"do-{config.region}-{config.cluster_name}",
            cluster_id=cluster.id,
            server=cluster.endpoint,
            certificate_authority=cluster.kube_configs[0].cluster_ca_certificate,
            api_endpoint=account.api_endpoint,
            stack=account.stack,
        )
        self.provider = kubernetes.Provider(
            "kubernetes",
            kubeconfig=self.kubeconfig,
            # Without it a changed kubeconfig may look like another cluster, and replace everything in it.
            cluster_identifier=cluster.id,
            enable_server_side_apply=True,
            opts=child,
        )
        self.register_outputs({"id": self.id, "kubeconfig": self.kubeconfig})
