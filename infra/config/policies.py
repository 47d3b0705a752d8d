"""Policies of a service's route, or of the gateway for all routes."""

import difflib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from infra.config import plugin_schema
from infra.config.errors import ConfigError, raise_if_any
from infra.config.transformations import Changes, HeaderChanges
from infra.config.types import HeaderName, Label, Model, Network, UrlPath, read_switch

# The name is part of an annotation's name.
RouteHeader = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", max_length=50)]
# The controller ignores an empty value, and splits one with commas into alternatives.
RouteHeaderValue = Annotated[str, Field(pattern=r"^[^\s,]([^,\x00-\x1f\x7f]*[^\s,])?$")]
Auth = Literal["jwt", "key-auth"]
HEADERS_OF_KONG = (
    "Server",
    "Via",
    "X-Kong-Upstream-Latency",
    "X-Kong-Proxy-Latency",
    "X-Kong-Response-Latency",
    "X-Kong-Request-Id",
)
"""Headers of responses that Kong writes after all plugins, unless its setting `headers` leaves them out."""
ACCESS_CONTROL_PLUGINS = (
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
"""Plugins that refuse clients."""
# Kong treats anything else as a regular expression; browsers send hosts in lower case.
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[a-z0-9.-]+(:[0-9]+)?)$")]


class RateLimit(Model):
    """Limits the requests in each time window; Kong answers more of them with 429."""

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
        raise_if_any(self._errors())
        return self

    def _errors(self) -> Iterator[ConfigError]:
        windows = list(self.windows.items())
        if not windows:
            yield ConfigError(
                "", None, "one of second, minute, hour or several", "add for example minute: 60", "is empty"
            )
        for (short, less), (long, more) in pairwise(windows):
            if more < less:
                yield ConfigError(long, more, f"at least as many as in a {short}", f"write {long}: {less} or more")
        if (self.by == "header") != (self.header is not None):
            yield ConfigError("header", self.header, "a header's name exactly with by: header", "set both or neither")


class Cors(Model):
    """Allows pages of other origins to use the service in a browser."""

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
            raise_if_any([ConfigError("credentials", True, "false with every origin", "name the origins")])
        return self


Agent = Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._/+-]+$", max_length=100)]


class BotDetection(Model):
    """Refuses crawlers and HTTP libraries by their User-Agent: Kong's own list, and what `deny` adds to it."""

    allow: list[Agent] = Field(
        [], description="parts of User-Agents, of letters, digits, blanks and ._/+-", examples=[["okhttp", "axios"]]
    )
    deny: list[Agent] = Field(
        [], description="parts of User-Agents, of letters, digits, blanks and ._/+-", examples=[["curl"]]
    )


BotDetectionSwitch = Annotated[
    BotDetection | None, BeforeValidator(read_switch, json_schema_input_type=bool | BotDetection | None)
]


class Termination(Model):
    """Has Kong answer every request itself, for maintenance."""

    status: int = Field(503, ge=200, le=599, description="an HTTP status from 200", examples=[503])
    message: str = Field("Service unavailable", min_length=1, description="a sentence", examples=["Back at noon"])


class Timeouts(Model):
    """Seconds that Kong waits for the service."""

    connect: float | None = Field(
        None, ge=0.001, le=3600, description="seconds, up to 3600 (default 60, with several pods 2)", examples=[5]
    )
    read: float | None = Field(None, ge=0.001, le=3600, description="seconds, up to 3600 (default 60)", examples=[60])
    write: float | None = Field(None, ge=0.001, le=3600, description="seconds, up to 3600 (default 60)", examples=[60])


_CHANGES = "set, add, rename (names with values), remove (names)"


class Policies(Model):
    """Policies that a route and the gateway can have. kong_plugins.py says which plugin each of them makes."""

    rate_limit: RateLimit | None = Field(None, description="a limit", examples=[{"minute": 60}])
    allow_ips: list[Network] = Field([], description="addresses and CIDR blocks", examples=["10.0.0.0/8"])
    deny_ips: list[Network] = Field([], description="addresses and CIDR blocks", examples=["192.0.2.0/24"])
    body_limit: int | None = Field(None, ge=1, le=1024, description="1 to 1024 MiB", examples=[8])
    bot_detection: BotDetectionSwitch = Field(
        None, description="true, false, or allow, deny", examples=[{"allow": ["okhttp"]}]
    )
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
    def transforms_body(self) -> bool:
        """True if the bodies of requests change. Kong changes only a body that it holds in memory."""
        operations = self.plugins.get("request-transformer", {}).values()
        return bool(self.request_body) or any("body" in change for change in operations if isinstance(change, dict))

    @model_validator(mode="after")
    def _check_plugins(self) -> Self:
        raise_if_any(self._plugin_errors())
        return self

    def _plugin_errors(self) -> Iterator[ConfigError]:
        for name, config in self.plugins.items():
            key = f"plugins.{name}"
            if name in plugin_schema.NEED_A_DATABASE:
                allowed = "plugins that need none, since this Kong has none"
                yield ConfigError(key, None, allowed, f"remove {name}; auth: jwt needs none", "needs a database")
            elif name not in (known := plugin_schema.plugins()):
                close = difflib.get_close_matches(name, known, n=1)
                fix = f"write {close[0]}" if close else f"remove {name}"
                yield ConfigError(key, None, ", ".join(known), fix, "is not a plugin of Kong's open-source image")
            else:
                for error in plugin_schema.config_errors(name, config):
                    yield error._replace(key=f"{key}.{error.key}".removesuffix("."))


