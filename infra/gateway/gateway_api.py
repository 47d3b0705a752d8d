"""The Kubernetes Gateway API, whose routes have weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from infra.cluster.cluster import Cluster
from infra.config import namespaces
from infra.gateway.gateway import Gateway
from infra.kubernetes.crds import CustomResourceDefinitions
from infra.kubernetes.raw_object import KubernetesObject

API = "gateway.networking.k8s.io/v1"
_NAME = "kong"
# DOKS installs these definitions too, from Kubernetes 1.33 on, and reconciles them unless this says otherwise
# (DigitalOcean: use Gateway API).
_NOT_BY_DOKS = {"doks.digitalocean.com/install-policy": "external"}


class GatewayApi(pulumi.ComponentResource):
    """A GatewayClass and a Gateway that stand for Kong.

    Attributes:
        gateway: the Gateway, on which routes depend.
        parent: reference of a route to that Gateway.
    """

    def __init__(self, name: str, gateway: Gateway, *, crds: Sequence[Mapping[str, Any]], cluster: Cluster) -> None:
        """Creates the Gateway.

        Args:
            name: of the component.
            gateway: Kong.
            crds: definitions of the Gateway API; empty if the cluster has them.
            cluster: that Kong runs in.
        """
        # The Gateway is in Kong's namespace, and goes on `destroy` while the controller runs.
        after_release = pulumi.ResourceOptions(depends_on=[gateway.release])
        super().__init__(
            "kong-doks:gateway:GatewayApi",
            name,
            None,
            pulumi.ResourceOptions.merge(cluster.deleted_with_cluster_options, after_release),
        )
        child = pulumi.ResourceOptions(parent=self, deleted_with=cluster.resource)
        definitions = CustomResourceDefinitions(
            "gateway-api",
            crds,
            child,
            _NOT_BY_DOKS,
            # In an existing cluster, other tools may use these kinds in a newer version.
            is_forced=cluster.resource is not None,
        )
        gateway_class = KubernetesObject(
            name,
            {
                "apiVersion": API,
                "kind": "GatewayClass",
                # Unmanaged: Kong runs already, and the controller creates no other.
                "metadata": {"name": _NAME, "annotations": {"konghq.com/gatewayclass-unmanaged": "true"}},
                "spec": {"controllerName": "konghq.com/kic-gateway-controller"},
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[definitions])),
        )
        # Kong serves routes on all of its ports, whatever the listeners are.
        listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
        self.gateway = KubernetesObject(
            name,
            {
                "apiVersion": API,
                "kind": "Gateway",
                "metadata": {"name": _NAME, "namespace": namespaces.GATEWAY},
                "spec": {"gatewayClassName": _NAME, "listeners": [listener]},
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[gateway_class])),
        )
        self.parent = {"name": _NAME, "namespace": namespaces.GATEWAY}
        self.register_outputs({})
