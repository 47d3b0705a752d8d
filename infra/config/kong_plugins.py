"""Policies in Kong's words: one table says which key of the stack file makes which plugin."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from infra.config import kong_lua
from infra.config.errors import ConfigError
from infra.config.gateway import GatewayPolicies, Tracing
from infra.config.policies import HEADERS_OF_KONG, Policies, RoutePolicies, Timeouts
from infra.config.transformations import Changes, HeaderChanges

PluginConfig = Mapping[str, Any]
"""A plugin's configuration; what it leaves out is Kong's default."""


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
class Context:
    """What plugins need to know of the stack.

    Attributes:
        rate_limit_store: host of the store that Kong's replicas share; None: each replica counts on its own.
        https: whether routes answer over HTTPS only.
    """

    rate_limit_store: str | None = None
    https: bool = False


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


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""For APIs, whose answers are no pages (OWASP REST security cheat sheet). A service's own headers win."""
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=63072000"}
"""Two years (OWASP). Browsers heed it where they trust the certificate, so not with one from staging."""


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
        """Whether the stack file has one of the fields, with whatever value."""
        return bool(policies.model_fields_set & {*self.fields})


def _rate_limiting(policies: Policies, context: Context) -> PluginConfig:
    limit = policies.rate_limit
    if limit is None:
        return {}
    config = {**limit.windows, "limit_by": limit.by} | ({"header_name": limit.header} if limit.header else {})
    if context.rate_limit_store is None:
        return {**config, "policy": "local"}
    # Kong's default timeout of two seconds would delay every request while the store's node is down. Without the store,
    # requests pass: a limit is no access control, and worth less than the services behind it.
    redis = {"host": context.rate_limit_store, "timeout": 500}
    return {**config, "policy": "redis", "fault_tolerant": True, "redis": redis}


def _ip_restriction(policies: Policies, _context: Context) -> PluginConfig:
    lists = {"allow": policies.allow_ips, "deny": policies.deny_ips}
    return {name: [str(network) for network in networks] for name, networks in lists.items() if networks}


def _request_size_limiting(policies: Policies, _context: Context) -> PluginConfig:
    return {"allowed_payload_size": policies.body_limit, "size_unit": "megabytes"}


def _cors(policies: Policies, _context: Context) -> PluginConfig:
    cors = policies.cors
    if cors is None:
        return {}
    optional = {"methods": cors.methods, "headers": cors.headers, "max_age": cors.max_age}
    given = {name: value for name, value in optional.items() if value not in ([], None)}
    return {"origins": cors.origins, "credentials": cors.credentials, **given}


def _request_termination(policies: Policies, _context: Context) -> PluginConfig:
    termination = policies.terminate
    return {"status_code": termination.status, "message": termination.message} if termination else {}


def _bot_detection(policies: Policies, _context: Context) -> PluginConfig:
    bots = policies.bot_detection
    agents = {"allow": bots.allow, "deny": bots.deny} if bots else {}
    return {name: [re.escape(part) for part in parts] for name, parts in agents.items() if parts}


def _request_transformer(policies: Policies, _context: Context) -> PluginConfig:
    return _transformer(headers=policies.request_headers, querystring=policies.request_query)


def _response_transformer(policies: Policies, context: Context) -> PluginConfig:
    headers = policies.response_headers or HeaderChanges()
    if policies.security_headers:
        secure = SECURITY_HEADERS | (_HTTPS_ONLY if context.https else {})
        headers = headers.model_copy(update={"add": secure | headers.add})
    return _transformer(headers=headers)


def _body_changes(policies: Policies, _context: Context) -> PluginConfig:
    request, response = policies.request_body or Changes(), policies.response_body or Changes()
    phases = {"access": request, "header_filter": response, "body_filter": response}
    return {phase: [kong_lua.edit_json(phase, changes)] for phase, changes in phases.items() if changes != Changes()}


def _transformer(**changes: Changes | None) -> PluginConfig:
    """Returns Kong's lists of "name:value". Its `replace` changes only present fields, its `add` only absent ones."""
    config: dict[str, dict[str, list[str]]] = {}

    def put(operation: str, place: str, entries: list[str]) -> None:
        if entries:
            config.setdefault(operation, {}).setdefault(place, []).extend(entries)

    for place, change in changes.items():
        if change:
            put("remove", place, change.remove)
            put("rename", place, [f"{old}:{new}" for old, new in change.rename.items()])
            put("replace", place, [f"{name}:{value}" for name, value in change.assign.items()])
            put("add", place, [f"{name}:{value}" for name, value in (change.assign | change.add).items()])
    return config


