"""The table of policies: which keys of the stack file make which plugin of Kong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.config import plugin_configs
from infra.config.plugin_configs import Context, PluginConfig
from infra.config.policies import Policies


@dataclass(frozen=True, kw_only=True)
class PluginRow:
    """A row of the table: one plugin of Kong, and the policies that create it.

    Attributes:
        fields: names in the policy model; any that is set creates the plugin.
        config: returns the plugin's configuration, from the policies and the context.
        inert: a configuration with which the plugin does nothing. A route that switches the policy off gets it, so that
            Kong doesn't run the gateway's plugin there. None: a route can't switch the gateway's policy off.
        inherits: True: the route's plugin also gets the gateway's values of its unset fields, since Kong runs only the
            route's instance.
        store_password_paths: JSON pointers into the configuration, where the controller inserts the password of the
            rate-limit store, if there is a store.
    """

    plugin: str
    fields: tuple[str, ...]
    config: Callable[[Any, Context], PluginConfig]
    inert: PluginConfig | None = None
    inherits: bool = False
    store_password_paths: tuple[str, ...] = ()

    def is_set(self, policies: Policies) -> bool:
        return any(getattr(policies, field, None) for field in self.fields)

    def is_mentioned(self, policies: Policies) -> bool:
        """True if the stack file sets one of the fields, even to false."""
        return bool(policies.model_fields_set & {*self.fields})


ROUTE = (
    PluginRow(
        plugin="rate-limiting",
        fields=("rate_limit",),
        config=plugin_configs.rate_limiting,
        store_password_paths=("/redis/password",),
    ),
    PluginRow(
        plugin="ip-restriction", fields=("allow_ips", "deny_ips"), config=plugin_configs.ip_restriction, inherits=True
    ),
    PluginRow(plugin="request-size-limiting", fields=("body_limit",), config=plugin_configs.request_size_limiting),
    PluginRow(plugin="bot-detection", fields=("bot_detection",), config=plugin_configs.bot_detection),
    PluginRow(plugin="cors", fields=("cors",), config=plugin_configs.cors),
    PluginRow(plugin="request-termination", fields=("terminate",), config=plugin_configs.request_termination),
    PluginRow(
        plugin="request-transformer",
        fields=("request_headers", "request_query"),
        config=plugin_configs.request_transformer,
        inert={},
        inherits=True,
    ),
    PluginRow(
        plugin="response-transformer",
        fields=("response_headers", "security_headers"),
        config=plugin_configs.response_transformer,
        inert={},
        inherits=True,
    ),
    PluginRow(
        # Kong's transformers would change numbers of more than 14 digits, and fail on JSON that is no object.
        plugin="post-function",
        fields=("request_body", "response_body"),
        config=plugin_configs.body_changes,
        inert={"access": ["return"]},
        inherits=True,
    ),
    PluginRow(plugin="acl", fields=("allow",), config=plugin_configs.acl),
)
"""Policies of a route. Where `Policies` has the fields, the gateway may have them as well."""
AUTH = (
    PluginRow(plugin="jwt", fields=("auth",), config=plugin_configs.jwt),
    PluginRow(plugin="key-auth", fields=("auth",), config=plugin_configs.key_auth),
)
"""A route with `auth` has both KongPlugins; its annotation names one (ADR 0008)."""
GATEWAY_ONLY = (
    PluginRow(plugin="correlation-id", fields=("request_id",), config=plugin_configs.correlation_id),
    PluginRow(plugin="file-log", fields=("access_log",), config=lambda *_: {"path": "/dev/stdout"}),
    PluginRow(plugin="http-log", fields=("http_log",), config=plugin_configs.http_log),
    PluginRow(plugin="prometheus", fields=("metrics", "monitoring"), config=plugin_configs.prometheus),
    PluginRow(plugin="opentelemetry", fields=("tracing",), config=plugin_configs.opentelemetry),
)
TABLE = (*ROUTE, *AUTH, *GATEWAY_ONLY)
