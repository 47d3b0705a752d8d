"""What the gateway needs beyond Ingress: the Kubernetes Gateway API, whose routes have weights."""

from dataclasses import dataclass

import pulumi

from infra import versions
from infra.definitions import Definitions, of_gateway_api
from infra.objects import KubernetesObject

API = "gateway.networking.k8s.io/v1"
_NAME = "kong"

# DOKS brings these definitions too, from Kubernetes 1.33 on. This leaves them to us (DigitalOcean: use Gateway API).
_OURS = {"doks.digitalocean.com/install-policy": "external"}


@dataclass(frozen=True, kw_only=True)
class GatewayApiArgs:
    """The Gateway API, as Kong's controller serves it.

    Attributes:
        namespace: Kong's.
        releases: where the Gateway API's releases are; "": the cluster has its definitions.
    """

    namespace: str
    releases: str


class GatewayApi(pulumi.ComponentResource):
    """A Gateway that is Kong. Routes that depend on this find it at `parent`."""

    def __init__(self, name: str, args: GatewayApiArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("kong-doks:gateway:GatewayApi", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with)
        ready: list[pulumi.Resource] = []
        if args.releases:
            definitions = of_gateway_api(args.releases, versions.GATEWAY_API)
            ready = [Definitions("gateway-api", definitions, child, _OURS)]
        gateway_class = KubernetesObject(
            name,
            {
                "apiVersion": API,
                "kind": "GatewayClass",
                # Unmanaged: the gateway is there already, as the controller's own.
                "metadata": {"name": _NAME, "annotations": {"konghq.com/gatewayclass-unmanaged": "true"}},
                "spec": {"controllerName": "konghq.com/kic-gateway-controller"},
            },
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=ready)),
        )
        # Routes are on all of Kong's ports, whatever listeners say.
        listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
        KubernetesObject(
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
