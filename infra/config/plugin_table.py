"""The table of policies: which keys of the stack file make which plugin of Kong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.config import plugin_configs
from infra.config.plugin_configs import Context, PluginConfig
from infra.config.policies import Policies


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A row of the table: fields of the configuration that make one plugin.

    Attributes:
        fields: of the model; one that is set makes the plugin.
        config: returns the plugin's configuration, from the policies and the context.
        inert: a configuration with which the plugin does nothing. A route that switches the policy off gets it, so that
            Kong doesn't run the gateway's plugin there. None: a route can't switch the gateway's policy off.
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


ROUTE = (
    Policy(
        plugin="rate-limiting",
        fields=("rate_limit",),
        config=plugin_configs.rate_limiting,
        secret_paths=("/redis/password",),
    ),
    Policy(
        plugin="ip-restriction", fields=("allow_ips", "deny_ips"), config=plugin_configs.ip_restriction, inherits=True
    ),
    Policy(plugin="request-size-limiting", fields=("body_limit",), config=plugin_configs.request_size_limiting),
    Policy(plugin="bot-detection", fields=("bot_detection",), config=plugin_configs.bot_detection),
    Policy(plugin="cors", fields=("cors",), config=plugin_configs.cors),
    Policy(plugin="request-termination", fields=("terminate",), config=plugin_configs.request_termination),
    Policy(
        plugin="request-transformer",
        fields=("request_headers", "request_query"),
        config=plugin_configs.request_transformer,
        inert={},
        inherits=True,
    ),
    Policy(
        plugin="response-transformer",
        fields=("response_headers", "security_headers"),
        config=plugin_configs.response_transformer,
        inert={},
        inherits=True,
    ),
    Policy(
        # Kong's transformers would change numbers of more than 14 digits, and fail on JSON that is no object.
        plugin="post-function",
        fields=("request_body", "response_body"),
        config=plugin_configs.body_changes,
        inert={"access": ["return"]},
        inherits=True,
    ),
    Policy(plugin="acl", fields=("allow",), config=plugin_configs.acl),
)
"""Policies of a route. Where `Policies` has the fields, the gateway may have them as well."""
AUTH = (
    Policy(plugin="jwt", fields=("auth",), config=plugin_configs.jwt),
    Policy(plugin="key-auth", fields=("auth",), config=plugin_configs.key_auth),
)
"""Both exist on every route with `auth`, which names one of them: see `route_rules`."""
GATEWAY_ONLY = (
    Policy(plugin="correlation-id", fields=("request_id",), config=plugin_configs.correlation_id),
    Policy(plugin="file-log", fields=("access_log",), config=lambda *_: {"path": "/dev/stdout"}),
    Policy(plugin="http-log", fields=("http_log",), config=plugin_configs.http_log),
    Policy(plugin="prometheus", fields=("metrics", "monitoring"), config=plugin_configs.prometheus),
    Policy(plugin="opentelemetry", fields=("tracing",), config=plugin_configs.opentelemetry),
)
TABLE = (*ROUTE, *AUTH, *GATEWAY_ONLY)
