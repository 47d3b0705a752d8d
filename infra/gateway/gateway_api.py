"""What the gateway needs beyond Ingress: the Kubernetes Gateway API, whose routes have weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.kubernetes.crds import Definition, Definitions
from infra.kubernetes.raw_object import KubernetesObject

API = "gateway.networking.k8s.io/v1"
_NAME = "kong"

# DOKS brings these definitions too, from Kubernetes 1.33 on. This leaves them to us (DigitalOcean: use Gateway API).
_OURS = {"doks.digitalocean.com/install-policy": "external"}


@dataclass(frozen=True, kw_only=True)
class GatewayApiArgs:
    """The Gateway API, as Kong's controller serves it.

    Attributes:
        namespace: Kong's.
        definitions: of its kinds; none: the cluster has them.
    """

    namespace: str
    definitions: Sequence[Definition]


class GatewayApi(pulumi.ComponentResource):
    """A Gateway that is Kong. Routes find it at `parent`, and depend on `gateway`."""

    def __init__(self, name: str, args: GatewayApiArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("kong-doks:gateway:GatewayApi", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with)
        definitions = Definitions("gateway-api", args.definitions, child, _OURS)
        gateway_class = KubernetesObject(
            name,
            {
                "apiVersion": API,
                "kind": "GatewayClass",
                # Unmanaged: the gateway is there already, as the controller's own.
                "metadata": {"name": _NAME, "annotations": {"konghq.com/gatewayclass-unmanaged": "true"}},
                "spec": {"controllerName": "konghq.com/kic-gateway-controller"},
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[definitions])),
        )
        # Routes are on all of Kong's ports, whatever listeners say.
        listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
        self.gateway = KubernetesObject(
            name,
            {
                "apiVersion": API,
                "kind": "Gateway",
                "metadata": {"name": _NAME, "namespace": args.namespace},
                "spec": {"gatewayClassName": _NAME, "listeners": [listener]},
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[gateway_class])),
        )
        self.parent = {"name": _NAME, "namespace": args.namespace}
        self.register_outputs({})
