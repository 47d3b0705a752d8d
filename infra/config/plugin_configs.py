"""The configuration of each of Kong's plugins that a typed key makes. plugin_table.py has the table of them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.config import kong_lua
from infra.config.gateway import GatewayPolicies
from infra.config.policies import Policies, RoutePolicies
from infra.config.transformations import Changes, HeaderChanges

PluginConfig = Mapping[str, Any]
"""A plugin's configuration; omitted fields have Kong's defaults."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers for APIs, which serve no pages (OWASP REST security cheat sheet). A service's own headers win."""
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=63072000"}
"""Two years (OWASP). Browsers heed it where they trust the certificate, so not with one from staging."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Facts about the stack on which the configuration of plugins depends.

    Attributes:
        rate_limit_store: host of the store that Kong's replicas share; None: each replica counts on its own.
        https: whether routes answer over HTTPS only.
    """

    rate_limit_store: str | None = None
    https: bool = False


def rate_limiting(policies: Policies, context: Context) -> PluginConfig:
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


def ip_restriction(policies: Policies, _context: Context) -> PluginConfig:
    lists = {"allow": policies.allow_ips, "deny": policies.deny_ips}
    return {name: [str(network) for network in networks] for name, networks in lists.items() if networks}


def request_size_limiting(policies: Policies, _context: Context) -> PluginConfig:
    return {"allowed_payload_size": policies.body_limit, "size_unit": "megabytes"}


def cors(policies: Policies, _context: Context) -> PluginConfig:
    cors = policies.cors
    if cors is None:
        return {}
    optional = {"methods": cors.methods, "headers": cors.headers, "max_age": cors.max_age}
    given = {name: value for name, value in optional.items() if value not in ([], None)}
    return {"origins": cors.origins, "credentials": cors.credentials, **given}


def request_termination(policies: Policies, _context: Context) -> PluginConfig:
    termination = policies.terminate
    return {"status_code": termination.status, "message": termination.message} if termination else {}


def bot_detection(policies: Policies, _context: Context) -> PluginConfig:
    bots = policies.bot_detection
    agents = {"allow": bots.allow, "deny": bots.deny} if bots else {}
    return {name: [re.escape(part) for part in parts] for name, parts in agents.items() if parts}


def request_transformer(policies: Policies, _context: Context) -> PluginConfig:
    return _transformer(_literal, headers=policies.request_headers, querystring=policies.request_query)


def response_transformer(policies: Policies, context: Context) -> PluginConfig:
    headers = policies.response_headers or HeaderChanges()
    if policies.security_headers:
        secure = SECURITY_HEADERS | (_HTTPS_ONLY if context.https else {})
        headers = headers.model_copy(update={"add": secure | headers.add})
    return _transformer(str, headers=headers)


def body_changes(policies: Policies, _context: Context) -> PluginConfig:
    request, response = policies.request_body or Changes(), policies.response_body or Changes()
    phases = {"access": request, "header_filter": response, "body_filter": response}
    return {phase: [kong_lua.edit_json(phase, changes)] for phase, changes in phases.items() if changes != Changes()}


def _literal(value: str) -> str:
    """Returns a template of request-transformer that renders this value: `$(...)` is a Lua expression there."""
    return value.replace("$(", '$("$")(')


def _transformer(written: Callable[[str], str], /, **changes: Changes | None) -> PluginConfig:
    """Returns Kong's lists of "name:value". Its `replace` changes only present fields, its `add` only absent ones."""
    config: dict[str, dict[str, list[str]]] = {}

    def put(operation: str, place: str, entries: list[str]) -> None:
        if entries:
            config.setdefault(operation, {}).setdefault(place, []).extend(entries)

    for place, change in changes.items():
        if change:
            put("remove", place, change.remove)
            put("rename", place, [f"{old}:{written(new)}" for old, new in change.rename.items()])
            put("replace", place, [f"{name}:{written(value)}" for name, value in change.assign.items()])
            put("add", place, [f"{name}:{written(value)}" for name, value in (change.assign | change.add).items()])
    return config


def jwt(_policies: RoutePolicies, _context: Context) -> PluginConfig:
    # Refuses a token that never expires, and one in a URL, which logs would keep.
    return {"claims_to_verify": ["exp"], "uri_param_names": []}


def key_auth(_policies: RoutePolicies, _context: Context) -> PluginConfig:
    # Keeps the key from the service and from logs.
    return {"key_names": ["apikey"], "key_in_query": False, "hide_credentials": True}


def acl(policies: RoutePolicies, _context: Context) -> PluginConfig:
    return {"allow": policies.allow, "hide_groups_header": True}


def prometheus(_policies: GatewayPolicies, _context: Context) -> PluginConfig:
    # Kong leaves all but a few metrics out by default.
    return {f"{kind}_metrics": True for kind in ("status_code", "latency", "bandwidth", "upstream_health")}


def correlation_id(_policies: GatewayPolicies, _context: Context) -> PluginConfig:
    return {"header_name": "X-Request-ID", "generator": "uuid", "echo_downstream": True}


def http_log(policies: GatewayPolicies, _context: Context) -> PluginConfig:
    return {"http_endpoint": policies.http_log.url} if policies.http_log else {}


def opentelemetry(policies: GatewayPolicies, _context: Context) -> PluginConfig:
    if policies.tracing is None:
        return {}
    return {
        "traces_endpoint": policies.tracing.url,
        "resource_attributes": {"service.name": "kong"},
        "sampling_rate": policies.tracing.sampling,
    }
