"""A microservice: its pods, and its route through the gateway."""

import shlex
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes import apps, core, meta

from infra.cluster.cluster import Pool
from infra.config.bundled_app import AnyWorkload
from infra.config.environment import tracing_environment
from infra.config.health_checks import health_checks
from infra.config.kong_plugins import RouteRules, route_rules
from infra.config.registry import PullCredentials
from infra.config.service import Service as ServiceSettings
from infra.config.service_version import ResolvedVersion
from infra.config.settings import Settings
from infra.gateway.gateway import Gateway
from infra.gateway.kong_resources import UPSTREAM_POLICY, plugin_name, route_plugin, upstream_policy
from infra.images.image import ExistingImage, Image
from infra.images.registry import docker_config_of
from infra.kubernetes.labels import app_labels
from infra.secrets import mark_secret
from infra.services.deployment import VersionArgs, deploy
from infra.services.namespace import ServicesNamespace
from infra.services.network_policies import service_policy
from infra.services.route import RouteArgs, RouteDependencies, route
from infra.services.service_objects import service_object, weighted_backend


class Service(pulumi.ComponentResource):
    """A microservice behind the gateway.

    Each version has a Deployment `<version>-deployment` and a Service object `<version>-service`; a single version has
    the service's name. The route has the service's name too. Its policies apply to all versions. A route with weights
    leads to further Service objects (see `weighted_backend`).

    Attributes:
        name: of the service.
        url: of the service at the gateway.
        request: command that calls it.
        route: its Ingress or HTTPRoute.
    """

    def __init__(  # noqa: PLR0913 -- images, namespace and what the route needs are what it builds on
        self,
        service: AnyWorkload,
        config: Settings,
        *,
        images: Mapping[str, Image | ExistingImage],
        namespace: ServicesNamespace,
        pool: Pool | None,
        route_dependencies: RouteDependencies,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Creates the service.

        Args:
            service: section of the configuration.
            config: the whole of it: the gateway's policies, and the other services.
            images: the images of the versions, by the version's name.
            namespace: the namespace of the services.
            pool: the node pool of its pods; None: any pool.
            route_dependencies: components that have to exist before the route.
            opts: the component's options.
        """
        gateway = route_dependencies.gateway
        self.name = service.name
        self.url = pulumi.Output.concat(gateway.url, service.path)
        self.request = _request(service, self.url)
        super().__init__("kong-doks:service:Service", self.name, None, opts)
        self._options = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with)
        rules = route_rules(service, config.gateway, gateway.context)
        namespace_name = self._isolated_namespace(service, config, namespace, gateway)
        after_gateway = self._after(*gateway.route_plugin_dependencies)
        plugins = [route_plugin(self.name, plugin, namespace_name, after_gateway) for plugin in rules.plugins]
        checks = health_checks(service)
        health = [upstream_policy(self.name, checks, namespace_name, after_gateway)] if checks else []
        pull_secrets = self._create_pull_secrets(service, namespace, namespace_name)
        versions = {
            name: VersionArgs(
                service=service,
                version=version,
                image=images[name],
                env=_environment(service, version, config),
                namespace=namespace_name,
                pull_secrets=pull_secrets,
                pool=pool,
                evictable=config.scales_nodes,
                annotations={**rules.upstream, **({UPSTREAM_POLICY: self.name} if checks else {})},
            )
            for name, version in service.versions.items()
        }
        is_weighted = len(service.traffic_weights) > 1
        backends = self._create_versions(versions, plugins, health, is_weighted=is_weighted)
        route_args = RouteArgs(
            service=service,
            namespace=namespace_name,
            annotations=self._route_annotations(service, rules),
            backends=[(backends[name], weight) for name, weight in service.traffic_weights.items()],
            dependencies=route_dependencies,
        )
        before_route = [*gateway.plugins, *plugins, *health, *route_dependencies.of(service)]
        self.route = route(route_args, self._after(*before_route))
        if is_weighted:
            # The route of an earlier revision may lead to these Service objects, so they change after the new route.
            for name, args in versions.items():
                service_object(name, args, self._after(*plugins, self.route))
        self.register_outputs({})

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=[*resources]))

    def _isolated_namespace(
        self, service: AnyWorkload, config: Settings, namespace: ServicesNamespace, gateway: Gateway
    ) -> pulumi.Output[str]:
        """Creates the NetworkPolicy of the service's pods; the objects of the service come after it."""
        policy = service_policy(service, config)
        name = namespace.isolate_service(self.name, policy, gateway.isolated_namespace)
        gateway.crds_wait_for.append(name)
        return name

    def _create_versions(
        self,
        versions: Mapping[str, VersionArgs],
        plugins: Sequence[pulumi.Resource],
        health: Sequence[pulumi.Resource],
        *,
        is_weighted: bool,
    ) -> Mapping[str, pulumi.Output[str]]:
        """Creates the pods of each version, and the Service object that the route leads to.

        Returns:
            The name of each version's Service object, resolved once its pods are ready.
        """
        create_backend = weighted_backend if is_weighted else service_object
        backends = {}
        for name, args in versions.items():
            deployment = deploy(name, args, self._after(*plugins))
            # The controller reports an upstream policy that it doesn't find as an error, and Kong makes no health
            # checks until it exists.
            backends[name] = _ready(create_backend(name, args, self._after(*plugins, *health)), deployment)
        return backends

    def _create_pull_secrets(
        self, service: AnyWorkload, namespace: ServicesNamespace, namespace_name: pulumi.Input[str]
    ) -> Sequence[pulumi.Input[str]]:
        """Creates the service's own Secret, and returns the names of all Secrets to pull its images with."""
        names: list[pulumi.Input[str]] = [namespace.pull_secret] if namespace.pull_secret is not None else []
        if isinstance(service, ServiceSettings) and service.pull:
            names.append(_pull_secret(self.name, service.pull, namespace_name, self._options))
        return names

    def _route_annotations(self, service: AnyWorkload, rules: RouteRules) -> Mapping[str, pulumi.Input[str]]:
        applied = sorted(plugin_name(self.name, plugin.name) for plugin in rules.plugins if plugin.applies)
        plugins = {"konghq.com/plugins": ",".join(applied)} if applied else {}
        return {**plugins, **mark_secret(rules.route, service)}


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
        metadata=meta.v1.ObjectMetaArgs(name=f"{name}.pull", namespace=namespace, labels=app_labels(name)),
        type="kubernetes.io/dockerconfigjson",
        string_data={".dockerconfigjson": pulumi.Output.secret(docker_config)},
        opts=opts,
    )
    return secret.metadata.name


def _environment(service: AnyWorkload, version: ResolvedVersion, config: Settings) -> Mapping[str, pulumi.Input[str]]:
    tracing = tracing_environment(config.gateway.tracing if service.tracing else None, service.name)
    own = service.environment(version, config.workloads, config.gateway)
    return {**mark_secret(tracing, config.gateway), **mark_secret(own, service)}
