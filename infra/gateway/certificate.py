"""The gateway's certificate: cert-manager, from its own Helm chart, gets it from an ACME server and renews it."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource

from infra.config import versions
from infra.config.tls import TLS_SECRET, Acme
from infra.kubernetes.namespace import namespace_options
from infra.kubernetes.raw_object import SKIP_AWAIT

_API = "cert-manager.io/v1"


@dataclass(frozen=True, kw_only=True)
class CertificateArgs:
    """The certificate of one domain.

    Attributes:
        domain: the gateway's name; the ACME server asks it on port 80.
        namespace: of the services, whose routes use the certificate.
        manager_namespace: cert-manager's own; created.
        cluster: the stack's own, with which all of this goes; None: one that was there before.
        chart_repository: URL of a Helm repository with the chart `cert-manager`.
        found: what has to be there for the domain to lead to the gateway; None: somebody else sees to that.
        gateway: Kong, which passes the ACME server's question on.
        http_routes: whether there are HTTPRoutes, which can't name a certificate.
    """

    domain: str
    email: str
    acme: Acme
    namespace: pulumi.Input[str]
    manager_namespace: str
    cluster: pulumi.Resource | None
    chart_repository: str
    found: pulumi.Resource | None
    gateway: Sequence[pulumi.Resource]
    http_routes: bool


class Certificate(pulumi.ComponentResource):
    """A certificate that routes use as the Secret `secret`."""

    def __init__(self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:certificates:Certificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=args.cluster)
        namespace = kubernetes.core.v1.Namespace(
            "cert-manager",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=args.manager_namespace),
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), namespace_options(args.cluster)),
        )
        manager = kubernetes.helm.v3.Release(
            "cert-manager",
            name="cert-manager",
            namespace=namespace.metadata.name,
            chart="cert-manager",
            version=versions.CERT_MANAGER,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=args.chart_repository),
            values=values(),
            # An install that failed half-way is removed; its name would be "still in use" for the next one.
            atomic=True,
            timeout=600,
            opts=child,
        )
        # A name of its own for each server: only another issuer's name has cert-manager get another certificate.
        issuer_name = f"acme-{hashlib.sha256(args.acme.directory.encode()).hexdigest()[:8]}"
        issuer = CustomResource(
            "acme",
            api_version=_API,
            kind="Issuer",
            metadata={"name": issuer_name, "namespace": args.namespace},
            spec={"acme": _account(args, issuer_name)},
            # cert-manager's kinds come with its chart, whose last step waits until its webhook answers.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[manager])),
        )
        # Where the stack makes the domain's record, nothing but minutes is missing: routes wait for the certificate.
        waiting = {"annotations": {"pulumi.com/waitFor": "condition=Ready"}} if args.found else {}
        certificate = CustomResource(
            name,
            api_version=_API,
            kind="Certificate",
            metadata={"name": TLS_SECRET, "namespace": args.namespace, **waiting},
            spec={
                "secretName": TLS_SECRET,
                "dnsNames": [args.domain],
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": issuer_name},
            },
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    depends_on=[issuer, *args.gateway, *([args.found] if args.found else [])],
                    custom_timeouts=pulumi.CustomTimeouts(create="10m", update="10m"),
                ),
            ),
        )
        self.awaited = bool(args.found)
        """Whether there is a certificate once this is made."""
        self.secret: pulumi.Output[str] = certificate.id.apply(lambda _: TLS_SECRET)
        if args.http_routes:
            kubernetes.networking.v1.Ingress(
                name,
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=TLS_SECRET,
                    namespace=args.namespace,
                    # It leads nowhere, so the controller never says that it does.
                    annotations=SKIP_AWAIT,
                ),
                spec=kubernetes.networking.v1.IngressSpecArgs(
                    ingress_class_name="kong",
                    rules=[kubernetes.networking.v1.IngressRuleArgs(host=args.domain)],
                    tls=[kubernetes.networking.v1.IngressTLSArgs(hosts=[args.domain], secret_name=self.secret)],
                ),
                opts=child,
            )
        self.register_outputs({"secret": self.secret})


def _account(args: CertificateArgs, name: str) -> dict[str, Any]:
    acme = args.acme
    ingress = {
        "ingressClassName": "kong",
        "serviceType": "ClusterIP",
        # The question comes over HTTP, whatever Kong's default for routes is.
        "ingressTemplate": {"metadata": {"annotations": {"konghq.com/protocols": "http,https"}}},
    }
    return {
        "server": acme.directory,
        "email": args.email,
        "privateKeySecretRef": {"name": f"{name}-account"},
        **({"caBundle": base64.b64encode(acme.ca.encode()).decode()} if acme.ca else {}),
        **({"profile": acme.profile} if acme.profile else {}),
        "solvers": [{"http01": {"ingress": ingress}}],
    }


def values() -> dict[str, Any]:
    """The chart's values: little is asked for, so that all of it fits on the smallest node."""

    def resources(memory: str, limit: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": "10m", "memory": memory}, "limits": {"cpu": "500m", "memory": limit}}}

    return {
        # Kept when cert-manager goes, as the chart's default has it: with the kinds would go everybody's certificates.
        "crds": {"enabled": True, "keep": True},
        "prometheus": {"enabled": False},
        "global": {"leaderElection": {"namespace": "cert-manager"}},
        **resources("32Mi", "256Mi"),
        "webhook": resources("16Mi", "128Mi"),
        "cainjector": resources("24Mi", "256Mi"),
        "startupapicheck": resources("16Mi", "128Mi"),
    }