class RoutePolicies(Policies):
    """Policies that only a route can have."""

    auth: Auth | None = Field(None, description="jwt or key-auth", examples=["jwt"])
    allow: list[Label] = Field([], description="groups of consumers", examples=[["team-a"]])
    timeouts: Timeouts | None = Field(None, description="connect, read, write", examples=[{"read": 10}])
    retries: int | None = Field(None, ge=0, le=100, description="0 to 100 (default 5)", examples=[2])
    protocol: Literal["http", "grpc"] = Field("http", description="http or grpc", examples=["grpc"])
    when_headers: dict[RouteHeader, RouteHeaderValue] = Field(
        {},
        description="names of letters, digits and hyphens, each with one value, without a comma",
        examples=[{"X-Canary": "always"}],
    )
    strip_path: bool = Field(False, description="true or false", examples=[True])
    rewrite: UrlPath | None = Field(None, description='a path from "/" on', examples=["/api"])

    @property
    def kong_timeouts(self) -> Timeouts:
        """The timeouts that Kong gets; Kong's own default is 60 seconds each."""
        return self.timeouts or Timeouts()

    def access_control(self, gateway: Policies) -> Mapping[str, Any]:
        """Returns the settings that refuse clients, by key, without groups; unset ones come from the gateway."""
        lists = {
            field: getattr(self if field in self.model_fields_set else gateway, field)
            for field in ("allow_ips", "deny_ips")
        }
        keys = {"auth": self.auth, **{to_camel(field): addresses for field, addresses in lists.items()}}
        plugins = {f"plugins.{name}": self.plugins[name] for name in ACCESS_CONTROL_PLUGINS if name in self.plugins}
        return {key: value for key, value in keys.items() if value} | plugins

    @property
    def required_headers(self) -> frozenset[tuple[str, str]]:
        """The headers of `when_headers` in lower case: Kong ignores the case of names and values."""
        return frozenset((name.lower(), value.lower()) for name, value in self.when_headers.items())

    @model_validator(mode="after")
    def _route_fits_together(self) -> Self:
        raise_if_any(self._route_errors())
        return self

    def _route_errors(self) -> Iterator[ConfigError]:
        for key, name in written_by_kong(self.response_headers):
            yield ConfigError(
                key,
                name,
                "any header that Kong doesn't write last itself: " + ", ".join(HEADERS_OF_KONG),
                f"write remove: [{name}] under gateway.responseHeaders",
            )
        for name in plugin_schema.GLOBAL_ONLY:
            if name in self.plugins:
                allowed = "under gateway, since Kong takes it on no route"
                yield ConfigError(f"plugins.{name}", None, allowed, f"move {name} to gateway.plugins")
        if self.allow and self.auth is None:
            yield ConfigError("allow", None, "only with auth, which identifies the consumer", "add auth: jwt")
        if self.rate_limit and self.rate_limit.by == "consumer" and self.auth is None:
            yield ConfigError("rateLimit.by", "consumer", "ip, header or service without auth", "add auth: jwt")
        if self.protocol == "grpc":
            # A gRPC method's name is its path.
            for field in ("rewrite", "strip_path"):
                if getattr(self, field):
                    key = to_camel(field)
                    yield ConfigError(key, getattr(self, field), "unset with protocol: grpc", f"remove {key}")
        if self.rewrite and "strip_path" in self.model_fields_set:
            key = to_camel("strip_path")
            yield ConfigError(key, self.strip_path, "unset with rewrite, which replaces the path", f"remove {key}")
        yield from self._header_errors()

    def _header_errors(self) -> Iterator[ConfigError]:
        names = [name.lower() for name in self.when_headers]
        for name, value in self.when_headers.items():
            key = f"whenHeaders.{name}"
            if name.lower() == "host":
                yield ConfigError(key, value, "any header but Host, which the key domain sets", f"remove {name}")
            if names.count(name.lower()) > 1:
                yield ConfigError(key, value, "each header once, in upper or lower case", f"remove {name}")
            if value.startswith("~*"):
                yield ConfigError(key, value, "a value as it is: ~* would make it a pattern", "write the value itself")


def written_by_kong(changes: HeaderChanges | None) -> Iterator[tuple[str, str]]:
    """Yields key and name of each change to a header that Kong writes after all plugins."""
    if changes is None:
        return
    kongs = {name.lower() for name in HEADERS_OF_KONG}
    for operation, names in {
        "set": [*changes.assign],
        "add": [*changes.add],
        "rename": [*changes.rename, *changes.rename.values()],
        "remove": changes.remove,
    }.items():
        for name in names:
            if name.lower() in kongs:
                yield f"responseHeaders.{operation}", name
