"""The namespace of the services."""

import pulumi
from pulumi_kubernetes import core, meta

from infra.cluster.cluster import Cluster
from infra.config.settings import Settings
from infra.gateway.network_policies import solver_policy
from infra.kubernetes.namespace import default_deny, isolate_namespace, namespace_options, network_policy
from infra.kubernetes.network_policy import Policy
from infra.kubernetes.ordering import delay_until
from infra.kubernetes.pod_security import namespace_labels


class ServicesNamespace(pulumi.ComponentResource):
    """An isolated namespace whose pods can pull images.

    Attributes:
        name: resolved once the namespace's own NetworkPolicies exist.
        pull_secret: name of the Secret to pull images with, resolved once it exists; None: none is needed.
    """

    def __init__(
        self, name: str, config: Settings, *, cluster: Cluster, pull_credentials: pulumi.Input[str] | None
    ) -> None:
        """Creates the namespace, unless it is `default`, which every cluster has.

        Args:
            name: the component's name.
            config: the stack's configuration.
            cluster: the cluster of the namespace.
            pull_credentials: a Docker config (JSON, secret) to pull images with; None: none is needed.
        """
        super().__init__("kong-doks:namespace:Namespace", name, None, cluster.deleted_with_cluster_options)
        child = pulumi.ResourceOptions(parent=self)
        self._options = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(deleted_with=cluster.resource))
        labels = namespace_labels(cluster.resource)
        self._created: pulumi.Output[str] = pulumi.Output.from_input(config.namespace)
        if config.namespace != "default":
            self._created = core.v1.Namespace(
                name,
                metadata=meta.v1.ObjectMetaArgs(name=config.namespace, labels=labels),
                opts=pulumi.ResourceOptions.merge(child, namespace_options(cluster.resource)),
            ).metadata.name
        elif cluster.resource:
            self._created = core.v1.NamespacePatch(
                name,
                metadata=meta.v1.ObjectMetaPatchArgs(name=config.namespace, labels=labels),
                opts=self._options,
            ).metadata.name
        policies = {**default_deny(cluster.resource), **(solver_policy() if config.tls else {})}
        self.name = isolate_namespace(self._created, policies, self._options)
        self.pull_secret: pulumi.Output[str] | None = None
        if pull_credentials is not None:
            self.pull_secret = core.v1.Secret(
                "registry",
                metadata=meta.v1.ObjectMetaArgs(name="kong-doks-registry", namespace=self.name),
                type="kubernetes.io/dockerconfigjson",
                string_data={".dockerconfigjson": pull_credentials},
                opts=self._options,
            ).metadata.name
        self.register_outputs({"name": self.name})

    def isolate_service(self, service: str, policy: Policy, gateway: pulumi.Output[str]) -> pulumi.Output[str]:
        """Creates the NetworkPolicy of one service's pods.

        Args:
            service: name of the service and of the policy.
            policy: the spec, which lets Kong in.
            gateway: name of Kong's namespace, resolved once that is isolated. It delays the service's NetworkPolicy,
                so that Kong's release isn't queued behind many services' objects.

        Returns:
            The namespace's name, resolved once the namespace's own policies and this one exist. Only this service's
            objects wait for it: if each waited for every policy, the edges of N services would number N squared.
        """
        opts = pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=delay_until(gateway)))
        own = network_policy(service, self.name, policy, opts)
        # An output of the policy: an object that uses it depends on the policy, and on what the policy depends on.
        return own.metadata.namespace.apply(str)
