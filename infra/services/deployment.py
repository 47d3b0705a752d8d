"""The Deployment of one version of a service."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import apps, core, meta

from infra.cluster.cluster import Pool
from infra.config.bundled_app import AnyWorkload
from infra.config.service_version import ResolvedVersion
from infra.images.image import ExistingImage, Image
from infra.kubernetes.eviction import EVICTABLE, lost_node_tolerations
from infra.kubernetes.labels import SERVICE_LABEL, app_labels
from infra.kubernetes.pod_security import CONTAINER, POD
from infra.kubernetes.rollout import first_pod_seconds
from infra.services.scaling import NUMBER_OF_PODS, autoscaler, disruption_budget, spread

PORT_NAME = "http"
"""Name of the port of a service's pods and Service objects. While a new number rolls out, the name fits all pods."""
MIN_READY_SECONDS = 3
"""Seconds that a new pod has to stay ready before it counts.

The controller sends its updates to Kong at this interval: the default of its option --proxy-sync-seconds.
"""
_STARTUP_PERIOD = 5
"""Seconds between two startup probes."""
_FURTHER_POD = 30
"""Seconds that a rollout may take for each pod after the first one."""


@dataclass(frozen=True, kw_only=True)
class VersionArgs:
    """One version of a service, and what it needs in the cluster.

    Attributes:
        service: the service or aggregate.
        version: the version.
        image: the image of the pods.
        env: the container's variables, beside PORT.
        namespace: the service's namespace.
        pull_secrets: names of the Secrets to pull the image with.
        pool: the node pool of the pods; None: any pool.
        evictable: whether the cluster autoscaler adds nodes for the pods, and may remove nodes with them.
        annotations: the Service objects' annotations, by which Kong's controller configures the upstream.
    """

    service: AnyWorkload
    version: ResolvedVersion
    image: Image | ExistingImage
    env: Mapping[str, pulumi.Input[str]]
    namespace: pulumi.Input[str]
    pull_secrets: Sequence[pulumi.Input[str]]
    pool: Pool | None
    evictable: bool
    annotations: Mapping[str, str]


def rollout_seconds(args: VersionArgs) -> int:
    """Returns the seconds that a rollout of a version may take."""
    first_pod = first_pod_seconds(scales_nodes=args.evictable) + (args.service.startup_seconds or 0)
    return first_pod + _FURTHER_POD * (args.version.max_replicas - 1)


def deploy(name: str, args: VersionArgs, opts: pulumi.ResourceOptions) -> apps.v1.Deployment:
    """Creates the Deployment `<name>-deployment` of a version.

    With it come `<name>-autoscaler`, and where there may be several pods `<name>-budget`.

    Kong serves a route without the plugins that it doesn't find, and the controller may process a route before its
    plugins. So pods start after the plugins, which `opts` depends on, and stop before Pulumi deletes the plugins.
    """
    labels = app_labels(name)
    pods = meta.v1.LabelSelectorArgs(match_labels=labels)
    rollout = f"{rollout_seconds(args)}s"

    def metadata(suffix: str) -> meta.v1.ObjectMetaArgs:
        return meta.v1.ObjectMetaArgs(name=f"{name}{suffix}", namespace=args.namespace, labels=labels)

    deployment = apps.v1.Deployment(
        name,
        metadata=metadata("-deployment"),
        spec=apps.v1.DeploymentSpecArgs(
            replicas=args.version.replicas,
            # The rollout ends, and the route is created, only when the controller has seen the pod's endpoint: a route
            # without endpoints answers 503.
            min_ready_seconds=MIN_READY_SECONDS,
            selector=pods,
            # A new pod starts before an old one stops, so that there is always one to serve.
            strategy=apps.v1.DeploymentStrategyArgs(
                type="RollingUpdate",
                rolling_update=apps.v1.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
            ),
            template=core.v1.PodTemplateSpecArgs(
                metadata=meta.v1.ObjectMetaArgs(
                    labels={**labels, SERVICE_LABEL: args.service.name},
                    annotations=_pod_annotations(args) or None,
                ),
                spec=_pod(args, pods),
            ),
        ),
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                custom_timeouts=pulumi.CustomTimeouts(create=rollout, update=rollout),
                ignore_changes=[NUMBER_OF_PODS] if args.version.autoscale else None,
            ),
        ),
    )
    if args.version.autoscale:
        autoscaler(name, args.version.autoscale, metadata("-autoscaler"), deployment.metadata.name, opts)
    if args.version.max_replicas > 1:
        disruption_budget(name, metadata("-budget"), pods, opts)
    return deployment


