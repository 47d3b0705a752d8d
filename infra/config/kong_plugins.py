"""Policies in Kong's words: which plugins with which configuration, and which annotations."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel

from infra.config import kong_lua
from infra.config.errors import ConfigError
from infra.config.gateway import GatewayPolicies, Tracing
from infra.config.policies import HEADERS_OF_KONG, Cors, Policies, RateLimit, RoutePolicies, Timeouts
from infra.config.transformations import Changes, HeaderChanges

Plugins = Mapping[str, Mapping[str, Any]]
"""Plugin -> its configuration; what isn't said is Kong's default."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""For APIs, whose answers are no pages (OWASP REST security cheat sheet). A service's own headers win."""
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=63072000"}
"""Two years (OWASP). Browsers heed it where they trust the certificate, so not with one from staging."""

_AUTH: Plugins = {
    # A token that never expires is refused, and one in a URL, which logs would keep.
    "jwt": {"claims_to_verify": ["exp"], "uri_param_names": []},
    # The service doesn't see the key, nor do logs.
    "key-auth": {"key_names": ["apikey"], "key_in_query": False, "hide_credentials": True},
}

_TOGETHER = {
    "request-transformer": ("request_headers", "request_query"),
    "response-transformer": ("response_headers", "security_headers"),
    # Kong's transformers would change numbers of more than 14 digits, and fail on JSON that is no object.
    "post-function": ("request_body", "response_body"),
}
"""Plugins that several keys make, and these."""
_INERT: Plugins = {"post-function": {"access": ["return"]}}
"""Configuration with which a plugin changes nothing, where that isn't an empty one."""
_LISTS = {"allow": "allow_ips", "deny": "deny_ips"}
_ALWAYS_AT_WORK = {
    "rate_limit": "rate-limiting",
    **dict.fromkeys(_LISTS.values(), "ip-restriction"),
    "body_limit": "request-size-limiting",
    "bot_detection": "bot-detection",
    "cors": "cors",
    "terminate": "request-termination",
}
"""Keys whose plugin has no configuration with which it does nothing. One that is switched off on a route lets the
gateway's run there, as Kong has it."""


@dataclass(frozen=True, kw_only=True)
class RouteRules:
    """A route's policies.

    Attributes:
        plugins: what has to be there.
        named: those of them that apply.
        route: annotations of the Ingress.
        upstream: annotations of the Service.
    """

    plugins: Plugins
    named: tuple[str, ...]
    route: Mapping[str, str]
    upstream: Mapping[str, str]


def route_rules(
    policies: RoutePolicies, gateway: GatewayPolicies, counters: str | None = None, *, https: bool = False
) -> RouteRules:
    """A route's policies beside the gateway's.

    Args:
        policies: the route's.
        gateway: the gateway's.
        counters: where Kong's pods count together; None: each for itself.
        https: it answers over that alone, and sends everyone else there.
    """
    of_all = _of_all(gateway, counters, https=https)
    plugins = dict(_shared(_completed(policies, gateway), counters, https=https))
    for name, keys in _TOGETHER.items():
        said = policies.model_fields_set & {*keys}
        if said and name in of_all and name not in {**gateway.plugins, **plugins}:
            plugins[name] = _INERT.get(name, {})  # in the place of the gateway's
    if addresses := _addresses(policies, of_all.get("ip-restriction", {}), plugins.get("ip-restriction", {})):
        plugins["ip-restriction"] = addresses
    if policies.allow:
        plugins["acl"] = {"allow": policies.allow, "hide_groups_header": True}
    effective = {**of_all, **plugins}
    unwanted = [*(_claims(plugins.get("acl", {})) if policies.auth else []), *_compression(effective)]
    # The route's takes the place of the gateway's, which has to go on.
    if unwanted and (policies.auth or {*_TOGETHER} & plugins.keys()):
        plugins["request-transformer"] = _without(effective.get("request-transformer", {}), unwanted)
    named = [*plugins, policies.auth] if policies.auth else [*plugins]
    if _AUTH.keys() & {*named}:
        # Kong serves a route without a plugin that it doesn't find. So both kinds are there at all times, and going
        # from one to the other is a single change of the Ingress, with nothing to create before or delete after it.
        plugins = {**_AUTH, **plugins}
    grpc = policies.protocol == "grpc"
    upstream = ({"path": policies.rewrite} if policies.rewrite else {}) | ({"protocol": "grpc"} if grpc else {})
    if policies.retries is not None:
        upstream["retries"] = str(policies.retries)
    return RouteRules(
        plugins=plugins,
        named=tuple(sorted(named)),
        route=_annotations(
            ({"strip-path": "true"} if policies.strip_path or policies.rewrite else {})
            | _protocols(grpc=grpc, https=https)
            | {f"headers.{name}": value for name, value in policies.when_headers.items()}
        ),
        upstream=_annotations(upstream | _timeouts(policies.timeouts or Timeouts())),
    )


