"""Helm releases: the one way in which the stack installs a chart."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

_MAX_HISTORY = 10
"""Helm's own default; the provider's is no limit. Kong's controller caches the Secrets that hold the revisions."""
_TIMEOUT_SECONDS = 600
"""A load balancer takes minutes, as does an image on a node that is new."""


def release(  # noqa: PLR0913 -- a release has that many parts
    name: str,
    *,
    version: str,
    repository: str,
    namespace: pulumi.Input[str],
    values: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> kubernetes.helm.v3.Release:
    """Installs the chart `name` as the release `name`, and waits until its pods are ready.

    Args:
        name: of the chart, of the release and of the resource.
        version: of the chart.
        repository: URL of a Helm repository that has the chart.
        namespace: exists already.
        values: of the chart.
        opts: of the resource.
    """
    return kubernetes.helm.v3.Release(
        name,
        name=name,
        namespace=namespace,
        chart=name,
        version=version,
        repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=repository),
        values=values,
        # Removes an install that failed half-way: its name would be "still in use" for the next one.
        atomic=True,
        max_history=_MAX_HISTORY,
        timeout=_TIMEOUT_SECONDS,
        opts=opts,
    )
