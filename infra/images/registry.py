"""The registry that images are pushed to, and the credentials for pushing and pulling."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_docker_build as docker_build

from infra.config.registry import Registry as RegistrySettings
from infra.config.settings import Settings
from infra.lookups import Lookups


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry, as images and pods use it.

    Attributes:
        endpoint: host and path of its repositories; None: no registry, the local container engine keeps the images.
        single_repository: whether services share one repository with a tag for each.
        push: credentials for pushing.
        pull_credentials: a Docker config (JSON) for pulling; None: anybody can pull.
    """

    endpoint: pulumi.Output[str] | None = None
    single_repository: pulumi.Input[bool] = False
    push: Sequence[docker_build.RegistryArgs] = ()
    pull_credentials: pulumi.Output[str] | None = None

    def tag(self, service: str) -> pulumi.Output[str]:
        """Returns the full name under which a service's image is pushed."""
        image = f"{service}-microservice:latest"
        if self.endpoint is None:
            return pulumi.Output.from_input(image)
        return pulumi.Output.all(self.endpoint, self.single_repository).apply(
            lambda known: f"{known[0]}/microservices:{service}" if known[1] else f"{known[0]}/{image}"
        )


class DigitalOceanRegistry(pulumi.ComponentResource):
    """DigitalOcean's registry, with one credential for pushing and one for pulling.

    Attributes:
        registry: what images and pods need to know of it.
    """

    def __init__(self, name: str, config: RegistrySettings, existing: digitalocean.ContainerRegistry | None) -> None:
        """Creates the registry, unless there is an existing one, which the stack neither changes nor deletes."""
        super().__init__("kong-doks:registry:DigitalOceanRegistry", name)
        child = pulumi.ResourceOptions(parent=self)
        registry = existing or digitalocean.ContainerRegistry(
            "kong-doks",
            name=config.name,
            subscription_tier_slug=config.tier,
            region=config.region,
            # In the tiers starter and basic an account has one registry, so its replacement can't come first.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(delete_before_replace=True)),
        )

        def docker_config(purpose: str, *, write: bool) -> pulumi.Output[str]:
            credentials = digitalocean.ContainerRegistryDockerCredentials(
                purpose, registry_name=registry.name, write=write, opts=child
            )
            config: pulumi.Output[str | None] = pulumi.Output.secret(credentials.docker_credentials)
            return config.apply(lambda text: not_empty(text, purpose))

        login = docker_config("push", write=True).apply(_login)
        self.registry = Registry(
            endpoint=pulumi.Output.from_input(registry.endpoint),
            single_repository=pulumi.Output.from_input(registry.subscription_tier_slug).apply("starter".__eq__),
            push=[
                docker_build.RegistryArgs(
                    address=registry.server_url, username=login["username"], password=login["password"]
                )
            ],
            # A credential of its own, so that the cluster can only read.
            pull_credentials=docker_config("pull", write=False),
        )
        self.register_outputs({"endpoint": self.registry.endpoint})


def provision_registry(config: Settings, lookups: Lookups) -> Registry:
    """Returns the registry that the configuration names, created if the stack creates it."""
    if config.uses_digitalocean_registry:
        return DigitalOceanRegistry("registry", config.registry, lookups.registry).registry
    if config.registry.server:
        return _other_registry(config.registry.server, config.registry.username, config.registry.plain_password)
    return Registry()


def _other_registry(server: str, username: str | None, password: str | None) -> Registry:
    """Returns a registry of others. `server` is its host, with or without a path; without a user, anybody may push."""
    endpoint = pulumi.Output.from_input(server)
    if username is None or password is None:
        return Registry(endpoint=endpoint)
    host = server.partition("/")[0]
    secret = pulumi.Output.secret(password)
    return Registry(
        endpoint=endpoint,
        push=[docker_build.RegistryArgs(address=host, username=username, password=secret)],
        pull_credentials=secret.apply(lambda known: docker_config_of(host, username, known)),
    )


def not_empty(docker_config: str | None, purpose: str) -> str:
    """Returns the Docker config.

    Raises:
        pulumi.RunError: there is none. The provider stores the credentials before it has them, and never asks again.
    """
    if not docker_config:
        raise pulumi.RunError(
            f"registry: the state's credentials to {purpose} are empty; allowed: credentials from DigitalOcean; "
            "fix: python -m ops doctor"
        )
    return docker_config


def docker_config_of(host: str, username: str, password: str) -> str:
    return json.dumps({"auths": {host: {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}}})


def _login(docker_config: str) -> dict[str, str]:
    """Returns the one user and password of a Docker config."""
    (entry,) = json.loads(docker_config)["auths"].values()
    username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return {"username": username, "password": password}
