"""Where images go, and with which credentials they are pushed and pulled."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_digitalocean as digitalocean
import pulumi_docker_build as docker_build


@dataclass(frozen=True, kw_only=True)
class Registry:
    """What images and pods need to know of a registry. As it stands: no registry, the local engine keeps the images."""

    endpoint: pulumi.Output[str] | None = None
    single_repository: pulumi.Input[bool] = False
    """One repository with a tag for each service, instead of a repository for each."""
    push: Sequence[docker_build.RegistryArgs] = ()
    pull: pulumi.Output[str] | None = None
    """A Docker config (JSON) that can pull; None: anybody can."""

    def tag(self, service: str) -> pulumi.Output[str]:
        """The full name under which a service's image is pushed."""
        image = f"{service}-microservice:latest"
        if self.endpoint is None:
            return pulumi.Output.from_input(image)
        return pulumi.Output.all(self.endpoint, self.single_repository).apply(
            lambda known: f"{known[0]}/microservices:{service}" if known[1] else f"{known[0]}/{image}"
        )


@dataclass(frozen=True, kw_only=True)
class DigitalOceanRegistryArgs:
    """A registry of DigitalOcean's.

    Attributes:
        name: unique among all of DigitalOcean's customers; None: made unique for you.
        existing: one that is there already; the stack neither creates nor deletes it, and the rest doesn't count.
        tier: starter (free, one repository of 500 MiB), basic or professional.
        region: not every region that has clusters has registries.
    """

    name: str | None
    existing: digitalocean.GetContainerRegistryResult | None
    tier: str
    region: str


class DigitalOceanRegistry(pulumi.ComponentResource):
    """A DigitalOcean registry with credentials of its own for pushing and for pulling."""

    def __init__(self, name: str, args: DigitalOceanRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("kong-doks:registry:DigitalOceanRegistry", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        found = args.existing or digitalocean.ContainerRegistry(
            "kong-doks", name=args.name, subscription_tier_slug=args.tier, region=args.region, opts=child
        )

        def docker_config(purpose: str, *, write: bool) -> pulumi.Output[str]:
            credentials = digitalocean.ContainerRegistryDockerCredentials(
                purpose, registry_name=found.name, write=write, opts=child
            )
            return pulumi.Output.secret(credentials.docker_credentials)

        login = docker_config("push", write=True).apply(_login)
        self.registry = Registry(
            endpoint=pulumi.Output.from_input(found.endpoint),
            single_repository=pulumi.Output.from_input(found.subscription_tier_slug).apply("starter".__eq__),
            push=[
                docker_build.RegistryArgs(
                    address=found.server_url, username=login["username"], password=login["password"]
                )
            ],
            # Of its own, so that what is in the cluster can only read.
            pull=docker_config("pull", write=False),
        )
        self.register_outputs({"endpoint": self.registry.endpoint})


def other_registry(server: str, username: str | None, password: str | None) -> Registry:
    """Any other registry, `server` being its host with a path or without; without a user, pushing is open to all."""
    endpoint = pulumi.Output.from_input(server)
    if username is None or password is None:
        return Registry(endpoint=endpoint)
    host = server.partition("/")[0]
    secret = pulumi.Output.secret(password)
    return Registry(
        endpoint=endpoint,
        push=[docker_build.RegistryArgs(address=host, username=username, password=secret)],
        pull=secret.apply(lambda known: _docker_config(host, username, known)),
    )


def _docker_config(host: str, username: str, password: str) -> str:
    return json.dumps({"auths": {host: {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}}})


def _login(docker_config: str) -> dict[str, str]:
    """The one user and password in a Docker config."""
    (entry,) = json.loads(docker_config)["auths"].values()
    username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return {"username": username, "password": password}
