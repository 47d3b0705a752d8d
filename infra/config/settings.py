"""The stack's configuration, typed and checked before anything is created. The only reader of `pulumi.Config`."""

import contextlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn, Self

import pulumi
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from infra.config import aggregate as aggregate_settings
from infra.config import consumer as consumer_settings
from infra.config import errors as complaints
from infra.config import kong_plugins as policies
from infra.config import tls as certificate_settings
from infra.config import versions
from infra.config.aggregate import Aggregate
from infra.config.consumer import Consumer
from infra.config.errors import Complaint, raise_any
from infra.config.policies import GatewayPolicies, Policies
from infra.config.service import Service
from infra.config.tls import Acme
from infra.config.types import DOMAIN, REPOSITORY_PREFIX, ChartRepository, ClusterName, Label, Model
from infra.config.version import Running

NAMESPACE = "kong-doks"
GATEWAY_NAMESPACE = "kong"
MONITORING_NAMESPACE = "monitoring"
CERTIFICATES_NAMESPACE = "cert-manager"
_OTHERS_NAMESPACES = (GATEWAY_NAMESPACE, MONITORING_NAMESPACE, CERTIFICATES_NAMESPACE)
BASIC_REPOSITORIES = 5
"""What a DigitalOcean registry of tier `basic` holds (registry pricing page)."""
LARGEST_CHANGED_BODY = 8
"""MiB. Kong has 512 for all the requests that it is reading."""


class Registry(Model):
    """Where images are pushed: DigitalOcean's registry, any other, or none (they are loaded into the local engine)."""

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
    username: str | None = Field(None, description="who may push and pull", examples=["user"])
    password: SecretStr | None = Field(None, description="a token or password, a secret", examples=["a secret"])

    @property
    def plain_password(self) -> str | None:
        return self.password.get_secret_value() if self.password else None

    @model_validator(mode="after")
    def _keys_fit_kind(self) -> Self:
        raise_any(self._complaints())
        return self

    def _complaints(self) -> Iterator[Complaint]:
        keys = {"digitalocean": {"tier", "region", "name", "existing"}, "other": {"server", "username", "password"}}
        allowed = {"kind"} | keys.get(self.kind, set())
        for key in sorted(self.model_fields_set - allowed):
            yield Complaint(key, None, f"with kind {self.kind}, only {', '.join(sorted(allowed))}", f"remove {key}")
        if self.kind == "digitalocean" and self.existing:
            if self.name is None:
                yield Complaint("name", None, "with existing: true, the registry's name", "set registry.name")
            for key in sorted(self.model_fields_set & {"tier", "region"}):
                yield Complaint(key, None, "with existing: true, only name (the registry has its own)", f"remove {key}")
        if self.kind == "other" and self.server is None:
            yield Complaint("server", None, "with kind other, a registry's host", "set registry.server: ghcr.io/user")
        if self.server and (self.server == "docker.io" or self.server.startswith("index.docker.io")):
            # Images by these names are pushed, and then not named by their digest.
            yield Complaint("server", self.server, "for Docker Hub, docker.io/<user>", "write docker.io/<user>")
        if (self.username is None) != (self.password is None):
            yield Complaint("password", None, "username and password together, or neither", "set or remove both")


