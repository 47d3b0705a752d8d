"""A Kubernetes cluster that the stack creates on DigitalOcean."""

from typing import TypedDict

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_kubernetes as kubernetes

from infra.cluster.cluster import Cluster, Pool
from infra.cluster.kubeconfig import kubeconfig
from infra.config.cluster import ClusterSettings, MaintenanceWindow, Vpc
from infra.config.node_pools import NodePool
from infra.loader import Account
from infra.lookups import ClusterPlan


class DoksCluster(Cluster):
    """A DigitalOcean Kubernetes cluster with its node pools."""

    def __init__(self, name: str, config: ClusterSettings, account: Account, plan: ClusterPlan) -> None:
        """Creates the cluster.

        Args:
            name: of the component.
            config: the cluster's keys.
            account: that the cluster is created in.
            plan: its version, and which of its inputs stay as they are.
        """
        super().__init__("kong-doks:cluster:Cluster", name)
        self._child = pulumi.ResourceOptions(parent=self)
        vpc_id: pulumi.Input[str] | None = config.vpc.id if config.vpc else None
        if config.vpc and config.vpc.name:
            vpc_id = self.vpc_id = _vpc(config.vpc, config.region, plan, self._child).id
        cluster = self._create_cluster(name, config, plan, vpc_id)
        self.resource = cluster
        self.id = cluster.id
        self.pools = {
            key: _node_pool(key, pool, cluster, pulumi.ResourceOptions.merge(self._child, _POOL_OPTIONS))
            for key, pool in config.node_pools.items()
        }
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
            opts=self._child,
        )
        self.register_outputs({"id": self.id, "kubeconfig": self.kubeconfig})

    def _create_cluster(
        self, name: str, config: ClusterSettings, plan: ClusterPlan, vpc_id: pulumi.Input[str] | None
    ) -> digitalocean.KubernetesCluster:
        """Creates the cluster with its default node pool."""
        options = pulumi.ResourceOptions(
            ignore_changes=list(plan.ignored),
            protect=True if config.is_protected(pulumi.get_stack()) else None,
            # Creating takes 4 to 8 minutes. After a time-out the provider forgets the cluster, which goes on costing.
            custom_timeouts=pulumi.CustomTimeouts(create="45m"),
        )
        return digitalocean.KubernetesCluster(
            name,
            name=config.cluster_name,
            region=config.region,
            version=plan.version,
            # Left out, it means true from prices.HIGH_AVAILABILITY_FROM on.
            ha=config.ha,
            auto_upgrade=config.auto_upgrade,
            surge_upgrade=True,
            vpc_uuid=vpc_id,
            control_plane_firewall=_firewall(config),
            maintenance_policy=_maintenance(config.maintenance_window),
            # `destroy` reads it from the state, so it has to be there from the first `up`.
            destroy_all_associated_resources=True,
            node_pool=digitalocean.KubernetesClusterNodePoolArgs(
                name=config.default_pool_name, size=config.node_size, **_scale(config.default_pool)
            ),
            opts=pulumi.ResourceOptions.merge(self._child, options),
        )


def _vpc(vpc: Vpc, region: str, plan: ClusterPlan, opts: pulumi.ResourceOptions) -> digitalocean.Vpc:
    # DigitalOcean answers the cluster's DELETE before its nodes are gone, and refuses to delete the VPC until then. The
    # provider retries for two minutes by default.
    patient = pulumi.ResourceOptions(
        custom_timeouts=pulumi.CustomTimeouts(delete="30m"),
        # Replacing the VPC would replace the cluster, even if the cluster ignores `vpcUuid`.
        ignore_changes=["ipRange", "region"] if "vpcUuid" in plan.ignored else None,
    )
    return digitalocean.Vpc(
        "vpc",
        name=vpc.name,
        region=region,
        ip_range=str(vpc.ip_range) if vpc.ip_range else None,
        opts=pulumi.ResourceOptions.merge(opts, patient),
    )


def _firewall(config: ClusterSettings) -> digitalocean.KubernetesClusterControlPlaneFirewallArgs | None:
    """Returns the firewall of the API server, enabled or disabled; None leaves one that was set by hand as it is."""
    networks = config.control_plane_firewall
    if not networks:
        return None
    is_open = any(network.prefixlen == 0 for network in networks)
    addresses = [] if is_open else [str(network) for network in networks]
    return digitalocean.KubernetesClusterControlPlaneFirewallArgs(enabled=not is_open, allowed_addresses=addresses)


def _maintenance(window: MaintenanceWindow | None) -> digitalocean.KubernetesClusterMaintenancePolicyArgs | None:
    if window is None:
        return None
    return digitalocean.KubernetesClusterMaintenancePolicyArgs(day=window.day, start_time=window.start)


class _Scale(TypedDict, total=False):
    node_count: int
    auto_scale: bool
    min_nodes: int
    max_nodes: int


def _scale(pool: NodePool) -> _Scale:
    """Returns the arguments for a pool's number of nodes.

    An autoscaled pool has no count: the provider would set it back to the program's at every update.
    """
    if pool.autoscale:
        return {"auto_scale": True, "min_nodes": pool.autoscale.min, "max_nodes": pool.autoscale.max}
    return {"node_count": pool.most}


_POOL_OPTIONS = pulumi.ResourceOptions(
    # The pool of the new size comes first, services move to it, and then DigitalOcean drains the old one. The provider
    # deletes a resource with a name first by default.
    delete_before_replace=False,
    # A drain respects disruption budgets, and so takes as long as the pods do.
    custom_timeouts=pulumi.CustomTimeouts(create="45m", delete="60m"),
)


def _node_pool(key: str, pool: NodePool, cluster: digitalocean.KubernetesCluster, opts: pulumi.ResourceOptions) -> Pool:
    resource = digitalocean.KubernetesNodePool(
        key,
        cluster_id=cluster.id,
        name=pool.full_name(key),
        size=pool.size,
        labels=pool.labels or None,
        taints=[
            digitalocean.KubernetesNodePoolTaintArgs(key=taint.key, value=taint.value, effect=taint.effect)
            for taint in pool.taints
        ]
        or None,
        **_scale(pool),
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # A pool goes with its cluster: nothing is drained when all of it ends.
                deleted_with=cluster,
                # The provider leaves an empty set of labels out of its request. DigitalOcean then keeps the last label,
                # which every later preview would remove again.
                ignore_changes=None if pool.labels else ["labels"],
            ),
        ),
    )
    return Pool(resource.name, pool.taints)
