"""The gateway's domain and where its certificate comes from, as the stack's configuration has it."""

from collections.abc import Iterator
from typing import Protocol

from pydantic import Field

from infra.config.errors import Complaint
from infra.config.policies import GatewayPolicies
from infra.config.types import Model

_LETS_ENCRYPT = {
    "staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "production": "https://acme-v02.api.letsencrypt.org/directory",
}


class Acme(Model):
    """The authority that signs the gateway's certificate."""

    server: str = Field(
        "staging",
        pattern=r"^(staging|production|https://\S+)$",
        description="staging or production (Let's Encrypt's), or the URL of an ACME directory",
        examples=["production"],
    )
    ca: str = Field(
        "",
        pattern=r"^\s*(-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\s*)*$",
        description="certificates (PEM) by which that server itself is known",
        examples=["-----BEGIN CERTIFICATE----- ..."],
    )
    profile: str = Field(
        "", pattern=r"^[A-Za-z0-9-]*$", description="one of the server's profiles", examples=["shortlived"]
    )

    @property
    def directory(self) -> str:
        return _LETS_ENCRYPT.get(self.server, self.server)


class Parts(Protocol):
    """What of the configuration a domain has to fit."""

    @property
    def domain(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def acme(self) -> Acme: ...
    @property
    def gateway(self) -> GatewayPolicies: ...
    @property
    def proxy_service_type(self) -> str: ...


def complaints(parts: Parts) -> Iterator[Complaint]:
    if not parts.domain:
        if parts.email:
            yield Complaint("email", parts.email, "only beside domain", "set domain, or remove email")
        if parts.acme.model_fields_set and parts.acme != Acme():
            yield Complaint("acme", None, "only beside domain", "set domain, or remove acme")
        return
    if not parts.email:
        yield Complaint("email", None, "beside domain, an address", "pulumi config set email ops@example.com")
    if parts.proxy_service_type != "LoadBalancer":
        allowed = "LoadBalancer beside domain: the authority asks on port 80"
        yield Complaint("proxyServiceType", parts.proxy_service_type, allowed, "remove proxyServiceType")
    if parts.acme.ca and parts.acme.server in _LETS_ENCRYPT:
        yield Complaint("acme.ca", None, "only with a server of your own, given by its URL", "remove acme.ca")
    # These would answer the authority's question, too.
    if parts.gateway.allow_ips:
        allowed = "unset beside domain: the authority asks from addresses that nobody knows"
        yield Complaint("gateway.allowIps", None, allowed, "set allowIps on the services")
    for name in sorted({"request-termination", "redirect"} & parts.gateway.plugins.keys()):
        allowed = "unset beside domain: no certificate would be renewed"
        yield Complaint(f"gateway.plugins.{name}", None, allowed, f"move {name} to the services")
    if parts.gateway.terminate:
        allowed = "unset beside domain: no certificate would be renewed"
        yield Complaint("gateway.terminate", None, allowed, "set terminate on the services")
