"""Consumers of the services, with their credentials."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from infra.config.consumer import Consumer as ConsumerSettings
from infra.config.consumer_identity import Entry, claims
from infra.gateway.gateway import Gateway
from infra.gateway.kong_resources import CLASS_ANNOTATION, kong_object


class Consumer(pulumi.ComponentResource):
    """A KongConsumer with its credentials, each in a Secret of its own.

    Attributes:
        object_name: name of the KongConsumer.
        claims: the name and hashes of credentials, which no other consumer may have at the same time.
        consumer: the KongConsumer, which depends on its credentials.
    """

    def __init__(
        self, entry: Entry, gateway: Gateway, after: Sequence[pulumi.Resource], opts: pulumi.ResourceOptions
    ) -> None:
        """Creates the consumer.

        Args:
            entry: the consumer and the name of its object.
            gateway: Kong, whose namespace has consumers, so that they stay when the services move to another one.
            after: consumers that give up what this one takes: Kong drops both of two with one name or credential.
            opts: of the component.
        """
        name, consumer = entry.object_name, entry.consumer
        super().__init__("kong-doks:kong:Consumer", name, None, opts)
        self.object_name = name
        self.claims = claims(consumer)
        namespace = gateway.namespace.metadata.name
        child = pulumi.ResourceOptions(
            parent=self,
            deleted_with=opts.deleted_with,
            # The replacement has the same name or credential, and Kong would drop both.
            delete_before_replace=True,
            depends_on=[*after],
        )

        def credential(kind: str, fields: Mapping[str, str], suffix: str = "") -> pulumi.Output[str]:
            full_name = f"{name}.{kind}{suffix}"
            secret = kubernetes.core.v1.Secret(
                full_name,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=full_name, namespace=namespace, labels={"konghq.com/credential": kind}
                ),
                string_data={field: pulumi.Output.secret(value) for field, value in fields.items()},
                opts=child,
            )
            return secret.metadata.name

        self.consumer = kong_object(
            name,
            "KongConsumer",
            {"name": name, "namespace": namespace, "annotations": CLASS_ANNOTATION},
            {
                "username": consumer.name if consumer else f"retired.{name}",
                "credentials": [credential(kind, fields, suffix) for kind, fields, suffix in _credentials(consumer)],
            },
            # On `destroy` it goes while the controller runs.
            pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*gateway.consumer_dependencies])),
        )
        self.register_outputs({})


def _credentials(consumer: ConsumerSettings | None) -> list[tuple[str, Mapping[str, str], str]]:
    """Returns the kind, the fields and the suffix of the name of each Secret."""
    if consumer is None:
        return []
    credentials: list[tuple[str, Mapping[str, str], str]] = [
        ("acl", {"group": group}, f".{group}") for group in consumer.groups
    ]
    if consumer.jwt_credential:
        credentials.append(("jwt", consumer.jwt_credential, ""))
    if consumer.plain_api_key:
        credentials.append(("key-auth", {"key": consumer.plain_api_key}, ""))
    return credentials


def provision_consumers(entries: Sequence[Entry], gateway: Gateway, opts: pulumi.ResourceOptions) -> Sequence[Consumer]:
    """Creates the consumers, in an order in which none shares a name or a credential with another for a moment."""
    created: dict[str, Consumer] = {}
    for entry in entries:
        after = [created[name].consumer for name in sorted(entry.after)]
        created[entry.object_name] = Consumer(entry, gateway, after, opts)
    return list(created.values())
