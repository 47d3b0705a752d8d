"""A stack's configuration as its files say it: Pulumi.yaml's defaults under those of Pulumi.<stack>.yaml."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from ops.digitalocean import ENDPOINT, Api, OpsError

NAMESPACE = "kong-doks"


class _Model(BaseModel):
    """Only what costs, or can be refused. Whether all of it fits together, `pulumi preview` says."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, coerce_numbers_to_str=True)


class Registry(_Model):
    kind: str = "digitalocean"
    tier: str = "starter"
    region: str = "nyc3"
    name: str | None = None
    existing: bool = False


class Version(_Model):
    build: str = ""


class BlueGreen(_Model):
    blue: Version = Version()
    green: Version = Version()


class Service(Version):
    canary: Version = Version()
    blue_green: BlueGreen = BlueGreen()

    @property
    def builds(self) -> bool:
        return any(each.build for each in (self, self.canary, self.blue_green.blue, self.blue_green.green))


class Settings(_Model):
    """The keys of `kong-doks:`, described in Pulumi.yaml."""

    cluster_name: str
    region: str
    node_size: str
    node_count: int
    kubernetes_version: str
    ha: bool
    kube_context: str
    registry: Registry
    services: list[Service]
    aggregates: list[dict[str, Any]]
    gateway: dict[str, Any]
    domain: str
    proxy_service_type: str

    @property
    def makes_cluster(self) -> bool:
        return not self.kube_context

    @property
    def makes_registry(self) -> bool:
        """A stack that builds nothing has nothing to push."""
        return self.uses_registry and not self.registry.existing

    @property
    def uses_registry(self) -> bool:
        builds = bool(self.aggregates) or any(service.builds for service in self.services)
        return self.makes_cluster and self.registry.kind == "digitalocean" and (builds or self.registry.existing)

    @property
    def grafana(self) -> bool:
        """Whether gateway.monitoring, where that is on, has Grafana."""
        monitoring = self.gateway.get("monitoring")
        return not isinstance(monitoring, dict) or bool(monitoring.get("grafana", True))


class Stack:
    """The stack `name` of the project in `folder`.

    Raises:
        OpsError: there is no such file, or it can't be understood.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        file = folder / f"Pulumi.{name}.yaml"
        project, stack = _load(folder / "Pulumi.yaml"), _load(file)
        self._config: dict[str, Any] = stack.get("config") or {}
        values = {key: schema["default"] for key, schema in project["config"].items() if "default" in schema}
        for key, value in self._config.items():
            namespace, _, name_in_it = key.rpartition(":")
            if namespace in ("", NAMESPACE):
                values[name_in_it] = plain(value)
        try:
            self.settings = Settings.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise OpsError(f"{file.name}: {NAMESPACE}:{place}: {first['msg']}; fix: see Pulumi.yaml") from None

    def account(self) -> Api:
        """The account that the stack lives in, found as Pulumi's provider finds it: the stack's keys come first.

        Raises:
            OpsError: no token.
        """
        endpoint = self._config.get("digitalocean:apiEndpoint") or os.environ.get("DIGITALOCEAN_API_URL") or ENDPOINT
        return Api(self._token(), str(endpoint))

    def _token(self) -> str:
        if "digitalocean:token" in self._config:
            return self.pulumi("config", "get", "digitalocean:token", "--stack", self.name).strip()
        if token := os.environ.get("DIGITALOCEAN_TOKEN") or os.environ.get("DIGITALOCEAN_ACCESS_TOKEN"):
            return token.strip()
        raise OpsError("no token for DigitalOcean; fix: export DIGITALOCEAN_TOKEN=...")

    def pulumi(self, *arguments: str) -> str:
        """What a pulumi command prints.

        Raises:
            OpsError: it failed, or isn't installed.
        """
        command = ["pulumi", *arguments, "--non-interactive"]
        try:
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise OpsError("pulumi: not on PATH; fix: install it (https://www.pulumi.com/docs/install/)") from None
        if done.returncode:
            raise OpsError(f"{' '.join(command)}: {' '.join(done.stderr.split())}")
        return done.stdout


def _load(file: Path) -> dict[str, Any]:
    try:
        return dict(yaml.safe_load(file.read_text()) or {})
    except FileNotFoundError:
        found = sorted(path.name.split(".")[1] for path in file.parent.glob("Pulumi.*.yaml"))
        known = f"; fix: --stack with one of {', '.join(found)}" if found else "; fix: run this in the project's folder"
        raise OpsError(f"{file.name}: no such file{known}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise OpsError(f"{file.name}: not YAML: {' '.join(str(error).split())}") from None


def plain(value: object) -> object:
    """`pulumi config set` writes lists and objects as JSON text too."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value
