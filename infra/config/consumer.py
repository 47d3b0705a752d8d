"""Consumers of the services, their credentials and their groups."""

import re
from typing import Literal, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import Field, SecretStr, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.types import Label, Model

_HEADER_VALUE = re.compile(r"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?")
_GENERATED = "what openssl rand -hex 32 prints"
_KINDS = {"RS256": "RSA key", "ES256": "key on the curve prime256v1"}


class Jwt(Model):
    """The key with which a consumer signs tokens."""

    key: str | None = Field(
        None, min_length=1, description="the tokens' iss claim (default the consumer's name)", examples=["alice"]
    )
    algorithm: Literal["HS256", "RS256", "ES256"] = Field(
        "HS256", description="HS256, RS256 or ES256", examples=["RS256"]
    )
    # At least as long as the hash of HS256 (RFC 7518, 3.2).
    secret: SecretStr | None = Field(
        None, min_length=32, description="at least 32 characters, a secret", examples=[_GENERATED]
    )
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
            fix = "write publicKey: | and the lines that openssl pkey -pubout prints"
            if needed == "secret":
                fix = "pulumi config set --secret --path '{key}'"
            raise_if_any([ConfigError(needed, None, f"set with {self.algorithm}", fix, "is missing")])
        if present[other]:
            raise_if_any([ConfigError(other, None, f"with {self.algorithm}, only {needed}", f"remove {other}")])
        if self.public_key and _algorithm(self.public_key) != self.algorithm:
            allowed = f"with {self.algorithm}, a whole {_KINDS[self.algorithm]}"
            fix = "write all lines that openssl pkey -pubout prints, or the algorithm of that key"
            raise_if_any([ConfigError("publicKey", None, allowed, fix)])
        return self


def _algorithm(pem: str) -> str | None:
    """Returns the algorithm of a public key; None: another algorithm, or an incomplete key."""
    try:
        key = serialization.load_pem_public_key(pem.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    return "RS256" if isinstance(key, rsa.RSAPublicKey) else None


class Consumer(Model):
    """A person or a program with credentials of its own."""

    name: Label = Field(examples=["alice"])
    groups: list[Label] = Field([], description="names as of services", examples=[["team-a"]])
    jwt: Jwt | None = Field(
        None, description="key, algorithm, secret or publicKey", examples=["{algorithm: RS256, publicKey: ...}"]
    )
    api_key: SecretStr | None = Field(
        None, min_length=20, description="at least 20 characters, a secret", examples=[_GENERATED]
    )

    @property
    def issuer(self) -> str | None:
        """The iss claim of this consumer's tokens."""
        return (self.jwt.key or self.name) if self.jwt else None

    @property
    def jwt_credential(self) -> dict[str, str] | None:
        """The fields of Kong's JWT credential."""
        if not self.jwt:
            return None
        material = {"rsa_public_key": self.jwt.public_key} if self.jwt.public_key else {}
        if self.jwt.secret:
            material = {"secret": self.jwt.secret.get_secret_value()}
        return {"key": self.jwt.key or self.name, "algorithm": self.jwt.algorithm, **material}

    @property
    def plain_api_key(self) -> str | None:
        return self.api_key.get_secret_value() if self.api_key else None

    def has_credential(self, auth: str) -> bool:
        return bool(self.jwt if auth == "jwt" else self.api_key)

    @model_validator(mode="after")
    def _has_each_group_once(self) -> Self:
        repeated = {group for group in self.groups if self.groups.count(group) > 1}
        raise_if_any(
            ConfigError(f"groups[{index}]", group, "each group once", f"remove one {group}")
            for index, group in enumerate(self.groups)
            if group in repeated
        )
        return self

    @model_validator(mode="after")
    def _has_a_credential(self) -> Self:
        if not (self.jwt or self.api_key):
            raise_if_any([ConfigError("", None, "jwt, apiKey or both", "add jwt", "has no credential")])
        if self.api_key and not _HEADER_VALUE.fullmatch(self.api_key.get_secret_value()):
            allowed = "what a header can have: one line, without a blank at either end"
            fix = "remove the line break or blank, for example that of the file it was read from"
            raise_if_any([ConfigError("apiKey", None, allowed, fix)])
        return self
