"""Translates policies to Kong's plugins: one table maps keys of the stack file to plugins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from infra.config import kong_lua, plugin_configs
from infra.config.errors import ConfigError
from infra.config.gateway import GatewayPolicies
from infra.config.kong_headers import compression_headers, removing, spoofable_headers
from infra.config.plugin_configs import Context, PluginConfig
from infra.config.policies import Policies, RoutePolicies, Timeouts


@dataclass(frozen=True)
class Plugin:
    """A plugin of Kong.

    Attributes:
        name: of the kind, such as rate-limiting.
        config: its configuration.
        secret_paths: JSON pointers into `config`, where the controller inserts the rate-limit store's password.
        is_secret: whether `config` may have values in it that were set with `--secret`.
        applies: whether its route names it; otherwise it only exists.
    """

    name: str
    config: PluginConfig
    secret_paths: Sequence[str] = ()
    is_secret: bool = False
    applies: bool = True


@dataclass(frozen=True, kw_only=True)
class RouteRules:
    """A route's policies.

    Attributes:
        plugins: of the route.
        route: annotations of the Ingress or HTTPRoute.
        upstream: annotations of the Service object.
    """

    plugins: Sequence[Plugin]
    route: Mapping[str, str]
    upstream: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class _Policy:
    """A row of the table: fields of the configuration that make one plugin.

    Attributes:
        fields: of the model; one that is set makes the plugin.
        config: returns the plugin's configuration, from the policies and the context.
        inert: the configuration with which the plugin does nothing, by which a route disables the gateway's plugin.
            None: a route can't disable it, since Kong runs the gateway's plugin where the route has none of its own.
        inherits: whether a route's plugin has the gateway's fields that the route doesn't set. Kong runs one plugin of
            a kind for a request, so the gateway's other fields would be lost.
        secret_paths: where the rate-limit store's password goes, if there is a store.
    """

    plugin: str
    fields: tuple[str, ...]
    config: Callable[[Any, Context], PluginConfig]
    inert: PluginConfig | None = None
    inherits: bool = False
    secret_paths: tuple[str, ...] = ()

    def is_set(self, policies: Policies) -> bool:
        return any(getattr(policies, field, None) for field in self.fields)

    def is_mentioned(self, policies: Policies) -> bool:
        """True if the stack file sets one of the fields, even to false."""
        return bool(policies.model_fields_set & {*self.fields})


_SHARED = (
    _Policy(
        plugin="rate-limiting",
        fields=("rate_limit",),
        config=plugin_configs.rate_limiting,
        secret_paths=("/redis/password",),
    ),
    _Policy(
        plugin="ip-restriction", fields=("allow_ips", "deny_ips"), config=plugin_configs.ip_restriction, inherits=True
    ),
    _Policy(plugin="request-size-limiting", fields=("body_limit",), config=plugin_configs.request_size_limiting),
    _Policy(plugin="bot-detection", fields=("bot_detection",), config=plugin_configs.bot_detection),
    _Policy(plugin="cors", fields=("cors",), config=plugin_configs.cors),
    _Policy(plugin="request-termination", fields=("terminate",), config=plugin_configs.request_termination),
    _Policy(
        plugin="request-transformer",
        fields=("request_headers", "request_query"),
        config=plugin_configs.request_transformer,
        inert={},
        inherits=True,
    ),
    _Policy(
        plugin="response-transformer",
        fields=("response_headers", "security_headers"),
        config=plugin_configs.response_transformer,
        inert={},
        inherits=True,
    ),
    _Policy(
        # Kong's transformers would change numbers of more than 14 digits, and fail on JSON that is no object.
        plugin="post-function",
        fields=("request_body", "response_body"),
        config=plugin_configs.body_changes,
        inert={"access": ["return"]},
        inherits=True,
    ),
)
"""Policies of a route or of the gateway."""
_AUTH = (
    _Policy(plugin="jwt", fields=("auth",), config=plugin_configs.jwt),
    _Policy(plugin="key-auth", fields=("auth",), config=plugin_configs.key_auth),
)
_ACL = _Policy(plugin="acl", fields=("allow",), config=plugin_configs.acl)
_GATEWAY_ONLY = (
    _Policy(plugin="correlation-id", fields=("request_id",), config=plugin_configs.correlation_id),
    _Policy(plugin="file-log", fields=("access_log",), config=lambda *_: {"path": "/dev/stdout"}),
    _Policy(plugin="http-log", fields=("http_log",), config=plugin_configs.http_log),
    _Policy(plugin="prometheus", fields=("metrics", "monitoring"), config=plugin_configs.prometheus),
    _Policy(plugin="opentelemetry", fields=("tracing",), config=plugin_configs.opentelemetry),
)
_TABLE = (*_SHARED, *_AUTH, _ACL, *_GATEWAY_ONLY)


def managed_plugins(policies: Policies) -> set[str]:
    """Returns the plugins that typed keys make, so that `plugins` can't set them as well."""
    return {row.plugin for row in _TABLE if row.is_set(policies)}


