"""Translates the policies of a route and of the gateway to Kong's plugins and annotations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic.alias_generators import to_camel

from infra.config import kong_lua
from infra.config.errors import ConfigError
from infra.config.gateway import GatewayPolicies
from infra.config.kong_headers import compression_headers, removing, spoofable_headers
from infra.config.plugin_configs import Context, PluginConfig
from infra.config.plugin_table import AUTH, GATEWAY_ONLY, ROUTE, TABLE
from infra.config.policies import Policies, RoutePolicies
from infra.config.policy_models import Timeouts


@dataclass(frozen=True)
class Plugin:
    """A plugin of Kong.

    Attributes:
        name: of the kind, such as rate-limiting.
        config: its configuration.
        store_password_paths: JSON pointers into `config`, where the controller inserts the rate-limit store's password.
        is_secret: whether `config` may have values in it that were set with `--secret`.
        applies: False for the kind of authentication that the route doesn't use: the object exists, and no route names
            it.
    """

    name: str
    config: PluginConfig
    store_password_paths: Sequence[str] = ()
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


def managed_plugins(policies: Policies) -> set[str]:
    """Returns the plugins that typed keys make, so that `plugins` can't set them as well."""
    return {row.plugin for row in TABLE if row.is_set(policies)}


def gateway_plugins(policies: GatewayPolicies, context: Context) -> list[Plugin]:
    """Returns the plugins for every request."""
    configs = _gateway_configs(policies, context)
    own = configs.get("pre-function", {})
    configs["pre-function"] = {**own, "rewrite": [kong_lua.clean_request(), *own.get("rewrite", [])]}
    configs |= {row.plugin: row.config(policies, context) for row in GATEWAY_ONLY if row.is_set(policies)}
    return [_plugin(name, config, policies, context, is_secret=policies.is_secret) for name, config in configs.items()]


def _gateway_configs(policies: GatewayPolicies, context: Context) -> dict[str, PluginConfig]:
    """Returns the configurations of those plugins that a route could have as well."""
    configs = _configs(policies, context)
    if headers := compression_headers(configs):
        configs["request-transformer"] = removing(configs.get("request-transformer", {}), headers)
    return configs


def _configs(policies: Policies, context: Context) -> dict[str, PluginConfig]:
    configs: dict[str, PluginConfig] = dict(policies.plugins)
    for row in ROUTE:
        # A plugin without changes is left out.
        if row.is_set(policies) and ((config := row.config(policies, context)) or row.inert is None):
            configs[row.plugin] = config
    return configs


def _plugin(name: str, config: PluginConfig, policies: Policies, context: Context, *, is_secret: bool) -> Plugin:
    uses_store = context.rate_limit_store is not None
    paths = tuple(
        path for row in TABLE if row.plugin == name and row.is_set(policies) for path in row.store_password_paths
    )
    return Plugin(name, config, store_password_paths=paths if uses_store else (), is_secret=is_secret)


def route_rules(policies: RoutePolicies, gateway: GatewayPolicies, context: Context) -> RouteRules:
    """Returns a route's policies. `gateway` has the policies that apply to all routes."""
    # A route's plugin may have values of the gateway's.
    is_secret = policies.is_secret or gateway.is_secret
    configs = _route_configs(policies, gateway, context)
    plugins = [_plugin(name, config, policies, context, is_secret=is_secret) for name, config in configs.items()]
    names = {plugin.name for plugin in plugins}
    if policies.auth or names & {row.plugin for row in AUTH}:
        # Kong serves a route without a plugin that it doesn't find. So both kinds of authentication always have their
        # plugin: when `auth` changes, one update of the route is enough, and no plugin has to be created before it.
        plugins += [
            Plugin(row.plugin, row.config(policies, context), is_secret=is_secret, applies=row.plugin == policies.auth)
            for row in AUTH
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
    for row in ROUTE:
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
    effective = {**of_gateway, **configs}
    headers = [*(spoofable_headers(configs.get("acl", {})) if policies.auth else []), *compression_headers(effective)]
    # The route's transformer replaces the gateway's, whose changes have to go on.
    transformers = {row.plugin for row in ROUTE if row.inert is not None}
    if headers and (policies.auth or transformers & configs.keys()):
        configs["request-transformer"] = removing(effective.get("request-transformer", {}), headers)
    return configs


def _inherit_from_gateway(policies: RoutePolicies, gateway: GatewayPolicies) -> Policies:
    """Returns a route's policies with the gateway's fields that its plugins inherit."""
    inherited = {
        field: getattr(gateway, field)
        for row in ROUTE
        if row.inherits and row.is_mentioned(policies) and row.plugin not in policies.plugins
        for field in row.fields
        if field not in policies.model_fields_set
    }
    return policies.model_copy(update=inherited)


def errors_for_undisablable_policies(policies: RoutePolicies, gateway: GatewayPolicies) -> Iterator[ConfigError]:
    """Yields the gateway policies that a route tries to disable but can't."""
    own = _route_configs(policies, gateway, Context())
    for row in ROUTE:
        for field in row.fields:
            value = getattr(policies, field)
            is_disabled = field in policies.model_fields_set and not value
            keys = {
                to_camel(field): getattr(gateway, field, None),
                f"plugins.{row.plugin}": row.plugin in gateway.plugins,
            }
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
