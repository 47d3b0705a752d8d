"""A microservice: its pods, its Service, and its route through the gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes import apps, core, meta, networking

from infra.kong import Plugin, plugin_name, route_plugin

CLOSING_SECONDS = 5
"""How long a pod that is to end goes on serving, until no proxy sends it anything any more."""


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """A microservice.

    Attributes:
        namespace: where it lives.
        image: what its pods run.
        image_digest: rolls the pods where `image` alone doesn't name what it holds.
        pull_secret: the Secret to pull it with.
        path: what the gateway routes to it, with everything below.
        port: where the container listens; it finds the number in PORT.
        health: the path that the probes ask for; None: they only connect.
        requests: cpu and memory that are kept free for each pod.
        limits: cpu and memory that a pod can't exceed.
        plugins: Kong's plugins that have to be there, with their configuration.
        password_places: which of them count with others of Kong's pods, and where their configuration has the password.
        route_plugins: those of them that apply.
        route_annotations: what else the gateway is told of the route.
        upstream_annotations: what it is told of the service.
        domain: what requests have to ask for; None: whatever they do.
        tls_secret: the Secret that has the domain's certificate.
        gateway: Kong, and what has to be there for routes to work.
    """

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    image_digest: pulumi.Input[str] | None
    pull_secret: pulumi.Input[str] | None
    path: str
    port: int
    replicas: int
    health: str | None
    env: Mapping[str, pulumi.Input[str]]
    requests: Mapping[str, str]
    limits: Mapping[str, str]
    plugins: Mapping[str, pulumi.Input[Mapping[str, Any]]]
    password_places: Mapping[str, str]
    route_plugins: Sequence[str]
    route_annotations: Mapping[str, str]
    upstream_annotations: Mapping[str, str]
    domain: str | None = None
    tls_secret: pulumi.Input[str] | None = None
    gateway: Sequence[pulumi.Resource]


class Service(pulumi.ComponentResource):
    """A microservice behind the gateway, under the names <name>-deployment, <name>-service and <name> (the Ingress)."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:service:Service", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=opts.deleted_with if opts else None)
        labels = {"app": name}

        def metadata(suffix: str, annotations: Mapping[str, str] | None = None) -> meta.v1.ObjectMetaArgs:
            return meta.v1.ObjectMetaArgs(
                name=f"{name}{suffix}", namespace=args.namespace, labels=labels, annotations=annotations or None
            )

        after_gateway = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*args.gateway]))
        plugins = [
            route_plugin(name, Plugin(kind, config, args.password_places.get(kind)), args.namespace, after_gateway)
            for kind, config in args.plugins.items()
        ]
        named = {"konghq.com/plugins": ",".join(plugin_name(name, plugin) for plugin in args.route_plugins)}
        apps.v1.Deployment(
            name,
            metadata=metadata("-deployment"),
            spec=apps.v1.DeploymentSpecArgs(
                replicas=args.replicas,
                selector=meta.v1.LabelSelectorArgs(match_labels=labels),
                # A new pod first, then the old one goes: no request meets no pod.
                strategy=apps.v1.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
                ),
                template=core.v1.PodTemplateSpecArgs(
                    metadata=meta.v1.ObjectMetaArgs(
                        labels=labels,
                        annotations={"kong-doks/image-digest": args.image_digest} if args.image_digest else None,
                    ),
                    spec=pod(args),
                ),
            ),
            # Kong serves a route without a plugin that it doesn't find, and the controller may hear of a route before
            # it hears of its plugins, or longer. So pods start after the plugins and are gone before them.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=plugins)),
        )
        service = core.v1.Service(
            name,
            metadata=metadata("-service", args.upstream_annotations),
            spec=core.v1.ServiceSpecArgs(
                selector=labels, ports=[core.v1.ServicePortArgs(name="http", port=args.port, target_port="http")]
            ),
            opts=child,
        )
        backend = networking.v1.IngressBackendArgs(
            service=networking.v1.IngressServiceBackendArgs(
                name=service.metadata.name, port=networking.v1.ServiceBackendPortArgs(number=args.port)
            )
        )
        path = networking.v1.HTTPIngressPathArgs(path=args.path, path_type="Prefix", backend=backend)
        paths = networking.v1.HTTPIngressRuleValueArgs(paths=[path])
        networking.v1.Ingress(
            name,
            metadata=metadata("", {**(named if args.route_plugins else {}), **args.route_annotations}),
            spec=networking.v1.IngressSpecArgs(
                ingress_class_name="kong",
                rules=[networking.v1.IngressRuleArgs(host=args.domain, http=paths)],
                tls=[networking.v1.IngressTLSArgs(hosts=[args.domain], secret_name=args.tls_secret)]
                if args.domain
                else None,
            ),
            # Pulumi waits until the controller has written the route's address; without Kong that never happens.
            opts=pulumi.ResourceOptions.merge(after_gateway, pulumi.ResourceOptions(depends_on=plugins)),
        )
        self.register_outputs({})


def pod(args: ServiceArgs) -> core.v1.PodSpecArgs:
    """One container that may do no more than serve."""
    probe = (
        {"http_get": core.v1.HTTPGetActionArgs(path=args.health, port="http")}
        if args.health
        else {"tcp_socket": core.v1.TCPSocketActionArgs(port="http")}
    )
    return core.v1.PodSpecArgs(
        automount_service_account_token=False,
        enable_service_links=False,
        image_pull_secrets=[core.v1.LocalObjectReferenceArgs(name=args.pull_secret)] if args.pull_secret else None,
        security_context=core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=10001,
            run_as_group=10001,
            fs_group=10001,
            seccomp_profile=core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        termination_grace_period_seconds=30,
        volumes=[core.v1.VolumeArgs(name="tmp", empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi"))],
        containers=[
            core.v1.ContainerArgs(
                name="api",
                image=args.image,
                image_pull_policy="IfNotPresent",
                ports=[core.v1.ContainerPortArgs(name="http", container_port=args.port)],
                env=[
                    core.v1.EnvVarArgs(name=name, value=value)
                    for name, value in {"PORT": str(args.port), **args.env}.items()
                ],
                resources=core.v1.ResourceRequirementsArgs(requests=args.requests, limits=args.limits),
                security_context=core.v1.SecurityContextArgs(
                    read_only_root_filesystem=True,
                    allow_privilege_escalation=False,
                    capabilities=core.v1.CapabilitiesArgs(drop=["ALL"]),
                ),
                volume_mounts=[core.v1.VolumeMountArgs(name="tmp", mount_path="/tmp")],  # noqa: S108 -- an own volume
                # Not ready: no requests. Not live for half a minute: a new container.
                readiness_probe=core.v1.ProbeArgs(**probe, period_seconds=5, timeout_seconds=2, failure_threshold=2),
                liveness_probe=core.v1.ProbeArgs(
                    **probe, initial_delay_seconds=10, period_seconds=10, timeout_seconds=2, failure_threshold=3
                ),
                lifecycle=core.v1.LifecycleArgs(
                    pre_stop=core.v1.LifecycleHandlerArgs(sleep=core.v1.SleepActionArgs(seconds=CLOSING_SECONDS))
                ),
            )
        ],
    )
