"""A microservice: its pods, and its route through the gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from infra.gateway.kong_resources import Plugin, plugin_name, route_plugin
from infra.services.deployment import VersionArgs, WorkloadArgs, workload
from infra.services.route import RouteArgs, route


@dataclass(frozen=True, kw_only=True)
class ServiceArgs(WorkloadArgs):
    """A microservice.

    Attributes:
        versions: what runs: one version under the service's name, or several.
        shares: those of them that requests go to, with how many of a hundred.
        path: what the gateway routes to it, with everything below.
        plugins: Kong's plugins that have to be there, with their configuration.
        password_places: which of them count with others of Kong's pods, and where their configuration has the password.
        route_plugins: those of them that apply.
        route_annotations: what else the gateway is told of the route.
        domain: what requests have to ask for; None: whatever they do.
        tls_secret: the Secret that has the domain's certificate.
        awaited: whether the route is there once this is made; False: later, when there is a certificate.
        parent: the Gateway that requests are shared out by.
        gateway: Kong, and what plugins and routes need there.
        route_needs: what only the route needs besides.
    """

    versions: Mapping[str, VersionArgs]
    shares: Mapping[str, int]
    path: str
    plugins: Mapping[str, pulumi.Input[Mapping[str, Any]]]
    password_places: Mapping[str, str]
    route_plugins: Sequence[str]
    route_annotations: Mapping[str, pulumi.Input[str]]
    domain: str | None = None
    tls_secret: pulumi.Input[str] | None = None
    awaited: bool = True
    parent: Mapping[str, str] | None
    gateway: Sequence[pulumi.Resource]
    route_needs: Sequence[pulumi.Resource] = ()


class Service(pulumi.ComponentResource):
    """A microservice behind the gateway.

    Each version is <version>-deployment and <version>-service, where the version is called like the service if there is
    just one. The route has the service's name, and one list of policies, whichever version answers.
    """

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:service:Service", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with if opts else None)
        after_gateway = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*args.gateway]))
        plugins = [
            route_plugin(name, Plugin(kind, config, args.password_places.get(kind)), args.namespace, after_gateway)
            for kind, config in args.plugins.items()
        ]
        after_plugins = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=plugins))
        backends = {
            version: workload(version, name, version_args, args, after_plugins)
            for version, version_args in args.versions.items()
        }
        named = {"konghq.com/plugins": ",".join(plugin_name(name, plugin) for plugin in args.route_plugins)}
        route(
            name,
            RouteArgs(
                namespace=args.namespace,
                labels={"app": name},
                annotations={**(named if args.route_plugins else {}), **args.route_annotations},
                path=args.path,
                port=args.port,
                backends=[(backends[version], share) for version, share in args.shares.items()],
                domain=args.domain,
                tls_secret=args.tls_secret,
                awaited=args.awaited,
                parent=args.parent,
            ),
            pulumi.ResourceOptions.merge(
                after_gateway, pulumi.ResourceOptions(depends_on=[*plugins, *args.route_needs])
            ),
        )
        self.register_outputs({})
