"""Kong's own checks of a service's pods, which take a lost node's pods out long before Kubernetes does."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from infra.config.bundled_app import AnyWorkload

_SECONDS = 2
"""Interval and timeout of a check, as for a readiness probe."""
_TIMEOUTS = 3
_REFUSALS = 1
"""One refused connection is enough: nothing listens there. A terminating Kong pod has no controller to remove it."""
_ANSWERS = [int(status) for status in HTTPStatus if status >= HTTPStatus.OK]


def health_checks(service: AnyWorkload) -> Mapping[str, Any] | None:
    """Returns `spec.healthchecks` of a service's KongUpstreamPolicy; None: one pod, no path, or switched off.

    Kubernetes marks a lost node NotReady after 50 seconds. Until then Kong would try its pods, for the connect timeout
    each time. A retry goes to the pod whose turn it is, which may be the same one again (Kong's round_robin.lua).

    The path is the readiness probe's. Without one, no path is known to answer quickly: Kong could leave out
    healthy pods.

    Any answer passes: whether a pod gets requests is up to its readiness probe. Kong has TCP checks too, but makes none
    for services over HTTP (Kong's healthcheckers.lua).
    """
    path, *others = {service.probe_path(version) for version in service.versions.values()}
    if not (service.active_checks and service.has_several_pods) or path is None or others:
        return None
    return {
        "active": {
            "type": "http",
            "httpPath": path,
            "timeout": _SECONDS,
            "healthy": {"interval": _SECONDS, "successes": 1, "httpStatuses": _ANSWERS},
            "unhealthy": {"interval": _SECONDS, "tcpFailures": _REFUSALS, "timeouts": _TIMEOUTS},
        }
    }