def _jwt(_policies: RoutePolicies, _context: Context) -> PluginConfig:
    # Refuses a token that never expires, and one in a URL, which logs would keep.
    return {"claims_to_verify": ["exp"], "uri_param_names": []}


def _key_auth(_policies: RoutePolicies, _context: Context) -> PluginConfig:
    # Keeps the key from the service and from logs.
    return {"key_names": ["apikey"], "key_in_query": False, "hide_credentials": True}


def _acl(policies: RoutePolicies, _context: Context) -> PluginConfig:
    return {"allow": policies.allow, "hide_groups_header": True}


def _prometheus(_policies: GatewayPolicies, _context: Context) -> PluginConfig:
    # Kong leaves all but a few metrics out by default.
    return {f"{kind}_metrics": True for kind in ("status_code", "latency", "bandwidth", "upstream_health")}


def _correlation_id(_policies: GatewayPolicies, _context: Context) -> PluginConfig:
    return {"header_name": "X-Request-ID", "generator": "uuid", "echo_downstream": True}


def _http_log(policies: GatewayPolicies, _context: Context) -> PluginConfig:
    return {"http_endpoint": policies.http_log.url} if policies.http_log else {}


def _opentelemetry(policies: GatewayPolicies, _context: Context) -> PluginConfig:
    if policies.tracing is None:
        return {}
    return {
        "traces_endpoint": policies.tracing.url,
        "resource_attributes": {"service.name": "kong"},
        "sampling_rate": policies.tracing.sampling,
    }