def _pod_annotations(args: VersionArgs) -> Mapping[str, pulumi.Input[str]]:
    content = {"kong-doks/image-content": args.image.content} if args.image.content else {}
    return {**content, **(EVICTABLE if args.evictable else {})}


def _tolerations(args: VersionArgs) -> Sequence[core.v1.TolerationArgs] | None:
    """Returns tolerations of the pool's taints; with several pods, also those that replace a pod of a lost node."""
    taints = args.pool.taints if args.pool else []
    of_pool = [
        core.v1.TolerationArgs(key=taint.key, operator="Equal", value=taint.value, effect=taint.effect)
        for taint in taints
    ]
    return of_pool + (lost_node_tolerations() if args.version.max_replicas > 1 else []) or None


def _as_written(value: pulumi.Input[str]) -> pulumi.Input[str]:
    """Escapes what Kubernetes expands in a variable: `$(NAME)` to another variable, `$$` to a dollar."""
    if isinstance(value, str):
        return _escaped(value)
    text: pulumi.Output[str] = pulumi.Output.from_input(value)
    return text.apply(_escaped)


def _escaped(value: str) -> str:
    return value.replace("$", "$$") if "$$" in value or "$(" in value else value


def _pod(args: VersionArgs, pods: meta.v1.LabelSelectorArgs) -> core.v1.PodSpecArgs:
    """Returns a pod with one restricted container; `pods` selects it and its replicas."""
    return core.v1.PodSpecArgs(
        automount_service_account_token=False,
        enable_service_links=False,
        image_pull_secrets=[core.v1.LocalObjectReferenceArgs(name=secret) for secret in args.pull_secrets] or None,
        security_context=POD,
        termination_grace_period_seconds=args.service.grace_period,
        topology_spread_constraints=[spread(pods)] if args.version.max_replicas > 1 else None,
        # A pool of another size has another name: when one replaces the other, the Deployment moves by a rollout before
        # the old pool is drained.
        node_selector={"doks.digitalocean.com/node-pool": args.pool.name} if args.pool else None,
        tolerations=_tolerations(args),
        volumes=[core.v1.VolumeArgs(name="tmp", empty_dir=core.v1.EmptyDirVolumeSourceArgs(size_limit="64Mi"))],
        containers=[_container(args)],
    )


def _container(args: VersionArgs) -> core.v1.ContainerArgs:
    """Returns the container with its probes, which a restricted namespace admits."""
    service = args.service
    probe_path = service.probe_path(args.version)
    resources = service.resources
    probe = (
        {"http_get": core.v1.HTTPGetActionArgs(path=probe_path, port=PORT_NAME)}
        if probe_path
        else {"tcp_socket": core.v1.TCPSocketActionArgs(port=PORT_NAME)}
    )
    return core.v1.ContainerArgs(
        name="api",
        image=args.image.ref,
        image_pull_policy="IfNotPresent",
        ports=[core.v1.ContainerPortArgs(name=PORT_NAME, container_port=args.service.port)],
        env=[
            core.v1.EnvVarArgs(name=name, value=_as_written(value))
            for name, value in {"PORT": str(args.service.port), **args.env}.items()
        ],
        resources=core.v1.ResourceRequirementsArgs(
            requests=resources.requests.model_dump(), limits=resources.limits.model_dump()
        ),
        security_context=CONTAINER,
        # Makes the last log lines the termination message, which Pulumi shows for a container that failed.
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=[core.v1.VolumeMountArgs(name="tmp", mount_path="/tmp")],  # noqa: S108 -- a volume of its own
        # Until the startup probe succeeds, the others wait.
        startup_probe=core.v1.ProbeArgs(
            **probe,
            period_seconds=_STARTUP_PERIOD,
            timeout_seconds=2,
            failure_threshold=math.ceil(service.startup_seconds / _STARTUP_PERIOD),
        )
        if service.startup_seconds
        else None,
        # Readiness removes the pod from the Service; liveness restarts the container after 30 s.
        readiness_probe=core.v1.ProbeArgs(**probe, period_seconds=5, timeout_seconds=2, failure_threshold=2),
        liveness_probe=core.v1.ProbeArgs(
            **probe, initial_delay_seconds=10, period_seconds=10, timeout_seconds=2, failure_threshold=3
        ),
        # A terminating pod serves on until no proxy routes requests to it.
        lifecycle=core.v1.LifecycleArgs(
            pre_stop=core.v1.LifecycleHandlerArgs(sleep=core.v1.SleepActionArgs(seconds=pre_stop))
        )
        if (pre_stop := service.pre_stop_seconds)
        else None,
    )
