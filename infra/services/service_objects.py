"""The Service objects of one version of a service: by its name for the cluster, and for a route with weights."""

import hashlib
import json

import pulumi
from pulumi_kubernetes import core, meta

from infra.kubernetes.labels import app_labels
from infra.kubernetes.raw_object import SKIP_AWAIT
from infra.services.deployment import PORT_NAME, VersionArgs, rollout_seconds

_DIGITS = 10
"""Digits of the hash in a name. No name derived from a version's is longer than <version>-deployment."""


def service_object(name: str, args: VersionArgs, opts: pulumi.ResourceOptions) -> core.v1.Service:
    """Creates the Service object `<name>-service` of a version.

    By default Pulumi waits 10 s for a Service's endpoints to settle, which holds up other resources. The route waits
    for the Deployment's pods instead.
    """
    return core.v1.Service(
        name,
        metadata=_metadata(f"{name}-service", name, args, SKIP_AWAIT),
        spec=_spec(name, args),
        opts=opts,
    )


def weighted_backend(name: str, args: VersionArgs, opts: pulumi.ResourceOptions) -> core.v1.Service:
    """Creates the Service object of a version that a route with weights leads to.

    The controller leaves out a route while its Service objects differ in an annotation of Kong's. Pulumi can't update
    two Services atomically, so a changed annotation creates a new Service (hash in its name). Pulumi waits until it has
    endpoints, and the route moves to it by one update, before the old Service is deleted.
    """
    content = json.dumps([args.annotations, args.service.port], sort_keys=True)
    generation = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
    timeouts = pulumi.CustomTimeouts(create=f"{rollout_seconds(args)}s")
    return core.v1.Service(
        f"{name}.backend",  # no service has a dot in its name
        metadata=_metadata(f"{name}-{generation}", name, args, {}),
        spec=_spec(name, args),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=timeouts)),
    )


def _metadata(name: str, version: str, args: VersionArgs, annotations: dict[str, str]) -> meta.v1.ObjectMetaArgs:
    return meta.v1.ObjectMetaArgs(
        name=name,
        namespace=args.namespace,
        labels=app_labels(version),
        annotations={**args.annotations, **annotations} or None,
    )


def _spec(version: str, args: VersionArgs) -> core.v1.ServiceSpecArgs:
    port = core.v1.ServicePortArgs(name=PORT_NAME, port=args.service.port, target_port=PORT_NAME)
    return core.v1.ServiceSpecArgs(selector=app_labels(version), ports=[port])