def gateway_plugins(policies: GatewayPolicies, context: Context) -> list[Plugin]:
    """Returns the plugins for every request."""
    configs = _gateway_configs(policies, context)
    own = configs.get("pre-function", {})
    configs["pre-function"] = {**own, "rewrite": [kong_lua.clean_request(), *own.get("rewrite", [])]}
    configs |= {row.plugin: row.config(policies, context) for row in _GATEWAY_ONLY if row.is_set(policies)}
    return [_plugin(name, config, policies, context, is_secret=policies.is_secret) for name, config in configs.items()]


def _gateway_configs(policies: GatewayPolicies, context: Context) -> dict[str, PluginConfig]:
    """Returns the configurations of those plugins that a route could have as well."""
    configs = _configs(policies, context)
    if headers := compression_headers(configs):
        configs["request-transformer"] = removing(configs.get("request-transformer", {}), headers)
    return configs


def _configs(policies: Policies, context: Context) -> dict[str, PluginConfig]:
    configs: dict[str, PluginConfig] = dict(policies.plugins)
    for row in _SHARED:
        # A plugin without changes is left out.
        if row.is_set(policies) and ((config := row.config(policies, context)) or row.inert is None):
            configs[row.plugin] = config
    return configs


def _plugin(name: str, config: PluginConfig, policies: Policies, context: Context, *, is_secret: bool) -> Plugin:
    uses_store = context.rate_limit_store is not None
    paths = tuple(path for row in _TABLE if row.plugin == name and row.is_set(policies) for path in row.secret_paths)
    return Plugin(name, config, secret_paths=paths if uses_store else (), is_secret=is_secret)


def route_rules(policies: RoutePolicies, gateway: GatewayPolicies, context: Context) -> RouteRules:
    """Returns a route's policies. `gateway` has the policies that apply to all routes."""
    # A route's plugin may have values of the gateway's.
    is_secret = policies.is_secret or gateway.is_secret
    configs = _route_configs(policies, gateway, context)
    plugins = [_plugin(name, config, policies, context, is_secret=is_secret) for name, config in configs.items()]
    names = {plugin.name for plugin in plugins}
    if policies.auth or names & {row.plugin for row in _AUTH}:
        # Kong serves a route without a plugin that it doesn't find. So both kinds of authentication always exist: to
        # change from one to the other, the route is updated once, and nothing is created before it.
        plugins += [
            Plugin(row.plugin, row.config(policies, context), is_secret=is_secret, applies=row.plugin == policies.auth)
            for row in _AUTH
            if row.plugin not in names
        ]
    grpc = policies.protocol == "grpc"
    upstream = ({"path": policies.rewrite} if policies.rewrite else {}) | ({"protocol": "grpc"} if grpc else {})
    if policies.retries is not None:
        upstream["retries"] = str(policies.retries)
    return RouteRules(
        plugins=plugins,
        route=_annotations(
            ({"strip-path": "true"} if policies.strip_path or policies.rewrite else {})
            | _protocols(grpc=grpc, https=context.https)
            | {f"headers.{name}": value for name, value in policies.when_headers.items()}
        ),
        upstream=_annotations(upstream | _timeouts(policies.kong_timeouts)),
    )


