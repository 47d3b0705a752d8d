"""The policies of routes and of the gateway.

`Policies` are those that both can have. `RoutePolicies` adds those of routes only, and `GatewayPolicies` in gateway.py
those of the gateway only.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from infra.config import plugin_schema
from infra.config.errors import ConfigError, raise_if_any
from infra.config.policy_models import BotDetectionSwitch, Cors, RateLimit, Termination, Timeouts
from infra.config.transformations import Changes, HeaderChanges
from infra.config.types import Label, Model, Network, UrlPath

# The header's name becomes a part of `konghq.com/headers.<name>`.
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
_CHANGES = "set, add, rename (names with values), remove (names)"


class Policies(Model):
    """Policies that a route and the gateway can have.

    No field has a default: it would replace the gateway's value on every route.
    """

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
    """Policies of a route."""

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
        """Returns `auth`, IP lists and access-control plugins by key; unset IP lists are the gateway's.

        `allow` isn't included.
        """
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
