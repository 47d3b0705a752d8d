"""Who may use the services: consumers, their credentials and their groups."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import Field, SecretStr, model_validator

from infra.config.errors import Complaint, raise_any
from infra.config.policies import RoutePolicies
from infra.config.types import Label, Model

_KINDS = {"RS256": "RSA key", "ES256": "key on the curve prime256v1"}


class Jwt(Model):
    """What a consumer signs tokens with."""

    key: str | None = Field(None, min_length=1, description="the tokens' iss claim (the consumer's name)")
    algorithm: Literal["HS256", "RS256", "ES256"] = Field(
        "HS256", description="HS256, RS256 or ES256", examples=["RS256"]
    )
    # As long as what HS256 makes of it (RFC 7518, 3.2).
    secret: SecretStr | None = Field(None, min_length=32, description="at least 32 characters, a secret")
    public_key: str | None = Field(
        None,
        pattern=r"^-----BEGIN PUBLIC KEY-----\n[\w+/=\n]+-----END PUBLIC KEY-----\n?$",
        description="a public key in PEM",
        examples=["|, then the lines from -----BEGIN PUBLIC KEY----- on, indented"],
    )

    @model_validator(mode="after")
    def _key_fits_algorithm(self) -> Self:
        needed, other = ("secret", "publicKey") if self.algorithm == "HS256" else ("publicKey", "secret")
        present = {"secret": self.secret is not None, "publicKey": self.public_key is not None}
        if not present[needed]:
            raise_any([Complaint(needed, None, f"set with {self.algorithm}", f"set {needed}", "is missing")])
        if present[other]:
            raise_any([Complaint(other, None, f"with {self.algorithm}, only {needed}", f"remove {other}")])
        if self.public_key and _algorithm(self.public_key) != self.algorithm:
            allowed = f"with {self.algorithm}, a whole {_KINDS[self.algorithm]}"
            fix = "write all lines that openssl pkey -pubout prints, or the algorithm of that key"
            raise_any([Complaint("publicKey", None, allowed, fix)])
        return self


def _algorithm(pem: str) -> str | None:
    """The algorithm that a public key is for; None: another, or it isn't whole."""
    try:
        key = serialization.load_pem_public_key(pem.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    return "RS256" if isinstance(key, rsa.RSAPublicKey) else None


class Consumer(Model):
    """Somebody, or a program, with credentials of its own."""

    name: Label = Field(examples=["alice"])
    groups: list[Label] = Field([], description="names as of services", examples=[["team-a"]])
    jwt: Jwt | None = Field(
        None, description="key, algorithm, secret or publicKey", examples=["{algorithm: RS256, publicKey: ...}"]
    )
    api_key: SecretStr | None = Field(None, min_length=20, description="at least 20 characters, a secret")

    @property
    def issuer(self) -> str | None:
        """The iss claim of this consumer's tokens."""
        return (self.jwt.key or self.name) if self.jwt else None

    @property
    def jwt_credential(self) -> dict[str, str] | None:
        """In the fields of Kong's credential."""
        if not self.jwt:
            return None
        material = {"rsa_public_key": self.jwt.public_key} if self.jwt.public_key else {}
        if self.jwt.secret:
            material = {"secret": self.jwt.secret.get_secret_value()}
        return {"key": self.jwt.key or self.name, "algorithm": self.jwt.algorithm, **material}

    @property
    def plain_api_key(self) -> str | None:
        return self.api_key.get_secret_value() if self.api_key else None

    def can(self, auth: str) -> bool:
        return bool(self.jwt if auth == "jwt" else self.api_key)

    @model_validator(mode="after")
    def _has_a_credential(self) -> Self:
        if not (self.jwt or self.api_key):
            raise_any([Complaint("", None, "jwt, apiKey or both", "add jwt", "has no credential")])
        return self


def complaints(consumers: Sequence[Consumer], routes: Mapping[str, RoutePolicies]) -> Iterator[Complaint]:
    """What doesn't fit among consumers, and between them and the routes, which are by their place."""
    once: dict[str, list[str | None]] = {
        "name": [each.name for each in consumers],
        "jwt.key": [each.issuer for each in consumers],
        # Never shown; Kong drops both of two consumers with the same.
        "apiKey": [each.plain_api_key for each in consumers],
    }
    for key, values in once.items():
        count = Counter(values)
        for index, value in enumerate(values):
            if value is not None and count[value] > 1:
                shown = None if key == "apiKey" else value
                yield Complaint(f"consumers[{index}].{key}", shown, "each once", f"give it another {key}")
    groups = sorted({group for each in consumers for group in each.groups})
    for place, route in routes.items():
        if route.auth and not any(each.can(route.auth) for each in consumers):
            credential = "jwt" if route.auth == "jwt" else "apiKey"
            allowed = f"what a consumer has a credential for, and none has {credential}"
            fix = "add to consumers, for example {name: alice, jwt: {algorithm: RS256, publicKey: ...}}"
            yield Complaint(f"{place}.auth", route.auth, allowed, fix)
        for position, group in enumerate(route.allow):
            if group not in groups:
                allowed = f"groups of consumers, which are {', '.join(groups) or 'none'}"
                fix = f"add groups: [{group}] to a consumer"
                yield Complaint(f"{place}.allow[{position}]", group, allowed, fix)


def secrets(consumers: Sequence[Consumer]) -> Iterator[str]:
    """Where secrets are."""
    for index, consumer in enumerate(consumers):
        if consumer.jwt and consumer.jwt.secret:
            yield f"consumers[{index}].jwt.secret"
        if consumer.api_key:
            yield f"consumers[{index}].apiKey"
