"""The number of a version's pods: its autoscaler, its disruption budget, and how pods spread over nodes."""

import pulumi
from pulumi_kubernetes import autoscaling, core, meta, policy

from infra.config.scaling import PodAutoscale
from infra.config.workload import DEFAULT_CPU_TARGET

NUMBER_OF_PODS = "spec.replicas"
"""The field of a Deployment that its autoscaler owns.

`ignore_changes` instead of omission: the API server resets an omitted field without an owner to its default, 1. The
provider doesn't apply an ignored field that another manager owns; otherwise it applies the live value.
"""


def autoscaler(
    name: str,
    autoscale: PodAutoscale,
    metadata: meta.v1.ObjectMetaArgs,
    deployment: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Creates the HorizontalPodAutoscaler of a Deployment."""
    autoscaling.v2.HorizontalPodAutoscaler(
        name,
        metadata=metadata,
        spec=autoscaling.v2.HorizontalPodAutoscalerSpecArgs(
            scale_target_ref=autoscaling.v2.CrossVersionObjectReferenceArgs(
                api_version="apps/v1", kind="Deployment", name=deployment
            ),
            min_replicas=autoscale.min,
            max_replicas=autoscale.max,
            metrics=[
                autoscaling.v2.MetricSpecArgs(
                    type="Resource",
                    resource=autoscaling.v2.ResourceMetricSourceArgs(
                        name=resource,
                        target=autoscaling.v2.MetricTargetArgs(type="Utilization", average_utilization=percent),
                    ),
                )
                for resource, percent in autoscale.targets(DEFAULT_CPU_TARGET).items()
            ],
        ),
        opts=opts,
    )


def disruption_budget(
    name: str, metadata: meta.v1.ObjectMetaArgs, pods: meta.v1.LabelSelectorArgs, opts: pulumi.ResourceOptions
) -> None:
    """Creates the PodDisruptionBudget that lets a drain evict one pod at a time, and any that isn't ready."""
    policy.v1.PodDisruptionBudget(
        name,
        metadata=metadata,
        spec=policy.v1.PodDisruptionBudgetSpecArgs(
            max_unavailable=1, selector=pods, unhealthy_pod_eviction_policy="AlwaysAllow"
        ),
        opts=opts,
    )


def spread(pods: meta.v1.LabelSelectorArgs) -> core.v1.TopologySpreadConstraintArgs:
    """Returns the constraint that prefers different nodes for the pods of one rollout; on one node all of them run."""
    return core.v1.TopologySpreadConstraintArgs(
        max_skew=1,
        topology_key="kubernetes.io/hostname",
        when_unsatisfiable="ScheduleAnyway",
        label_selector=pods,
        match_label_keys=["pod-template-hash"],
    )