class Settings(Model):
    """Everything in a stack's file under `kong-doks:`; Pulumi.yaml describes the keys."""

    cluster_name: ClusterName = "mycluster"
    region: str = Field("nyc1", pattern=r"^[a-z]{3}[0-9]$", description="a DigitalOcean region", examples=["nyc1"])
    node_size: str = Field(
        "s-1vcpu-2gb", pattern=r"^[a-z0-9_]+(-[a-z0-9.]+)+$", description="a Droplet size", examples=["s-1vcpu-2gb"]
    )
    node_count: int = Field(1, ge=1, le=512, description="1 to 512 nodes", examples=[1])
    kubernetes_version: str = Field(
        versions.KUBERNETES, pattern=r"^1\.[0-9]{2}$", description="a minor version, in quotes", examples=['"1.35"']
    )
    ha: bool = Field(False, description="true or false", examples=[False])
    kube_context: str = Field("", description="a context of your kubeconfig", examples=["docker-desktop"])
    namespace: Label = Field("default", examples=["default"])
    registry: Registry = Field(Registry(), description="a registry", examples=['{"kind": "none"}'])
    services: list[Service] = Field(
        [], description="a list of services", examples=["[{name: foo, path: /foo, build: apps/foo}]"]
    )
    aggregates: list[Aggregate] = Field(
        [],
        description="a list of routes over several services",
        examples=["[{name: overview, path: /overview, backends: {foo: /foo, bar: /bar}}]"],
    )
    gateway: GatewayPolicies = Field(
        GatewayPolicies(), description="policies for all services", examples=["{requestId: true}"]
    )
    consumers: list[Consumer] = Field(
        [],
        description="a list of consumers",
        examples=["[{name: alice, jwt: {algorithm: RS256, publicKey: ...}}]"],
    )
    domain: str = Field(
        "",
        pattern=rf"^({DOMAIN})?$",
        max_length=253,
        description="a domain in lower case, without a wildcard",
        examples=["api.example.com"],
    )
    email: str = Field(
        "", pattern=r"^([^@\s]+@[^@\s]+)?$", description="an e-mail address", examples=["ops@example.com"]
    )
    acme: Acme = Field(Acme(), description="server, ca, profile", examples=["{server: production}"])
    chart_repository: ChartRepository = "https://charts.konghq.com"
    prometheus_chart_repository: ChartRepository = "https://prometheus-community.github.io/helm-charts"
    grafana_chart_repository: ChartRepository = "https://grafana-community.github.io/helm-charts"
    cert_manager_chart_repository: ChartRepository = "https://charts.jetstack.io"
    gateway_api_releases: str = Field(
        "https://github.com/kubernetes-sigs/gateway-api/releases/download",
        pattern=r"^(https?://\S+)?$",
        description='the URL of the releases, or "" where the cluster has the Gateway API',
        examples=['""'],
    )
    proxy_service_type: Literal["LoadBalancer", "NodePort", "ClusterIP"] = Field(
        "LoadBalancer", description="LoadBalancer, NodePort or ClusterIP", examples=["LoadBalancer"]
    )

    @property
    def workloads(self) -> Sequence[Service | Aggregate]:
        """Everything that has a route."""
        return [*self.services, *self.aggregates]

    @property
    def _places(self) -> Mapping[str, Service | Aggregate]:
        """The same by its place in the configuration."""
        lists: Sequence[Sequence[Service | Aggregate]] = (self.services, self.aggregates)
        return {f"{each.key}[{index}]": each for entries in lists for index, each in enumerate(entries)}

    @property
    def shared_limits(self) -> bool:
        """Whether the gateway's pods have to count rate limits together."""
        return self.gateway.replicas > 1 and any(each.rate_limit for each in (self.gateway, *self.workloads))

    @property
    def body_buffer(self) -> int | None:
        """MiB of a request's body that Kong has to have in memory; None: no more than it has by itself."""
        return max((self._body_limit(each) or 0 for each in self.workloads if self._body_changes(each)), default=None)

    def _body_changes(self, each: Service | Aggregate) -> bool:
        return each.changes_bodies or self.gateway.changes_bodies

    def _body_limit(self, each: Service | Aggregate) -> int | None:
        return each.body_limit or self.gateway.body_limit

    @property
    def builds(self) -> int:
        """How many images the stack builds."""
        return sum(bool(each.build) for workload in self.workloads for each in workload.versions.values())

    def environment(self, workload: Service | Aggregate, version: Running) -> Mapping[str, pulumi.Input[str]]:
        """What the containers of a version are told beside their port."""
        own = workload.environment(self.services) if isinstance(workload, Aggregate) else version.env
        traced = self.gateway.tracing if workload.tracing else None
        traces = policies.tracing_environment(traced, workload.name)
        return {**self.as_set("gateway", traces), **self.as_set(workload.key, own)}

    def as_set(self, key: str, values: Mapping[str, Any]) -> Mapping[str, pulumi.Input[Any]]:
        """Values from under a top-level key: secret ones, where anything there was set with `--secret`."""
        if pulumi.runtime.is_config_secret(f"{NAMESPACE}:{key}"):
            return {name: value if value == {} else pulumi.Output.secret(value) for name, value in values.items()}
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_any(
            [
                *self._duplicates(),
                *self._misfits(),
                *self._against_the_gateway(),
                *aggregate_settings.complaints(self.aggregates, self.services, self.gateway),
                *consumer_settings.complaints(self.consumers, self._places),
                *self._strangers(),
                *self._bodies(),
                *certificate_settings.complaints(self),
            ]
        )
        return self

    def _duplicates(self) -> Iterator[Complaint]:
        names = Counter(name for each in self._places.values() for name in {each.name, *each.versions})
        # Of two services on one path, the one whose headers a request has goes before the one for all requests.
        paths = Counter((each.path, each.asks_for) for each in self._places.values())
        for place, each in self._places.items():
            if any(names[name] > 1 for name in (each.name, *each.versions)):
                allowed = "each name once, with those of canaries, blues and greens"
                yield Complaint(f"{place}.name", each.name, allowed, "give it another name")
            if paths[each.path, each.asks_for] > 1:
                allowed, fix = "each path once, but for other whenHeaders", "give it another path"
                yield Complaint(f"{place}.path", each.path, allowed, fix)
            # Or a header of the client's own choice would be the way around them.
            first = next(other for other in self._places.values() if other.path == each.path)
            ours, theirs = ({**route.guards(self.gateway), "allow": route.allow} for route in (each, first))
            for key in {**theirs, **ours}:
                if ours.get(key) != theirs.get(key):
                    allowed = f"the same as of {first.name}, which has the same path"
                    yield Complaint(f"{place}.{key}", None, allowed, f"copy {key} from one to the other")

    def _misfits(self) -> Iterator[Complaint]:
        if self.namespace in _OTHERS_NAMESPACES or self.namespace.startswith("kube-"):
            allowed = "any but the gateway's own, its monitoring's, cert-manager's and Kubernetes' (kube-...)"
            yield Complaint("namespace", self.namespace, allowed, "write namespace: default")
        if self.kube_context:
            for field in ("cluster_name", "region", "node_size", "node_count", "kubernetes_version", "ha"):
                if (value := getattr(self, field)) != type(self).model_fields[field].default:
                    key = to_camel(field)
                    yield Complaint(key, value, "unset beside kubeContext: no cluster is made", f"remove {key}")
            if self.registry.kind == "digitalocean":
                yield Complaint(
                    "registry.kind", "digitalocean", "other or none beside kubeContext", "write registry: {kind: none}"
                )
        elif self.registry.kind == "none" and self.builds:
            yield Complaint(
                "registry.kind", "none", "digitalocean or other, since nodes pull images", "write kind: digitalocean"
            )
        if self.registry.tier == "basic" and self.builds > BASIC_REPOSITORIES:
            yield Complaint(
                "registry.tier", "basic", f"at most {BASIC_REPOSITORIES} images to build", "write tier: professional"
            )

    def _bodies(self) -> Iterator[Complaint]:
        """A body that Kong doesn't have in memory it doesn't change; where it adds to one, it would send that alone."""
        for place, each in self._places.items():
            limit = self._body_limit(each)
            if self._body_changes(each) and (limit is None or limit > LARGEST_CHANGED_BODY):
                allowed = f"1 to {LARGEST_CHANGED_BODY} (MiB) beside requestBody: Kong changes what it has in memory"
                yield Complaint(f"{place}.bodyLimit", limit, allowed, "write bodyLimit: 1")

    def _against_the_gateway(self) -> Iterator[Complaint]:
        """What a route can't do without, and limits that each of the gateway's pods would count by itself."""
        for place, each in self._places.items():
            for complaint in policies.not_switched_off(each, self.gateway):
                yield complaint._replace(key=f"{place}.{complaint.key}")
        everywhere: Mapping[str, Policies] = {"gateway": self.gateway, **self._places}
        for place, policy in everywhere.items():
            limit = policy.plugins.get("rate-limiting")
            if self.gateway.replicas > 1 and limit is not None and limit.get("policy") != "redis":
                key = f"{place}.plugins.rate-limiting.policy"
                allowed = "redis with gateway.replicas over 1, or each pod would let as many pass"
                fix = "write rateLimit instead, which the pods count together"
                yield Complaint(key, limit.get("policy", "local"), allowed, fix)

    def _strangers(self) -> Iterator[Complaint]:
        """Services that another one may connect to, and that aren't there."""
        names = [service.name for service in self.services]
        for place, each in self._places.items():
            for index, name in enumerate(each.egress.services):
                if name not in names:
                    key = f"{place}.egress.services[{index}]"
                    yield Complaint(key, name, f"services, which are {', '.join(names)}", f"remove {name}")


class DigitalOcean(NamedTuple):
    """How the account's API is reached, as the DigitalOcean provider's own keys say."""

    api_endpoint: str | None
    """None: DigitalOcean's, or what the environment names."""
    token_in_config: bool


def read() -> Settings:
    """The stack's settings. Mistakes end the program, with one line for each."""
    config = pulumi.Config(NAMESPACE)
    known = {field.alias for field in Settings.model_fields.values() if field.alias}
    present = {key.partition(":")[2] for key in pulumi.runtime.get_config_env() if key.startswith(f"{NAMESPACE}:")}
    values: dict[str, Any] = {key: value for key in known | present if (value := config.get(key)) is not None}
    for key, value in values.items():
        if value[:1] in ("[", "{"):
            with contextlib.suppress(ValueError):
                values[key] = json.loads(value, parse_float=_finite, parse_constant=_finite)
    secret = {key for key in values if pulumi.runtime.is_config_secret(f"{NAMESPACE}:{key}")}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        _refuse(complaints.lines(Settings, error, secret))
    # Which entry was set as a secret Pulumi doesn't tell; whether any was, it does.
    clear = [] if "consumers" in secret else list(consumer_settings.secrets(settings.consumers))
    if "registry" not in secret and settings.registry.password:
        clear.append("registry.password")
    if clear:
        _refuse(
            f"{place}: is in clear in the stack's file; allowed: only what is encrypted; "
            f"fix: pulumi config set --secret --path '{NAMESPACE}:{place}'"
            for place in clear
        )
    return settings


def _finite(text: str) -> float:
    """A number as JSON has it, which Python's parser doesn't hold to; 1e400 would be infinite as well."""
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _refuse(lines: Iterable[str]) -> NoReturn:
    complaints.refuse("\n".join(f"{NAMESPACE}:{line}" for line in lines))


def read_digitalocean() -> DigitalOcean:
    config = pulumi.Config("digitalocean")
    return DigitalOcean(config.get("apiEndpoint"), config.get("token") is not None)