_SHARED = (
    _Policy(plugin="rate-limiting", fields=("rate_limit",), config=_rate_limiting, secret_paths=("/redis/password",)),
    _Policy(plugin="ip-restriction", fields=("allow_ips", "deny_ips"), config=_ip_restriction, inherits=True),
    _Policy(plugin="request-size-limiting", fields=("body_limit",), config=_request_size_limiting),
    _Policy(plugin="bot-detection", fields=("bot_detection",), config=_bot_detection),
    _Policy(plugin="cors", fields=("cors",), config=_cors),
    _Policy(plugin="request-termination", fields=("terminate",), config=_request_termination),
    _Policy(
        plugin="request-transformer",
        fields=("request_headers", "request_query"),
        config=_request_transformer,
        inert={},
        inherits=True,
    ),
    _Policy(
        plugin="response-transformer",
        fields=("response_headers", "security_headers"),
        config=_response_transformer,
        inert={},
        inherits=True,
    ),
    _Policy(
        # Kong's transformers would change numbers of more than 14 digits, and fail on JSON that is no object.
        plugin="post-function",
        fields=("request_body", "response_body"),
        config=_body_changes,
        inert={"access": ["return"]},
        inherits=True,
    ),
)
"""Policies of a route or of the gateway."""
_AUTH = (
    _Policy(plugin="jwt", fields=("auth",), config=_jwt),
    _Policy(plugin="key-auth", fields=("auth",), config=_key_auth),
)
_ACL = _Policy(plugin="acl", fields=("allow",), config=_acl)
_GATEWAY_ONLY = (
    _Policy(plugin="correlation-id", fields=("request_id",), config=_correlation_id),
    _Policy(plugin="file-log", fields=("access_log",), config=lambda *_: {"path": "/dev/stdout"}),
    _Policy(plugin="http-log", fields=("http_log",), config=_http_log),
    _Policy(plugin="prometheus", fields=("metrics", "monitoring"), config=_prometheus),
    _Policy(plugin="opentelemetry", fields=("tracing",), config=_opentelemetry),
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
    if headers := _compression_headers(configs):
        configs["request-transformer"] = _removing(configs.get("request-transformer", {}), headers)
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
        # Kong serves a route without a plugin that it doesn't find. So both kinds of authentication always exist, and
        # changing from one to the other is a single update of the route, with nothing to create before it.
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
        upstream=_annotations(upstream | _timeouts(policies.timeouts or Timeouts())),
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
    headers = [*(_spoofable_headers(configs.get("acl", {})) if policies.auth else []), *_compression_headers(effective)]
    # The route's transformer replaces the gateway's, whose changes have to go on.
    transformers = {row.plugin for row in _SHARED if row.inert is not None}
    if headers and (policies.auth or transformers & configs.keys()):
        configs["request-transformer"] = _removing(effective.get("request-transformer", {}), headers)
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


def _removing(transformer: PluginConfig, headers: Sequence[str]) -> PluginConfig:
    """Returns a request-transformer that removes these headers as well."""
    remove = transformer.get("remove", {})
    present = remove.get("headers", [])
    return {
        **transformer,
        "remove": {**remove, "headers": [*present, *(name for name in headers if name not in present)]},
    }


_IDENTITY = (
    "X-Consumer-ID",
    "X-Consumer-Custom-ID",
    "X-Consumer-Username",
    "X-Consumer-Groups",
    "X-Credential-Identifier",
    "X-Credential-Username",
    "X-Anonymous-Consumer",
    "X-Authenticated-Groups",
)
"""Headers by which Kong names the consumer to a service."""
_FORWARDED = (
    "X-Real-IP",
    "X-Kong-Request-Id",
    *(f"X-Forwarded-{name}" for name in ("For", "Proto", "Host", "Port", "Path", "Prefix")),
)
"""Other headers that Kong sets for a service."""


def _spoofable_headers(acl: PluginConfig) -> list[str]:
    """Headers by which a client could claim an identity.

    kong_lua.clean_request removes them from every request as well, and doesn't stop at the first 100 headers as
    request-transformer does. This holds should Kong ever run without that code.

    Kong's authentication plugins replace or clear X-Consumer-ID and the like in that spelling before the transformer
    runs, so what they set has to stay. Servers of the CGI convention take "_" and "-" in a name for the same.
    """
    # Unless acl hides the groups, it has set X-Consumer-Groups itself before.
    hyphenated = ["X-Credential-Username", *(["X-Consumer-Groups"] if acl.get("hide_groups_header", not acl) else [])]
    return [*hyphenated, *(name for header in (*_IDENTITY, *_FORWARDED) for name in _with_underscores(header))]


def _with_underscores(header: str) -> Iterator[str]:
    """Yields the other spellings of a header: each with an underscore for at least one of the hyphens."""
    first, *rest = header.split("-")
    for marks in itertools.product("-_", repeat=len(rest)):
        if "_" in marks:
            yield first + "".join(mark + part for mark, part in zip(marks, rest, strict=True))


def _compression_headers(configs: Mapping[str, PluginConfig]) -> list[str]:
    """Headers that make a service compress its answer: Kong transforms no compressed body (Kong issue 13741)."""
    operations = configs.get("response-transformer", {}).values()
    changes_body = any({"json", "json_types"} & change.keys() for change in operations if isinstance(change, Mapping))
    changes_body |= "body_filter" in configs.get("post-function", {})
    return ["Accept-Encoding"] if changes_body else []


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


def gateway_environment(policies: GatewayPolicies, body_buffer_mib: int | None = None) -> Mapping[str, str]:
    """Returns Kong's own settings that policies need; Kong restarts when they change.

    Args:
        policies: of the gateway.
        body_buffer_mib: size up to which plugins need a request's body; None: Kong's default of 8 KiB.
    """
    size = f"{policies.header_limit}k"
    environment = {
        # Requests: the request line and each header line, all of them in four times as much.
        "nginx_proxy_large_client_header_buffers": f"4 {size}",
        # Responses: all headers together. nginx wants room for more than two buffers of that size.
        "nginx_proxy_proxy_buffer_size": size,
        "nginx_proxy_proxy_buffers": f"8 {size}",
        "nginx_proxy_grpc_buffer_size": size,
    }
    if body_buffer_mib:
        environment["nginx_http_client_body_buffer_size"] = f"{body_buffer_mib}m"
    if removed := policies.removed_headers_of_kong:
        kept = [name for name in HEADERS_OF_KONG if name.lower() not in removed]
        environment["headers"] = ",".join(kept) or "off"
    if policies.access_log:
        environment["proxy_access_log"] = "off"  # its lines of text would stand between those of JSON
    if policies.tracing:
        environment |= {
            "tracing_instrumentations": "all",
            "tracing_sampling_rate": str(policies.tracing.sampling),
        }
    return environment


def tracing_environment(tracing: Tracing | None, service: str) -> Mapping[str, str]:
    """Returns a service's variables for OpenTelemetry's SDKs, whichever language it is written in."""
    if tracing is None:
        return {}
    return {
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": tracing.url,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        # Kong samples; requests from elsewhere, such as probes, aren't traced.
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }
