"""The gateway's domain and the authority that signs its certificate."""

from dataclasses import dataclass

from cryptography.x509 import load_pem_x509_certificates
from pydantic import Field, field_validator

from infra.config.types import Model

TLS_SECRET = "gateway-tls"  # noqa: S105 -- a name
"""Name of the Secret with the gateway's certificate, of the Certificate, and of an Ingress."""
LETS_ENCRYPT = {
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
        description="PEM certificates of the authority that signed the ACME server's own",
        examples=["-----BEGIN CERTIFICATE----- ..."],
    )
    profile: str = Field(
        "", pattern=r"^[A-Za-z0-9-]*$", description="one of the server's profiles", examples=["shortlived"]
    )

    @field_validator("ca")
    @classmethod
    def _is_a_certificate(cls, pem: str) -> str:
        if pem.strip():
            load_pem_x509_certificates(pem.encode())
        return pem

    @property
    def directory(self) -> str:
        return LETS_ENCRYPT.get(self.server, self.server)


@dataclass(frozen=True, kw_only=True)
class Tls:
    """The domain that the gateway serves over HTTPS only, and where its certificate comes from.

    Attributes:
        domain: such as api.example.com.
        email: for notices of the authority.
        acme: the authority.
        chart_repository: URL of a Helm repository with the chart of cert-manager.
        has_http_routes: whether any route is an HTTPRoute, which can't name a certificate.
    """

    domain: str
    email: str
    acme: Acme
    chart_repository: str
    has_http_routes: bool

    @property
    def url(self) -> str:
        return f"https://{self.domain}"

    def is_in_zone(self, zone: str) -> bool:
        """True if the DNS zone could hold the domain's records: it is the domain, or a parent of it."""
        return f".{self.domain}".endswith(f".{zone}")

    def record_name(self, zone: str) -> str:
        """Returns the name of the domain's records within its zone, as DigitalOcean writes it."""
        return self.domain.removesuffix(zone).rstrip(".") or "@"
