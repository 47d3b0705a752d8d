"""What a service's route, or the gateway for all routes, can ask of Kong beyond routing."""

import difflib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, IPvAnyNetwork, model_validator
from pydantic.alias_generators import to_camel

from infra.config import plugin_schema
from infra.config.errors import Complaint, raise_any
from infra.config.monitoring import MonitoringSwitch
from infra.config.network import Egress
from infra.config.transformations import Changes, HeaderChanges
from infra.config.types import HeaderName, Label, Model, Url, UrlPath

# Part of an annotation's name.
RouteHeader = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", max_length=50)]
# To the controller an empty value is no header, and one with commas is several, any of which will do.
RouteHeaderValue = Annotated[str, Field(pattern=r"^[^\s,]([^,\x00-\x1f\x7f]*[^\s,])?$")]
Auth = Literal["jwt", "key-auth"]
ACCESS = (
    "acl",
    "basic-auth",
    "hmac-auth",
    "ip-restriction",
    "jwt",
    "key-auth",
    "ldap-auth",
    "session",
    "standard-webhooks",
)
"""Plugins that keep somebody out."""
# Anything else Kong takes for a regular expression; browsers write hosts in lower case.
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[a-z0-9.-]+(:[0-9]+)?)$")]


class RateLimit(Model):
    """At most so many requests in each window; more are answered 429."""

    second: int | None = Field(None, ge=1, description="requests a second, from 1", examples=[10])
    minute: int | None = Field(None, ge=1, description="requests a minute, from 1", examples=[60])
    hour: int | None = Field(None, ge=1, description="requests an hour, from 1", examples=[1000])
    by: Literal["ip", "consumer", "header", "service"] = Field(
        "ip", description="ip, consumer, header or service (all of its requests together)", examples=["consumer"]
    )
    header: HeaderName | None = Field(None, description="a header's name", examples=["X-Tenant"])

    @property
    def windows(self) -> dict[str, int]:
        return {name: limit for name in ("second", "minute", "hour") if (limit := getattr(self, name))}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_any(self._complaints())
        return self

    def _complaints(self) -> Iterator[Complaint]:
        windows = list(self.windows.items())
        if not windows:
            yield Complaint(
                "", None, "one of second, minute, hour or several", "add for example minute: 60", "is empty"
            )
        for (short, less), (long, more) in pairwise(windows):
            if more < less:
                yield Complaint(long, more, f"at least as many as in a {short}", f"write {long}: {less} or more")
        if (self.by == "header") != (self.header is not None):
            yield Complaint("header", self.header, "a header's name exactly with by: header", "set both or neither")


class Cors(Model):
    """Which pages of other origins may use the service in a browser."""

    origins: list[Origin] = Field(
        min_length=1,
        description='origins by their own names, such as https://example.com:8443 in lower case, or "*" for all',
        examples=[["https://shop.example.com", "https://www.example.com"]],
    )
    methods: list[Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"]] = Field(
        [], description="HTTP methods (none: all)", examples=[["GET", "POST"]]
    )
    headers: list[HeaderName] = Field([], description="headers that pages may send", examples=[["Authorization"]])
    credentials: bool = Field(False, description="true or false: cookies and the like", examples=[True])
    max_age: int | None = Field(None, ge=0, description="seconds, from 0", examples=[3600])

    @model_validator(mode="after")
    def _credentials_need_names(self) -> Self:
        if self.credentials and "*" in self.origins:
            raise_any([Complaint("credentials", True, "false with every origin", "name the origins")])
        return self


class Termination(Model):
    """Answers every request itself: the switch for maintenance."""

    status: int = Field(503, ge=100, le=599, description="an HTTP status", examples=[503])
    message: str = Field("Service unavailable", min_length=1, description="a sentence", examples=["Back at noon"])


class Timeouts(Model):
    """How long Kong waits for the service."""

    connect: float | None = Field(None, ge=0.001, le=3600, description="seconds, up to 3600", examples=[5])
    read: float | None = Field(None, ge=0.001, le=3600, description="seconds, up to 3600", examples=[60])
    write: float | None = Field(None, ge=0.001, le=3600, description="seconds, up to 3600", examples=[60])


_CHANGES = "set, add, rename (names with values), remove (names)"


