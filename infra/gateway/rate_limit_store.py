"""Where the gateway's pods count together: Valkey, which speaks Redis's protocol under a free licence (BSD)."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import apps, core, meta

from infra.config import versions
from infra.kubernetes.pod_security import CONTAINER, POD
from infra.kubernetes.raw_object import SKIP_AWAIT

_NAME = "rate-limits"
LABELS = {"app": _NAME}
_FOLDER = "/etc/valkey"


def host(namespace: str) -> str:
    """The address of the counters in a namespace."""
    return f"{_NAME}.{namespace}.svc"


PASSWORD = {"name": "kong-doks-rate-limits", "key": "password"}
"""The Secret and its key that has the password as JSON, in both of the namespaces."""


@dataclass(frozen=True, kw_only=True)
class CountersArgs:
    """Counters.

    Attributes:
        namespace: where they live: the gateway's.
        services: the services' namespace; plugins there find the password there.
    """

    namespace: pulumi.Input[str]
    services: pulumi.Input[str]


class Counters(pulumi.ComponentResource):
    """Counters in memory, which a new pod begins at zero: no window is longer than an hour."""

    def __init__(self, name: str, args: CountersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:counters:Counters", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        def metadata(
            namespace: pulumi.Input[str], name: str = _NAME, annotations: Mapping[str, str] | None = None
        ) -> meta.v1.ObjectMetaArgs:
            return meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=LABELS, annotations=annotations)

        password = secrets.token_hex(32)
        secret = core.v1.Secret(
            name,
            metadata=metadata(args.namespace, PASSWORD["name"]),
            data=pulumi.Output.secret(
                _encoded({PASSWORD["key"]: json.dumps(password), "valkey.conf": f"requirepass {password}\n"})
            ),
            # Each run of the program thinks of a new one; the first stays.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(ignore_changes=["data"])),
        )
        copy = core.v1.Secret(
            f"{name}-services",
            metadata=metadata(args.services, PASSWORD["name"]),
            data={PASSWORD["key"]: pulumi.Output.secret(secret.data[PASSWORD["key"]])},
            opts=child,
        )
        server = apps.v1.Deployment(
            name,
            metadata=metadata(args.namespace),
            spec=apps.v1.DeploymentSpecArgs(
                replicas=1,
                selector=meta.v1.LabelSelectorArgs(match_labels=LABELS),
                # Two at once would count apart.
                strategy=apps.v1.DeploymentStrategyArgs(type="Recreate"),
                template=core.v1.PodTemplateSpecArgs(
                    metadata=meta.v1.ObjectMetaArgs(labels=LABELS), spec=_pod(secret.metadata.name)
                ),
            ),
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="3m", update="3m"))
            ),
        )
        service = core.v1.Service(
            name,
            # The Deployment's readiness is enough; Pulumi would wait 10 s more for endpoints to settle.
            metadata=metadata(args.namespace, annotations=SKIP_AWAIT),
            spec=core.v1.ServiceSpecArgs(
                selector=LABELS, ports=[core.v1.ServicePortArgs(name="redis", port=6379, target_port="redis")]
            ),
            opts=child,
        )
        self.ready = [copy, server, service]
        """What plugins need that count there."""
        self.register_outputs({})


def _encoded(data: Mapping[str, str]) -> Mapping[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


def _pod(secret: pulumi.Input[str]) -> core.v1.PodSpecArgs:
    probe = core.v1.ProbeArgs(tcp_socket=core.v1.TCPSocketActionArgs(port="redis"), period_seconds=5)
    return core.v1.PodSpecArgs(
        automount_service_account_token=False,
        enable_service_links=False,
        security_context=POD,
        # The password is in a file, since everybody on a node can read the arguments of a process.
        volumes=[
            core.v1.VolumeArgs(
                name="password",
                secret=core.v1.SecretVolumeSourceArgs(
                    secret_name=secret,
                    default_mode=0o440,
                    items=[core.v1.KeyToPathArgs(key="valkey.conf", path="valkey.conf")],
                ),
            )
        ],
        containers=[
            core.v1.ContainerArgs(
                name="valkey",
                image=f"valkey/valkey:{versions.VALKEY}",
                command=["valkey-server", f"{_FOLDER}/valkey.conf"],
                # Nothing is written to disk. Where memory is short, what ends first is forgotten first.
                args=["--save", "", "--appendonly", "no", "--maxmemory", "32mb", "--maxmemory-policy", "volatile-ttl"],
                ports=[core.v1.ContainerPortArgs(name="redis", container_port=6379)],
                resources=core.v1.ResourceRequirementsArgs(
                    requests={"cpu": "10m", "memory": "16Mi"}, limits={"cpu": "250m", "memory": "64Mi"}
                ),
                security_context=CONTAINER,
                termination_message_policy="FallbackToLogsOnError",
                volume_mounts=[core.v1.VolumeMountArgs(name="password", mount_path=_FOLDER, read_only=True)],
                readiness_probe=probe,
                liveness_probe=probe,
            )
        ],
    )
