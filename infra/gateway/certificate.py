"""The gateway's certificate: cert-manager, from its Helm chart, requests it from an ACME server and renews it."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource

from infra.cluster.cluster import Cluster
from infra.config import namespaces, pod_resources, versions
from infra.config.tls import TLS_SECRET, Tls
from infra.gateway.dns import dns_record
from infra.gateway.gateway import Gateway
from infra.gateway.kong_resources import INGRESS_CLASS
from infra.kubernetes import helm
from infra.kubernetes.namespace import namespace_options
from infra.kubernetes.pod_security import namespace_labels
from infra.kubernetes.raw_object import SKIP_AWAIT

_API = "cert-manager.io/v1"


class Certificate(pulumi.ComponentResource):
    """The certificate of the gateway's domain, with the domain's A record if DigitalOcean hosts its zone.

    Attributes:
        domain: that the certificate is for.
        secret: name of the Secret with the certificate, resolved once the Certificate exists.
        issued_on_create: True if Pulumi waits until the certificate is issued. Otherwise the user has to create the A
            record first.
        missing_record: the A record that the user has to create; None: DigitalOcean hosts the zone.
    """

    def __init__(  # noqa: PLR0913 -- cluster, gateway, namespace and zone are what it builds on
        self,
        name: str,
        tls: Tls,
        *,
        cluster: Cluster,
        gateway: Gateway,
        namespace: pulumi.Input[str],
        dns_zone: str | None,
    ) -> None:
        """Creates the record, cert-manager, its issuer and the certificate.

        Args:
            name: of the component.
            tls: the domain and its authority.
            cluster: that cert-manager runs in.
            gateway: Kong, which passes the ACME server's challenge on.
            namespace: of the services, whose routes use the certificate.
            dns_zone: zone of the account that the domain belongs to; None: its DNS is elsewhere.
        """
        super().__init__("kong-doks:certificates:Certificate", name, None, cluster.deleted_with_cluster_options)
        self._options = pulumi.ResourceOptions(parent=self, deleted_with=cluster.resource)
        self._namespace = namespace
        self.domain = tls.domain
        record = dns_record(tls, dns_zone, gateway.ip, gateway.route_plugin_dependencies) if dns_zone else None
        self.issued_on_create = record is not None
        self.missing_record = None if record else pulumi.Output.concat(tls.domain, ". A ", gateway.ip)
        # A name for each server: cert-manager requests another certificate only when the issuer's name changes.
        issuer_name = f"acme-{hashlib.sha256(tls.acme.directory.encode()).hexdigest()[:8]}"
        issuer = self._create_issuer(issuer_name, tls, self._install_cert_manager(tls, cluster))
        # The ACME server's challenge reaches cert-manager by the domain and through Kong.
        challenged = [issuer, *gateway.route_plugin_dependencies, *([record] if record else [])]
        certificate = self._create_certificate(name, issuer_name, challenged)
        self.secret: pulumi.Output[str] = certificate.id.apply(lambda _: TLS_SECRET)
        if tls.has_http_routes:
            self._attach_to_kong(name)
        self.register_outputs({"secret": self.secret})

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._options, pulumi.ResourceOptions(depends_on=[*resources]))

    def _install_cert_manager(self, tls: Tls, cluster: Cluster) -> pulumi.Resource:
        namespace = kubernetes.core.v1.Namespace(
            "cert-manager",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=namespaces.CERTIFICATES, labels=namespace_labels(cluster.resource)
            ),
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), namespace_options(cluster.resource)),
        )
        return helm.release(
            "cert-manager",
            version=versions.CERT_MANAGER,
            repository=tls.chart_repository,
            namespace=namespace.metadata.name,
            values=cert_manager_values(),
            opts=self._options,
        )

    def _create_issuer(self, issuer_name: str, tls: Tls, cert_manager: pulumi.Resource) -> pulumi.Resource:
        return CustomResource(
            "acme",
            api_version=_API,
            kind="Issuer",
            metadata={"name": issuer_name, "namespace": self._namespace},
            spec={"acme": _account(tls, issuer_name)},
            # cert-manager's kinds come with its chart, whose last step waits until its webhook answers.
            opts=self._after(cert_manager),
        )

    def _create_certificate(
        self, name: str, issuer_name: str, dependencies: Sequence[pulumi.Resource]
    ) -> pulumi.CustomResource:
        # With the record, a certificate takes minutes, and routes wait for it.
        wait = {"annotations": {"pulumi.com/waitFor": "condition=Ready"}} if self.issued_on_create else {}
        timeouts = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="10m", update="10m"))
        return CustomResource(
            name,
            api_version=_API,
            kind="Certificate",
            metadata={"name": TLS_SECRET, "namespace": self._namespace, **wait},
            spec={
                "secretName": TLS_SECRET,
                "dnsNames": [self.domain],
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": issuer_name},
            },
            opts=pulumi.ResourceOptions.merge(self._after(*dependencies), timeouts),
        )

    def _attach_to_kong(self, name: str) -> None:
        """Creates an Ingress that names the certificate, which an HTTPRoute can't."""
        kubernetes.networking.v1.Ingress(
            name,
            # It leads nowhere, so the controller never reports an address.
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=TLS_SECRET, namespace=self._namespace, annotations=SKIP_AWAIT
            ),
            spec=kubernetes.networking.v1.IngressSpecArgs(
                ingress_class_name=INGRESS_CLASS,
                rules=[kubernetes.networking.v1.IngressRuleArgs(host=self.domain)],
                tls=[kubernetes.networking.v1.IngressTLSArgs(hosts=[self.domain], secret_name=self.secret)],
            ),
            opts=self._options,
        )


def _account(tls: Tls, name: str) -> dict[str, Any]:
    acme = tls.acme
    ingress = {
        "ingressClassName": INGRESS_CLASS,
        "serviceType": "ClusterIP",
        # The challenge comes over HTTP, whatever Kong's default for routes is.
        "ingressTemplate": {"metadata": {"annotations": {"konghq.com/protocols": "http,https"}}},
    }
    return {
        "server": acme.directory,
        "email": tls.email,
        "privateKeySecretRef": {"name": f"{name}-account"},
        **({"caBundle": base64.b64encode(acme.ca.encode()).decode()} if acme.ca else {}),
        **({"profile": acme.profile} if acme.profile else {}),
        "solvers": [{"http01": {"ingress": ingress}}],
    }


def cert_manager_values() -> dict[str, Any]:
    """Returns the chart's values, with requests so small that all of it fits on the smallest node."""

    def resources(pod: str, limit: str) -> dict[str, Any]:
        requests = dict(pod_resources.CERT_MANAGER[pod])
        return {"resources": {"requests": requests, "limits": {"cpu": "500m", "memory": limit}}}

    return {
        # Kept when cert-manager goes, as by the chart's default: deleting the kinds deletes everybody's certificates.
        "crds": {"enabled": True, "keep": True},
        "prometheus": {"enabled": False},
        "global": {"leaderElection": {"namespace": namespaces.CERTIFICATES}},
        **resources("controller", "256Mi"),
        "webhook": resources("webhook", "128Mi"),
        "cainjector": resources("cainjector", "256Mi"),
        "startupapicheck": resources("webhook", "128Mi"),
    }
