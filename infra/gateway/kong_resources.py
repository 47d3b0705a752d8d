"""Kong's own objects in Kubernetes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.gateway.rate_limit_store import PASSWORD
from infra.kubernetes.raw_object import KubernetesObject

_API = "configuration.konghq.com/v1"
_CLASS = {"kubernetes.io/ingress.class": "kong"}
"""Without it the controller ignores consumers and plugins for all, and says nothing."""


def _kong(
    name: str,
    kind: str,
    metadata: Mapping[str, pulumi.Input[Any]],
    fields: Mapping[str, pulumi.Input[Any]],
    opts: pulumi.ResourceOptions,
) -> KubernetesObject:
    """One of Kong's kinds, whose fields are beside `metadata`."""
    return KubernetesObject(name, {"apiVersion": _API, "kind": kind, "metadata": metadata, **fields}, opts)


@dataclass(frozen=True)
class Plugin:
    """A plugin with its configuration.

    Attributes:
        password_place: where in it the controller puts the counters' password (a JSON pointer), if it is to.
    """

    name: str
    config: pulumi.Input[Mapping[str, Any]]
    password_place: str | None = None

    def fields(self, password: Mapping[str, str]) -> Mapping[str, Any]:
        patch = {"path": self.password_place, "valueFrom": {"secretKeyRef": password}}
        patches = {"configPatches": [patch]} if self.password_place else {}
        # An empty one in place of one with fields is null to a server-side apply, and refused.
        config = {} if self.config == {} else {"config": self.config}
        return {"plugin": self.name, **config, **patches}


def route_plugin(
    service: str,
    plugin: Plugin,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> KubernetesObject:
    """A plugin for the routes that name it, as `plugin_name` says.

    Kong never lets an object change its plugin; here another plugin is another object, and so never replaces one.
    """
    name = plugin_name(service, plugin.name)
    metadata = {"name": name, "namespace": namespace, "labels": {"app": service}}
    return _kong(name, "KongPlugin", metadata, plugin.fields(PASSWORD), opts)


def plugin_name(service: str, plugin: str) -> str:
    return f"{service}.{plugin}"  # no service has a dot in its name


def gateway_plugin(plugin: Plugin, namespace: str, opts: pulumi.ResourceOptions) -> KubernetesObject:
    """A plugin for every request; a route's own of the same kind takes its place there. `namespace` is Kong's."""
    name = f"gateway.{plugin.name}"
    metadata = {"name": name, "labels": {"global": "true"}, "annotations": _CLASS}
    return _kong(name, "KongClusterPlugin", metadata, plugin.fields(PASSWORD | {"namespace": namespace}), opts)


@dataclass(frozen=True, kw_only=True)
class ConsumerArgs:
    """A consumer.

    Attributes:
        username: its name, as services see it.
        namespace: Kong's, so that consumers stay when the services move to another one.
        groups: what routes may allow.
        jwt: the fields of Kong's JWT credential, if it has one.
        api_key: its key, if it has one.
        gateway: what has to run before there can be consumers.
        after: consumers that give up what this one takes: two of one name, or with one credential, are both dropped.
    """

    username: str
    namespace: pulumi.Input[str]
    groups: Sequence[str] = ()
    jwt: Mapping[str, str] | None = None
    api_key: str | None = None
    gateway: Sequence[pulumi.Resource]
    after: Sequence[pulumi.Resource] = ()


class Consumer(pulumi.ComponentResource):
    """A consumer with its credentials, each in a Secret of its own. `consumer` needs all of these."""

    def __init__(self, name: str, args: ConsumerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:kong:Consumer", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self,
            deleted_with=opts.deleted_with if opts else None,
            # Before its replacement, whose name or credential is the same.
            delete_before_replace=True,
            depends_on=[*args.after],
        )

        def credential(kind: str, fields: Mapping[str, str], suffix: str = "") -> pulumi.Output[str]:
            full_name = f"{name}.{kind}{suffix}"
            secret = kubernetes.core.v1.Secret(
                full_name,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=full_name, namespace=args.namespace, labels={"konghq.com/credential": kind}
                ),
                string_data={field: pulumi.Output.secret(value) for field, value in fields.items()},
                opts=child,
            )
            return secret.metadata.name

        credentials = [credential("acl", {"group": group}, f".{group}") for group in args.groups]
        if args.jwt:
            credentials.append(credential("jwt", args.jwt))
        if args.api_key:
            credentials.append(credential("key-auth", {"key": args.api_key}))
        self.consumer = _kong(
            name,
            "KongConsumer",
            {"name": name, "namespace": args.namespace, "annotations": _CLASS},
            {"username": args.username, "credentials": credentials},
            # On the way down it goes while the controller is there.
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*args.gateway])),
        )
        self.register_outputs({})