class Policies(Model):
    """What both a route and the gateway can have: each entry is one of Kong's plugins, or a part of one."""

    rate_limit: RateLimit | None = Field(None, description="a limit", examples=[{"minute": 60}])
    allow_ips: list[IPvAnyNetwork] = Field([], description="addresses and CIDR blocks", examples=["10.0.0.0/8"])
    deny_ips: list[IPvAnyNetwork] = Field([], description="addresses and CIDR blocks", examples=["192.0.2.0/24"])
    body_limit: int | None = Field(None, ge=1, le=1024, description="1 to 1024 MiB", examples=[8])
    bot_detection: bool = Field(False, description="true or false", examples=[True])
    cors: Cors | None = Field(None, description="origins and more", examples=[{"origins": ["https://example.com"]}])
    security_headers: bool = Field(False, description="true or false", examples=[True])
    terminate: Termination | None = Field(None, description="status, message", examples=[{"message": "Back at noon"}])
    request_headers: HeaderChanges | None = Field(None, description=_CHANGES, examples=[{"set": {"X-Via": "gateway"}}])
    request_query: Changes | None = Field(None, description=_CHANGES, examples=[{"remove": ["debug"]}])
    request_body: Changes | None = Field(None, description=_CHANGES, examples=[{"remove": ["debug"]}])
    response_headers: HeaderChanges | None = Field(None, description=_CHANGES, examples=[{"remove": ["X-Debug"]}])
    response_body: Changes | None = Field(None, description=_CHANGES, examples=[{"remove": ["debug"]}])
    plugins: dict[str, dict[str, Any]] = Field(
        {}, description="Kong's plugins by name, with their config", examples=[{"proxy-cache": {"strategy": "memory"}}]
    )

    @property
    def sets(self) -> Mapping[str, bool]:
        """By plugin: whether a key of ours sets it."""
        return {
            "rate-limiting": self.rate_limit is not None,
            "ip-restriction": bool(self.allow_ips or self.deny_ips),
            "request-size-limiting": self.body_limit is not None,
            "bot-detection": self.bot_detection,
            "cors": self.cors is not None,
            "request-termination": self.terminate is not None,
            "request-transformer": any((self.request_headers, self.request_query, self.request_body)),
            "response-transformer": any((self.response_headers, self.response_body, self.security_headers)),
        }

    @property
    def changes_bodies(self) -> bool:
        """Whether requests' bodies are changed, of which Kong sees only what fits into its memory."""
        operations = self.plugins.get("request-transformer", {}).values()
        return bool(self.request_body) or any("body" in each for each in operations if isinstance(each, dict))

    @model_validator(mode="after")
    def _plugins_are_bundled_and_set_once(self) -> Self:
        raise_any(self._plugin_complaints())
        return self

    def _plugin_complaints(self) -> Iterator[Complaint]:
        for name, config in self.plugins.items():
            key = f"plugins.{name}"
            if name in plugin_schema.NEED_A_DATABASE:
                allowed = "plugins that need none, since this Kong has none"
                yield Complaint(key, None, allowed, f"remove {name}; auth: jwt needs none", "needs a database")
            elif name not in (known := plugin_schema.plugins()):
                close = difflib.get_close_matches(name, known, n=1)
                fix = f"write {close[0]}" if close else f"remove {name}"
                yield Complaint(key, None, ", ".join(known), fix, "is not a plugin of Kong's open-source image")
            elif self.sets.get(name):
                yield Complaint(key, None, f"{name} once, and another key sets it already", f"remove {key}")
            else:
                for each in plugin_schema.complaints(name, config):
                    yield each._replace(key=f"{key}.{each.key}".removesuffix("."))


