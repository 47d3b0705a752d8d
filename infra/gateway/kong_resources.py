"""Kong's own kinds of objects in Kubernetes."""

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.config import namespaces
from infra.config.kong_plugins import Plugin
from infra.gateway.rate_limit_store import PASSWORD
from infra.kubernetes.labels import app_labels
from infra.kubernetes.raw_object import KubernetesObject

INGRESS_CLASS = "kong"
CLASS_ANNOTATION = {"kubernetes.io/ingress.class": INGRESS_CLASS}
"""Without it the controller ignores consumers and global plugins silently."""
UPSTREAM_POLICY = "konghq.com/upstream-policy"
"""Annotation of a Service object: the name of its KongUpstreamPolicy."""


def kong_object(
    name: str,
    kind: str,
    metadata: Mapping[str, pulumi.Input[Any]],
    fields: Mapping[str, pulumi.Input[Any]],
    opts: pulumi.ResourceOptions,
) -> KubernetesObject:
    """Creates an object of one of Kong's kinds, whose fields stand beside `metadata`."""
    manifest = {"apiVersion": "configuration.konghq.com/v1", "kind": kind, "metadata": metadata, **fields}
    return KubernetesObject(name, manifest, opts)


def plugin_name(service: str, plugin: str) -> str:
    """Returns the name of the KongPlugin of a service's route."""
    return f"{service}.{plugin}"  # no service has a dot in its name


def route_plugin(
    service: str, plugin: Plugin, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> KubernetesObject:
    """Creates a plugin for the routes that name it.

    Kong refuses to change the `plugin` of an object. Each plugin has an object of its own, so none has to be replaced.
    """
    name = plugin_name(service, plugin.name)
    metadata = {"name": name, "namespace": namespace, "labels": app_labels(service)}
    return kong_object(name, "KongPlugin", metadata, _fields(plugin, PASSWORD), opts)


def gateway_plugin(plugin: Plugin, opts: pulumi.ResourceOptions) -> KubernetesObject:
    """Creates a plugin for every request; a route's own plugin of that kind replaces it there."""
    name = f"gateway.{plugin.name}"
    metadata = {"name": name, "labels": {"global": "true"}, "annotations": CLASS_ANNOTATION}
    password = PASSWORD | {"namespace": namespaces.GATEWAY}
    return kong_object(name, "KongClusterPlugin", metadata, _fields(plugin, password), opts)


def upstream_policy(
    service: str, checks: Mapping[str, Any], namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> KubernetesObject:
    """Creates the KongUpstreamPolicy with the health checks of a service's pods; its Service objects name it."""
    manifest = {
        "apiVersion": "configuration.konghq.com/v1beta1",
        "kind": "KongUpstreamPolicy",
        "metadata": {"name": service, "namespace": namespace, "labels": app_labels(service)},
        "spec": {"healthchecks": checks},
    }
    return KubernetesObject(f"{service}.upstream", manifest, opts)


def _fields(plugin: Plugin, password: Mapping[str, str]) -> Mapping[str, Any]:
    patches = [{"path": path, "valueFrom": {"secretKeyRef": password}} for path in plugin.store_password_paths]
    fields: dict[str, Any] = {"plugin": plugin.name, **({"configPatches": patches} if patches else {})}
    # A server-side apply turns an empty `config` in the place of one with fields into null, which the API refuses.
    if plugin.config:
        fields["config"] = pulumi.Output.secret(plugin.config) if plugin.is_secret else plugin.config
    return fields
