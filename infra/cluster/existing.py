"""A cluster that the stack uses and doesn't own."""

import pulumi
import pulumi_kubernetes as kubernetes

from infra.cluster.cluster import Cluster


class ExistingCluster(Cluster):
    """An existing cluster, reached by a context of the user's kubeconfig."""

    def __init__(self, name: str, context: str) -> None:
        super().__init__("kong-doks:cluster:ExistingCluster", name)
        self.kube_context = context
        self.provider = kubernetes.Provider(
            "kubernetes", context=context, enable_server_side_apply=True, opts=pulumi.ResourceOptions(parent=self)
        )
        self.register_outputs({})
