"""The registry that images are pushed to."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.types import REPOSITORY_PREFIX, Label, Model

_USERNAME = r"^[^:\s]+$"
"""A Docker config has user and password in one text, separated by the first colon."""


def registry_host(image: str) -> str:
    """Returns the registry that an image comes from, as the kubelet finds it: without a host, it is Docker Hub."""
    host, slash, _ = image.partition("/")
    names_host = slash and (host == "localhost" or {".", ":"} & {*host})
    return host if names_host and host != "index.docker.io" else "docker.io"


class PullCredentials(Model):
    """Credentials for a private image in a registry other than the stack's."""

    server: str = Field(pattern=REPOSITORY_PREFIX, description="a registry's host", examples=["ghcr.io"])
    username: str = Field(pattern=_USERNAME, description="a user that may pull", examples=["user"])
    password: SecretStr = Field(description="a token or password, a secret", examples=["a secret"])


class Registry(Model):
    """DigitalOcean's registry, any other, or none: images are then loaded into the local container engine."""

    kind: Literal["digitalocean", "other", "none"] = Field(
        "digitalocean", description="digitalocean, other or none", examples=["digitalocean"]
    )
    tier: Literal["starter", "basic", "professional"] = Field(
        "starter", description="starter (free, one repository), basic or professional", examples=["starter"]
    )
    region: Literal["nyc3", "sfo3", "sfo2", "ams3", "sgp1", "fra1", "blr1", "syd1"] = Field(
        "nyc3", description="nyc3, sfo3, sfo2, ams3, sgp1, fra1, blr1 or syd1", examples=["nyc3"]
    )
    name: Label | None = Field(None, description="a registry's name", examples=["my-registry"])
    existing: bool = Field(False, description="true or false", examples=[True])
    server: str | None = Field(
        None,
        pattern=REPOSITORY_PREFIX,
        description="a registry's host (docker.io/<user> for Docker Hub), and path if it has one",
        examples=["ghcr.io/user"],
    )
    username: str | None = Field(
        None, pattern=_USERNAME, description="who may push and pull, without a colon", examples=["user"]
    )
    password: SecretStr | None = Field(None, description="a token or password, a secret", examples=["a secret"])

    @property
    def plain_password(self) -> str | None:
        return self.password.get_secret_value() if self.password else None

    @model_validator(mode="after")
    def _keys_fit_kind(self) -> Self:
        raise_if_any(self._errors())
        return self

    def _errors(self) -> Iterator[ConfigError]:
        keys = {"digitalocean": {"tier", "region", "name", "existing"}, "other": {"server", "username", "password"}}
        allowed = {"kind"} | keys.get(self.kind, set())
        for key in sorted(self.model_fields_set - allowed):
            yield ConfigError(key, None, f"with kind {self.kind}, only {', '.join(sorted(allowed))}", f"remove {key}")
        if self.kind == "digitalocean" and self.existing:
            if self.name is None:
                yield ConfigError("name", None, "with existing: true, the registry's name", "set registry.name")
            for key in sorted(self.model_fields_set & {"tier", "region"}):
                only = "with existing: true, only name (the registry has its own)"
                yield ConfigError(key, None, only, f"remove {key}")
        if self.kind == "other" and self.server is None:
            yield ConfigError("server", None, "with kind other, a registry's host", "set registry.server: ghcr.io/user")
        if self.server and (self.server == "docker.io" or self.server.startswith("index.docker.io")):
            # Images by these names are pushed, and then not named by their digest.
            yield ConfigError("server", self.server, "for Docker Hub, docker.io/<user>", "write docker.io/<user>")
        if (self.username is None) != (self.password is None):
            yield ConfigError("password", None, "username and password together, or neither", "set or remove both")