def _route_configs(policies: RoutePolicies, gateway: GatewayPolicies, context: Context) -> dict[str, PluginConfig]:
    of_gateway = _gateway_configs(gateway, context)
    configs = _configs(_inherit_from_gateway(policies, gateway), context)
    for row in _SHARED:
        is_inherited = row.plugin in of_gateway and row.plugin not in gateway.plugins
        if row.inert is not None and row.is_mentioned(policies) and is_inherited:
            configs.setdefault(row.plugin, row.inert)  # in the place of the gateway's
    if "ip-restriction" in policies.plugins:
        lists = {"allow_ips": "allow", "deny_ips": "deny"}
        mentioned = {lists[field] for field in policies.model_fields_set & lists.keys()}
        inherited = {
            name: value for name, value in of_gateway.get("ip-restriction", {}).items() if name not in mentioned
        }
        configs["ip-restriction"] = {**inherited, **configs["ip-restriction"]}
    if _ACL.is_set(policies):
        configs["acl"] = _ACL.config(policies, context)
    effective = {**of_gateway, **configs}
    headers = [*(spoofable_headers(configs.get("acl", {})) if policies.auth else []), *compression_headers(effective)]
    # The route's transformer replaces the gateway's, whose changes have to go on.
    transformers = {row.plugin for row in _SHARED if row.inert is not None}
    if headers and (policies.auth or transformers & configs.keys()):
        configs["request-transformer"] = removing(effective.get("request-transformer", {}), headers)
    return configs


def _inherit_from_gateway(policies: RoutePolicies, gateway: GatewayPolicies) -> Policies:
    """Returns a route's policies with the gateway's fields that its plugins inherit."""
    inherited = {
        field: getattr(gateway, field)
        for row in _SHARED
        if row.inherits and row.is_mentioned(policies) and row.plugin not in policies.plugins
        for field in row.fields
        if field not in policies.model_fields_set
    }
    return policies.model_copy(update=inherited)


def errors_for_undisablable_policies(policies: RoutePolicies, gateway: GatewayPolicies) -> Iterator[ConfigError]:
    """Yields the gateway policies that a route tries to disable but can't."""
    own = _route_configs(policies, gateway, Context())
    for row in _SHARED:
        for field in row.fields:
            value = getattr(policies, field)
            is_disabled = field in policies.model_fields_set and not value
            keys = {to_camel(field): getattr(gateway, field), f"plugins.{row.plugin}": row.plugin in gateway.plugins}
            set_keys = [key for key, is_set in keys.items() if is_set]
            if is_disabled and set_keys and row.plugin not in own and row.inert is None:
                allowed = f"unset, since gateway.{set_keys[0]} can't be switched off for one service"
                fix = f"remove {set_keys[0]} from gateway, and write it on the other services"
                yield ConfigError(to_camel(field), value, allowed, fix)


def _protocols(*, grpc: bool, https: bool) -> dict[str, str]:
    if grpc:
        return {"protocols": "grpcs" if https else "grpc,grpcs"}
    # Kong's default answer is 426, which no browser follows.
    return {"protocols": "https", "https-redirect-status-code": "308"} if https else {}


def _timeouts(timeouts: Timeouts) -> dict[str, str]:
    seconds = {"connect": timeouts.connect, "read": timeouts.read, "write": timeouts.write}
    return {f"{name}-timeout": str(round(value * 1000)) for name, value in seconds.items() if value is not None}


def _annotations(values: Mapping[str, str]) -> Mapping[str, str]:
    return {f"konghq.com/{name}": value for name, value in values.items()}
