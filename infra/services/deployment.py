"""The pods of one version of a service, and the Service that finds them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import apps, core, meta

from infra.kubernetes.network_policy import SERVICE_LABEL
from infra.kubernetes.pod_security import CONTAINER, POD
from infra.kubernetes.raw_object import SKIP_AWAIT

CLOSING_SECONDS = 5
"""How long a pod that is to end goes on serving, until no proxy sends it anything any more."""
_FIRST_POD, _FURTHER_POD = 180, 30
"""Seconds that a rollout may take. Pulumi's default is ten minutes, also for a container that crashes at once."""


@dataclass(frozen=True, kw_only=True)
class VersionArgs:
    """What sets one version of a service apart from another.

    Attributes:
        image: what its pods run.
        image_content: rolls the pods where `image` alone doesn't name what it holds.
        health: the path that the probes ask for; None: they only connect.
    """

    image: pulumi.Input[str]
    image_content: pulumi.Input[str] | None
    replicas: int
    health: str | None
    env: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """What the versions of a service have in common.

    Attributes:
        namespace: where it lives.
        pull_secret: the Secret to pull images with.
        port: where the container listens; it finds the number in PORT.
        requests: cpu and memory that are kept free for each pod.
        limits: cpu and memory that a pod can't exceed.
        upstream_annotations: what the gateway is told of the service.
    """

    namespace: pulumi.Input[str]
    pull_secret: pulumi.Input[str] | None
    port: int
    requests: Mapping[str, str]
    limits: Mapping[str, str]
    upstream_annotations: Mapping[str, str]


def workload(
    name: str,
    service_name: str,
    version: VersionArgs,
    args: WorkloadArgs,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Creates the Deployment `<name>-deployment` and the Service `<name>-service`.

    Returns:
        The Service's name, resolved once the Deployment's pods are ready.

    Kong serves a route without a plugin that it doesn't find, and the controller may hear of a route before it hears of
    its plugins, or longer. So pods start after the plugins, which `opts` depends on, and are gone before them.
    """
    labels = {"app": name}
    rollout = f"{_FIRST_POD + _FURTHER_POD * (version.replicas - 1)}s"

    def metadata(suffix: str, annotations: Mapping[str, str] | None = None) -> meta.v1.ObjectMetaArgs:
        return meta.v1.ObjectMetaArgs(
            name=f"{name}{suffix}", namespace=args.namespace, labels=labels, annotations=annotations or None
        )

    deployment = apps.v1.Deployment(
        name,
        metadata=metadata("-deployment"),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=version.replicas,
            selector=meta.v1.LabelSelectorArgs(match_labels=labels),
            # A new pod first, then the old one goes: no request meets no pod.
            strategy=apps.v1.DeploymentStrategyArgs(
                type="RollingUpdate",
                rolling_update=apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
            ),
            template=core.v1.PodTemplateSpecArgs(
                metadata=meta.v1.ObjectMetaArgs(
                    labels={**labels, SERVICE_LABEL: service_name},
                    annotations={"kong-doks/image-content": version.image_content} if version.image_content else None,
                ),
                spec=_pod(version, args),
            ),
        ),
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create=rollout, update=rollout))
        ),
    )
    service = core.v1.Service(
        name,
        # Pulumi waits 10 s for a Service's endpoints to settle, in one of the engine's few slots. The Deployment's pods
        # are what the route waits for.
        metadata=metadata("-service", {**args.upstream_annotations, **SKIP_AWAIT}),
        spec=core.v1.ServiceSpecArgs(
            selector=labels, ports=[core.v1.ServicePortArgs(name="http", port=args.port, target_port="http")]
        ),
        opts=opts,
    )
    ready = pulumi.Output.all(service.metadata.name, deployment.metadata.name)
    return ready.apply(lambda names: str(names[0]))


def _as_written(value: pulumi.Input[str]) -> pulumi.Input[str]:
    """Escapes what Kubernetes would change in a variable: `$(NAME)` is another one's value, `$$` a dollar."""
    if isinstance(value, str):
        return _escaped(value)
    text: pulumi.Output[str] = pulumi.Output.from_input(value)
    return text.apply(_escaped)


def _escaped(value: str) -> str:
    return value.replace("$", "$$") if "$$" in value or "$(" in value else value


def _pod(version: VersionArgs, args: WorkloadArgs) -> core.v1.PodSpecArgs:
    """One container that may do no more than serve."""
    probe = (
        {"http_get": core.v1.HTTPGetActionArgs(path=version.health, port="http")}
        if version.health
        else {"tcp_socket": core.v1.TCPSocketActionArgs(port="http")}
    )
    return core.v1.PodSpecArgs(
        automount_service_account_token=False,
        enable_service_links=False,
        image_pull_secrets=[core.v1.LocalObjectReferenceArgs(name=args.pull_secret)] if args.pull_secret else None,
        security_context=POD,
        termination_grace_period_seconds=30,
        volumes=[core.v1.VolumeArgs(name="tmp", empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi"))],
        containers=[
            core.v1.ContainerArgs(
                name="api",
                image=version.image,
                image_pull_policy="IfNotPresent",
                ports=[core.v1.ContainerPortArgs(name="http", container_port=args.port)],
                env=[
                    core.v1.EnvVarArgs(name=name, value=_as_written(value))
                    for name, value in {"PORT": str(args.port), **version.env}.items()
                ],
                resources=core.v1.ResourceRequirementsArgs(requests=args.requests, limits=args.limits),
                security_context=CONTAINER,
                # Pulumi shows this message of a container that ended: its last log lines.
                termination_message_policy="FallbackToLogsOnError",
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