def _completed(policies: RoutePolicies, gateway: GatewayPolicies) -> Policies:
    """A route's policies, with the gateway's for what it doesn't say itself of a plugin that it has.

    A route's plugin is the only one of its kind that runs there: what the gateway says by another key would be lost.
    """
    said = policies.model_fields_set
    missing = [
        key
        for plugin, keys in _TOGETHER.items()
        if said & {*keys} and plugin not in policies.plugins
        for key in keys
        if key not in said
    ]
    return policies.model_copy(update={key: getattr(gateway, key) for key in missing})


def _addresses(policies: RoutePolicies, of_all: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """A route's lists of addresses, with those of the gateway's that it says nothing of; nothing, if all are empty."""
    said = policies.model_fields_set
    if not own and not said & {*_LISTS.values()}:
        return {}
    lists = {**{name: value for name, value in of_all.items() if _LISTS.get(name) not in said}, **own}
    return lists if any(lists.get(name) for name in _LISTS) else {}


def errors_for_undisablable_policies(policies: RoutePolicies, gateway: GatewayPolicies) -> Iterator[ConfigError]:
    """What a route says that it doesn't want of the gateway's, and has all the same."""
    named = route_rules(policies, gateway).named
    for field, plugin in _ALWAYS_AT_WORK.items():
        value = getattr(policies, field)
        off = field in policies.model_fields_set and not value
        keys = {to_camel(field): getattr(gateway, field), f"plugins.{plugin}": plugin in gateway.plugins}
        theirs = [key for key, there in keys.items() if there]
        if off and theirs and plugin not in named:
            allowed = f"unset, since gateway.{theirs[0]} can't be switched off for one service"
            fix = f"remove {theirs[0]} from gateway, and write it on the other services"
            yield ConfigError(to_camel(field), value, allowed, fix)


def _without(change: Mapping[str, Any], headers: Sequence[str]) -> Mapping[str, Any]:
    """A request-transformer that takes these headers out, too."""
    remove = change.get("remove", {})
    present = remove.get("headers", [])
    return {**change, "remove": {**remove, "headers": [*present, *(each for each in headers if each not in present)]}}


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


def _claims(acl: Mapping[str, Any]) -> list[str]:
    """Headers by which a client could claim an identity.

    kong_lua.clean_request removes them from every request, too, and doesn't stop at the first 100 headers as
    request-transformer does. This holds should Kong ever run without that code.

    The plugins for authentication replace or clear X-Consumer-ID and the like in that spelling, and run first: what
    they set has to stay. Servers of the CGI convention see "_" and "-" in a name as the same.
    """
    # Groups: otherwise acl, which runs first too, has replaced them.
    hyphenated = ["X-Credential-Username", *(["X-Consumer-Groups"] if acl.get("hide_groups_header", not acl) else [])]
    return [*hyphenated, *(name for header in (*_IDENTITY, *_FORWARDED) for name in _with_underscores(header))]


def _with_underscores(header: str) -> Iterator[str]:
    """Yields the other spellings of a header: each with an underscore for at least one of the hyphens."""
    first, *rest = header.split("-")
    for marks in itertools.product("-_", repeat=len(rest)):
        if "_" in marks:
            yield first + "".join(mark + part for mark, part in zip(marks, rest, strict=True))


def _compression(plugins: Plugins) -> list[str]:
    """By which a client would have an answer compressed, in which Kong then changes nothing (Kong issue 13741)."""
    operations = plugins.get("response-transformer", {}).values()
    changed = any({"json", "json_types"} & each.keys() for each in operations if isinstance(each, Mapping))
    changed |= "body_filter" in plugins.get("post-function", {})
    return ["Accept-Encoding"] if changed else []


def _of_all(policies: GatewayPolicies, counters: str | None, *, https: bool) -> dict[str, Mapping[str, Any]]:
    plugins = dict(_shared(policies, counters, https=https))
    if unwanted := _compression(plugins):
        plugins["request-transformer"] = _without(plugins.get("request-transformer", {}), unwanted)
    return plugins


def gateway_plugins(policies: GatewayPolicies, counters: str | None = None, *, https: bool = False) -> Plugins:
    """The plugins for every request; `counters` and `https` as of a route."""
    plugins = _of_all(policies, counters, https=https)
    own = plugins.get("pre-function", {})
    plugins["pre-function"] = {**own, "rewrite": [kong_lua.clean_request(), *own.get("rewrite", [])]}
    if policies.request_id:
        plugins["correlation-id"] = {"header_name": "X-Request-ID", "generator": "uuid", "echo_downstream": True}
    if policies.access_log:
        plugins["file-log"] = {"path": "/dev/stdout"}
    if policies.http_log:
        plugins["http-log"] = {"http_endpoint": policies.http_log.url}
    if policies.metrics or policies.monitoring:
        # All but the first few numbers are off unless they are asked for.
        kinds = ("status_code", "latency", "bandwidth", "upstream_health")
        plugins["prometheus"] = {f"{kind}_metrics": True for kind in kinds}
    if policies.tracing:
        plugins["opentelemetry"] = {
            "traces_endpoint": policies.tracing.url,
            "resource_attributes": {"service.name": "kong"},
            "sampling_rate": policies.tracing.sampling,
        }
    return plugins


def gateway_environment(policies: GatewayPolicies, body_buffer: int | None = None) -> Mapping[str, str]:
    """Kong's own settings that policies need; it restarts when they change.

    Args:
        policies: the gateway's.
        body_buffer: MiB of a request's body that plugins have to see; None: Kong's own 8 KiB.
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
    if body_buffer:
        environment["nginx_http_client_body_buffer_size"] = f"{body_buffer}m"
    if removed := policies.removed_headers_of_kong:
        kept = [name for name in HEADERS_OF_KONG if name.lower() not in removed]
        environment["headers"] = ",".join(kept) or "off"
    if policies.access_log:
        environment["proxy_access_log"] = "off"  # lines of text between those of JSON
    if policies.tracing:
        environment |= {
            "tracing_instrumentations": "all",
            "tracing_sampling_rate": str(policies.tracing.sampling),
        }
    return environment


def password_places(policies: Policies, counters: str | None) -> Mapping[str, str]:
    """Plugins that need the counters' password, and where in their configuration (a JSON pointer)."""
    return {"rate-limiting": "/redis/password"} if counters and policies.rate_limit else {}


def tracing_environment(tracing: Tracing | None, service: str) -> Mapping[str, str]:
    """What OpenTelemetry's SDKs read, in whatever language a service is written."""
    if tracing is None:
        return {}
    return {
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": tracing.url,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        # Kong decides which requests are traced; what comes from elsewhere, such as probes, isn't.
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }


def _protocols(*, grpc: bool, https: bool) -> dict[str, str]:
    if grpc:
        return {"protocols": "grpcs" if https else "grpc,grpcs"}
    # Kong's own answer would be 426, which no browser follows.
    return {"protocols": "https", "https-redirect-status-code": "308"} if https else {}


def _shared(policies: Policies, counters: str | None, *, https: bool) -> Plugins:
    plugins: dict[str, Mapping[str, Any]] = dict(policies.plugins)
    if policies.rate_limit:
        plugins["rate-limiting"] = _rate_limiting(policies.rate_limit, counters)
    if policies.allow_ips or policies.deny_ips:
        lists = {"allow": policies.allow_ips, "deny": policies.deny_ips}
        plugins["ip-restriction"] = {name: [str(each) for each in list_] for name, list_ in lists.items() if list_}
    if policies.body_limit:
        plugins["request-size-limiting"] = {"allowed_payload_size": policies.body_limit, "size_unit": "megabytes"}
    if bots := policies.bot_detection:
        agents = {"allow": bots.allow, "deny": bots.deny}
        plugins["bot-detection"] = {
            name: [re.escape(part) for part in parts] for name, parts in agents.items() if parts
        }
    if policies.cors:
        plugins["cors"] = _cors(policies.cors)
    if policies.terminate:
        message, status = policies.terminate.message, policies.terminate.status
        plugins["request-termination"] = {"status_code": status, "message": message}
    plugins.update(_transformers(policies, https=https))
    return plugins


def _transformers(policies: Policies, *, https: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if request := _transformer(headers=policies.request_headers, querystring=policies.request_query):
        yield "request-transformer", request
    headers = policies.response_headers or HeaderChanges()
    if policies.security_headers:
        secure = SECURITY_HEADERS | (_HTTPS_ONLY if https else {})
        headers = headers.model_copy(update={"add": secure | headers.add})
    if response := _transformer(headers=headers):
        yield "response-transformer", response
    if bodies := _body_changes(policies.request_body or Changes(), policies.response_body or Changes()):
        yield "post-function", bodies


def _rate_limiting(limit: RateLimit, counters: str | None) -> Mapping[str, Any]:
    by = {"limit_by": limit.by} | ({"header_name": limit.header} if limit.header else {})
    if counters is None:
        # Each pod counts by itself, which is the whole count as long as there is one.
        return {**limit.windows, **by, "policy": "local"}
    # Kong's default of two seconds would hold up every request while the node of the counters is away. Without them
    # requests pass: a limit is no access control, and worth less than the services behind it.
    redis = {"host": counters, "timeout": 500}
    return {**limit.windows, **by, "policy": "redis", "fault_tolerant": True, "redis": redis}


def _cors(cors: Cors) -> Mapping[str, Any]:
    config: dict[str, Any] = {"origins": cors.origins, "credentials": cors.credentials}
    optional = {"methods": cors.methods, "headers": cors.headers, "max_age": cors.max_age}
    return config | {name: value for name, value in optional.items() if value not in ([], None)}


def _transformer(**changes: Changes | None) -> Mapping[str, Any]:
    """Kong's lists of "name:value". Its `replace` changes only what is there, its `add` adds only what isn't."""
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


def _body_changes(request: Changes, response: Changes) -> Mapping[str, Any]:
    phases = {"access": request, "header_filter": response, "body_filter": response}
    empty = Changes()
    return {phase: [kong_lua.edit_json(phase, changes)] for phase, changes in phases.items() if changes != empty}


def _timeouts(timeouts: Timeouts) -> dict[str, str]:
    seconds = {"connect": timeouts.connect, "read": timeouts.read, "write": timeouts.write}
    return {f"{name}-timeout": str(round(value * 1000)) for name, value in seconds.items() if value is not None}


def _annotations(values: Mapping[str, str]) -> Mapping[str, str]:
    return {f"konghq.com/{name}": value for name, value in values.items()}