class RoutePolicies(Policies):
    """What only a route can have."""

    auth: Auth | None = Field(None, description="jwt or key-auth", examples=["jwt"])
    allow: list[Label] = Field([], description="groups of consumers", examples=[["team-a"]])
    timeouts: Timeouts | None = Field(None, description="connect, read, write", examples=[{"read": 10}])
    retries: int | None = Field(None, ge=0, le=100, description="0 to 100", examples=[2])
    protocol: Literal["http", "grpc"] = Field("http", description="http or grpc", examples=["grpc"])
    when_headers: dict[RouteHeader, RouteHeaderValue] = Field(
        {},
        description="names of letters, digits and hyphens, each with one value, without a comma",
        examples=[{"X-Canary": "always"}],
    )
    strip_path: bool = Field(False, description="true or false", examples=[True])
    rewrite: UrlPath | None = Field(None, description='a path from "/" on', examples=["/api"])

    @property
    def sets(self) -> Mapping[str, bool]:
        # Both kinds, as route_rules in infra/config/kong_plugins.py has it.
        auth = self.auth is not None
        return {"jwt": auth, "key-auth": auth, "acl": bool(self.allow), **super().sets}

    def guards(self, gateway: "GatewayPolicies") -> Mapping[str, Any]:
        """What keeps somebody out, but for groups, by its key; the gateway's, where this route has none of its own."""
        lists = {
            field: getattr(self if field in self.model_fields_set else gateway, field)
            for field in ("allow_ips", "deny_ips")
        }
        keys = {"auth": self.auth, **{to_camel(field): addresses for field, addresses in lists.items()}}
        plugins = {f"plugins.{name}": self.plugins[name] for name in ACCESS if name in self.plugins}
        return {key: value for key, value in keys.items() if value} | plugins

    @property
    def asks_for(self) -> frozenset[tuple[str, str]]:
        """The headers of `when_headers`, of which Kong looks at no upper case, neither of names nor of values."""
        return frozenset((name.lower(), value.lower()) for name, value in self.when_headers.items())

    @model_validator(mode="after")
    def _route_fits_together(self) -> Self:
        raise_any(self._route_complaints())
        return self

    def _route_complaints(self) -> Iterator[Complaint]:
        for name in plugin_schema.GLOBAL_ONLY:
            if name in self.plugins:
                allowed = "under gateway, since Kong takes it on no route"
                yield Complaint(f"plugins.{name}", None, allowed, f"move {name} to gateway.plugins")
        if self.allow and self.auth is None:
            yield Complaint("allow", None, "only beside auth, which says who asks", "add auth: jwt")
        if self.rate_limit and self.rate_limit.by == "consumer" and self.auth is None:
            yield Complaint("rateLimit.by", "consumer", "ip, header or service without auth", "add auth: jwt")
        if self.protocol == "grpc":
            # A method's path is part of its name.
            for field in ("rewrite", "strip_path"):
                if getattr(self, field):
                    key = to_camel(field)
                    yield Complaint(key, getattr(self, field), "unset with protocol: grpc", f"remove {key}")
        if self.rewrite and "strip_path" in self.model_fields_set:
            key = to_camel("strip_path")
            yield Complaint(key, self.strip_path, "unset beside rewrite, which replaces the path", f"remove {key}")
        yield from self._header_complaints()

    def _header_complaints(self) -> Iterator[Complaint]:
        names = [name.lower() for name in self.when_headers]
        for name, value in self.when_headers.items():
            key = f"whenHeaders.{name}"
            if name.lower() == "host":
                yield Complaint(key, value, "any header but Host, for which there is domain", f"remove {name}")
            if names.count(name.lower()) > 1:
                yield Complaint(key, value, "each header once, in upper or lower case", f"remove {name}")
            if value.startswith("~*"):
                yield Complaint(key, value, "a value as it is: ~* would make it a pattern", "write the value itself")


class HttpLog(Model):
    """Where a record of every request is posted."""

    url: Url = Field(description="a URL of a name or an IPv4 address", examples=["http://logs.tools:9000/kong"])


class Tracing(Model):
    """An OpenTelemetry collector."""

    url: Url = Field(
        description="a URL of a name or an IPv4 address", examples=["http://otel-collector:4318/v1/traces"]
    )
    sampling: float = Field(1.0, ge=0, le=1, description="the share of requests, 0 to 1", examples=[0.1])


class GatewayPolicies(Policies):
    """What only the gateway as a whole can have."""

    replicas: int = Field(1, ge=1, le=20, description="1 to 20 pods of Kong", examples=[2])
    request_id: bool = Field(False, description="true or false", examples=[True])
    access_log: bool = Field(False, description="true or false", examples=[True])
    http_log: HttpLog | None = Field(None, description="url", examples=[{"url": "http://logs.tools:9000/kong"}])
    metrics: bool = Field(False, description="true or false", examples=[True])
    monitoring: MonitoringSwitch = Field(
        None, description="true, false, or retention, grafana", examples=[{"retention": "7d"}]
    )
    tracing: Tracing | None = Field(None, description="url, sampling", examples=[{"url": "http://otel:4318/v1/traces"}])
    egress: Egress = Field(Egress(), description="internet, namespaces, networks", examples=[{"namespaces": ["redis"]}])

    @model_validator(mode="after")
    def _keeps_nobody_out_by_a_plugin(self) -> Self:
        """Kong leaves out what it refuses: of the gateway all routes would be open, of a route that one is closed."""
        raise_any(
            Complaint(
                f"plugins.{name}",
                None,
                "only on services: if Kong refused its configuration here, all of them would be open",
                "write allowIps or denyIps" if name == "ip-restriction" else f"move {name} to the services",
            )
            for name in ACCESS
            if name in self.plugins
        )
        return self

    @property
    def sets(self) -> Mapping[str, bool]:
        return {
            "correlation-id": self.request_id,
            "file-log": self.access_log,
            "http-log": self.http_log is not None,
            "prometheus": self.metrics or self.monitoring is not None,
            "opentelemetry": self.tracing is not None,
            **super().sets,
        }
