"""The store in which Kong's replicas share rate-limit counters: Valkey, which speaks Redis's protocol (BSD licence)."""

import base64
import json
import secrets
from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import apps, core, meta

from infra.config import pod_resources, versions
from infra.kubernetes.eviction import lost_node_tolerations
from infra.kubernetes.labels import app_labels
from infra.kubernetes.pod_security import CONTAINER, POD
from infra.kubernetes.raw_object import SKIP_AWAIT
from infra.kubernetes.rollout import first_pod_seconds

_NAME = "rate-limits"
_LABELS = app_labels(_NAME)
PODS = meta.v1.LabelSelectorArgs(match_labels=_LABELS)
_FOLDER = "/etc/valkey"


def host(namespace: str) -> str:
    """Returns the host name of the store in a namespace."""
    return f"{_NAME}.{namespace}.svc"


PASSWORD = {"name": "kong-doks-rate-limits", "key": "password"}
"""The Secret and its key that hold the password as JSON, in the namespaces of Kong and of the services."""


class RateLimitStore(pulumi.ComponentResource):
    """Valkey with counters in memory. A new pod starts at zero: no window is longer than an hour.

    Attributes:
        ready: resources that plugins with shared counters depend on.
    """

    def __init__(  # noqa: PLR0913 -- what it builds on
        self,
        name: str,
        *,
        namespace: pulumi.Input[str],
        services_namespace: pulumi.Input[str],
        priority_class: pulumi.Input[str] | None,
        scales_nodes: bool,
        opts: pulumi.ResourceOptions,
    ) -> None:
        """Creates the store.

        Args:
            name: of the component.
            namespace: of Kong, where the store runs.
            services_namespace: where the plugins of routes find a copy of the password.
            priority_class: of its pod, as of Kong's; None: the default.
            scales_nodes: whether the cluster autoscaler adds nodes.
            opts: of the component.
        """
        super().__init__("kong-doks:counters:Counters", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self._namespace = namespace
        secret = self._create_password(name)
        copy = core.v1.Secret(
            f"{name}-services",
            metadata=_metadata(services_namespace, PASSWORD["name"]),
            data={PASSWORD["key"]: pulumi.Output.secret(secret.data[PASSWORD["key"]])},
            opts=self._child,
        )
        pod = _pod(secret.metadata.name, priority_class)
        server = self._create_server(name, pod, first_pod_seconds(scales_nodes=scales_nodes))
        service = core.v1.Service(
            name,
            # The Deployment's readiness is enough; Pulumi would wait 10 s more for endpoints to settle.
            metadata=_metadata(namespace, annotations=SKIP_AWAIT),
            spec=core.v1.ServiceSpecArgs(
                selector=_LABELS, ports=[core.v1.ServicePortArgs(name="redis", port=6379, target_port="redis")]
            ),
            opts=self._child,
        )
        self.ready = [copy, server, service]
        self.register_outputs({})

    def _create_password(self, name: str) -> core.v1.Secret:
        """Creates the Secret with the password, for the store's configuration and for Kong's."""
        password = secrets.token_hex(32)
        return core.v1.Secret(
            name,
            metadata=_metadata(self._namespace, PASSWORD["name"]),
            data=pulumi.Output.secret(
                _encoded({PASSWORD["key"]: json.dumps(password), "valkey.conf": f"requirepass {password}\n"})
            ),
            # Each run of the program generates a new password; the first one stays.
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(ignore_changes=["data"])),
        )

    def _create_server(self, name: str, pod: core.v1.PodSpecArgs, seconds: int) -> apps.v1.Deployment:
        rollout = pulumi.CustomTimeouts(create=f"{seconds}s", update=f"{seconds}s")
        return apps.v1.Deployment(
            name,
            metadata=_metadata(self._namespace),
            spec=apps.v1.DeploymentSpecArgs(
                replicas=1,
                selector=meta.v1.LabelSelectorArgs(match_labels=_LABELS),
                # Two pods at once would count separately.
                strategy=apps.v1.DeploymentStrategyArgs(type="Recreate"),
                template=core.v1.PodTemplateSpecArgs(metadata=meta.v1.ObjectMetaArgs(labels=_LABELS), spec=pod),
            ),
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(custom_timeouts=rollout)),
        )


def _metadata(
    namespace: pulumi.Input[str], name: str = _NAME, annotations: Mapping[str, str] | None = None
) -> meta.v1.ObjectMetaArgs:
    return meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=_LABELS, annotations=annotations)


def _encoded(data: Mapping[str, str]) -> Mapping[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


def _pod(secret: pulumi.Input[str], priority_class: pulumi.Input[str] | None) -> core.v1.PodSpecArgs:
    probe = core.v1.ProbeArgs(tcp_socket=core.v1.TCPSocketActionArgs(port="redis"), period_seconds=5)
    return core.v1.PodSpecArgs(
        automount_service_account_token=False,
        enable_service_links=False,
        security_context=POD,
        priority_class_name=priority_class,
        # While the store is down, each rate-limited request waits for a timeout.
        tolerations=lost_node_tolerations(),
        # The password is in a file: the arguments of a process are visible to everybody on the node.
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
                # Writes nothing to disk. If memory runs out, the counters that expire first are evicted.
                args=["--save", "", "--appendonly", "no", "--maxmemory", "32mb", "--maxmemory-policy", "volatile-ttl"],
                ports=[core.v1.ContainerPortArgs(name="redis", container_port=6379)],
                resources=core.v1.ResourceRequirementsArgs(
                    requests=dict(pod_resources.RATE_LIMIT_STORE), limits={"cpu": "250m", "memory": "64Mi"}
                ),
                security_context=CONTAINER,
                termination_message_policy="FallbackToLogsOnError",
                volume_mounts=[core.v1.VolumeMountArgs(name="password", mount_path=_FOLDER, read_only=True)],
                readiness_probe=probe,
                liveness_probe=probe,
            )
        ],
    )
