"""Decides which cluster the stack uses."""

from infra.cluster.cluster import Cluster
from infra.cluster.doks import DoksCluster
from infra.cluster.existing import ExistingCluster
from infra.config.cluster import ClusterSettings
from infra.kubernetes import field_ownership
from infra.loader import Account
from infra.lookups import Lookups


def provision_cluster(config: ClusterSettings, account: Account, lookups: Lookups) -> Cluster:
    """Returns the cluster that the stack creates on DigitalOcean, or the existing one that the configuration names."""
    if lookups.cluster is None:
        return ExistingCluster("cluster", config.kube_context)
    # In an existing cluster, an object of the same name may be somebody else's: there a conflict stays an error.
    field_ownership.force_apply()
    return DoksCluster("cluster", config, account, lookups.cluster)
