"""A microservice: its pods, and its route through the gateway."""

import shlex
from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import apps, core, meta

from infra.cluster.cluster import Pool
from infra.config.bundled_app import AnyWorkload
from infra.config.environment import tracing_environment
from infra.config.health_checks import health_checks
from infra.config.kong_plugins import route_rules
from infra.config.registry import PullCredentials
from infra.config.service import Service as ServiceSettings
from infra.config.service_version import ResolvedVersion
from infra.config.settings import Settings
from infra.gateway.kong_resources import UPSTREAM_POLICY, plugin_name, route_plugin, upstream_policy
from infra.images.image import ExistingImage, Image
from infra.images.registry import docker_config_of
from infra.secrets import mark_secret
from infra.services.deployment import VersionArgs, deploy
from infra.services.namespace import ServicesNamespace
from infra.services.network_policies import service_policy
from infra.services.route import RouteArgs, RouteDependencies, route
from infra.services.service_objects import service_object, weighted_backend


class Service(pulumi.ComponentResource):
    """A microservice behind the gateway.

    Each version is <version>-deployment and <version>-service; a single version has the service's name. The route has
    the service's name, and one list of policies, whichever version answers. One with weights leads to Service objects
    of its own.

    Attributes:
        name: of the service.
        url: of the service at the gateway.
        request: command that calls it.
    """

    def __init__(  # noqa: PLR0913 -- images, namespace and what the route needs are what it builds on
        self,
        service: AnyWorkload,
        config: Settings,
        *,
        images: Mapping[str, Image | ExistingImage],
        namespace: ServicesNamespace,
        pool: Pool | None,
        needs: RouteDependencies,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Creates the service.

        Args:
            service: section of the configuration.
            config: the whole of it: the gateway's policies, and the other services.
            images: by the version's name.
            namespace: of the services.
            pool: node pool of its pods; None: wherever there is room.
            needs: what must exist before the route does.
            opts: of the component.
        """
        self.name = service.name
        self.url = pulumi.Output.concat(needs.gateway.url, service.path)
        self.request = _request(service, self.url)
        super().__init__("kong-doks:service:Service", self.name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with)

        def after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*resources]))

        rules = route_rules(service, config.gateway, needs.gateway.context)
        namespace_name = namespace.closed_for(self.name, service_policy(service, config), needs.gateway.closed)
        needs.gateway.crds_after.append(namespace_name)
        after_gateway = after(*needs.gateway.ready)
        plugins = [route_plugin(self.name, plugin, namespace_name, after_gateway) for plugin in rules.plugins]
        checks = health_checks(service)
        # Service objects and route depend on the policy: the controller reports one that it doesn't find as an error,
        # and Kong makes no health checks until it does.
        policy = [upstream_policy(self.name, checks, namespace_name, after_gateway)] if checks else []
        upstream = {**rules.upstream, **({UPSTREAM_POLICY: self.name} if checks else {})}
        pull_secrets = [namespace.pull_secret] if namespace.pull_secret is not None else []
        if isinstance(service, ServiceSettings) and service.pull:
            pull_secrets.append(_pull_secret(self.name, service.pull, namespace_name, child))
        versions = {
            version_name: VersionArgs(
                service=service,
                version=version,
                image=images[version_name],
                env=_environment(service, version, config),
                namespace=namespace_name,
                pull_secrets=pull_secrets,
                pool=pool,
                evictable=config.scales_nodes,
                annotations=upstream,
            )
            for version_name, version in service.versions.items()
        }
        deployments = {name: deploy(name, args, after(*plugins)) for name, args in versions.items()}
        is_weighted = len(service.traffic_weights) > 1
        create_backend = weighted_backend if is_weighted else service_object
        backends = {name: create_backend(name, args, after(*plugins, *policy)) for name, args in versions.items()}
        applied = sorted(plugin_name(self.name, plugin.name) for plugin in rules.plugins if plugin.applies)
        opened = route(
            RouteArgs(
                service=service,
                namespace=namespace_name,
                annotations={
                    **({"konghq.com/plugins": ",".join(applied)} if applied else {}),
                    **mark_secret(rules.route, service),
                },
                backends=[
                    (_ready(backends[name], deployments[name]), weight)
                    for name, weight in service.traffic_weights.items()
                ],
                needs=needs,
            ),
            after(*needs.gateway.plugins, *plugins, *policy, *needs.of(service)),
        )
        if is_weighted:
            # A route of an earlier revision leads to these, so they change once it has moved.
            for name, args in versions.items():
                service_object(name, args, after(*plugins, opened))
        self.register_outputs({})


def _ready(backend: core.v1.Service, deployment: apps.v1.Deployment) -> pulumi.Output[str]:
    """Returns the name of a Service object, resolved once the Deployment's pods are ready."""
    ready = pulumi.Output.all(backend.metadata.name, deployment.metadata.name)
    return ready.apply(lambda names: str(names[0]))


def _request(service: AnyWorkload, url: pulumi.Output[str]) -> pulumi.Output[str]:
    if isinstance(service, ServiceSettings) and service.protocol == "grpc":
        return pulumi.Output.from_input(f"# gRPC on port 443: {service.path}")
    credential = {"jwt": '-H "Authorization: Bearer $TOKEN" ', "key-auth": '-H "apikey: $KEY" '}
    # The value may be secret, and the output isn't.
    values = {name: "..." if service.is_secret else value for name, value in service.when_headers.items()}
    conditions = "".join(f"-H {shlex.quote(f'{name}: {value}')} " for name, value in values.items())
    return pulumi.Output.concat("curl ", credential.get(service.auth or "", ""), conditions, url)


def _pull_secret(
    name: str, credentials: PullCredentials, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Creates the Secret to pull a service's private image with; no service has a dot in its name."""
    host = credentials.server.partition("/")[0]
    docker_config = docker_config_of(host, credentials.username, credentials.password.get_secret_value())
    secret = core.v1.Secret(
        f"{name}.pull",
        metadata=meta.v1.ObjectMetaArgs(name=f"{name}.pull", namespace=namespace, labels={"app": name}),
        type="kubernetes.io/dockerconfigjson",
        string_data={".dockerconfigjson": pulumi.Output.secret(docker_config)},
        opts=opts,
    )
    return secret.metadata.name


def _environment(service: AnyWorkload, version: ResolvedVersion, config: Settings) -> Mapping[str, pulumi.Input[str]]:
    tracing = tracing_environment(config.gateway.tracing if service.tracing else None, service.name)
    own = service.environment(version, config.workloads, config.gateway)
    return {**mark_secret(tracing, config.gateway), **mark_secret(own, service)}
