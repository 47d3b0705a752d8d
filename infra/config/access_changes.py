"""Refuses an update that replaces one kind of access control of a route by another.

Kong's controller learns of routes and of plugins separately. If it learns of the changed route first, Kong serves the
route without the new plugin for some seconds. An update with both kinds in between keeps one of them in force. The
stack's output `access_control` records the kinds for the next `up`.
"""

from collections.abc import Iterator, Mapping, Sequence

from infra.config.errors import ConfigError
from infra.config.kong_plugins import route_rules
from infra.config.plugin_configs import Context
from infra.config.plugin_table import AUTH
from infra.config.policies import ACCESS_CONTROL_PLUGINS
from infra.config.settings import Settings

Kinds = Mapping[str, Sequence[str]]
"""Kinds of access control by workload, for the workloads that have any: `auth`, or the name of a plugin."""

_AUTH_PLUGINS = {row.plugin for row in AUTH}
"""One kind: a route with either has both plugins, so that it can change from one to the other (ADR 0008)."""
_KEYS = {"auth": "auth", "acl": "allow", "ip-restriction": "allowIps or denyIps"}
"""The typed keys of kinds. All other kinds are under `plugins`."""


def access_kinds(settings: Settings) -> dict[str, list[str]]:
    kinds = {}
    for workload in settings.workloads:
        plugins = route_rules(workload, settings.gateway, Context()).plugins
        names = {plugin.name for plugin in plugins if plugin.applies} & {*ACCESS_CONTROL_PLUGINS}
        if names:
            kinds[workload.name] = sorted({"auth" if name in _AUTH_PLUGINS else name for name in names})
    return kinds


def replaced_kinds(settings: Settings, previous: Kinds) -> Iterator[ConfigError]:
    """Yields an error for each workload all of whose kinds of access control are replaced.

    Args:
        settings: the stack's configuration.
        previous: the output `access_control` of the last `up` that updated every route.
    """
    current = access_kinds(settings)
    for path, workload in settings.workloads_by_path.items():
        before, after = previous.get(workload.name, ()), current.get(workload.name, ())
        if before and after and not {*before} & {*after}:
            old, new = (" and ".join(map(_key, kinds)) for kinds in (before, after))
            problem = f"{new} replaces {old}, and {workload.name} could answer without either during the update"
            fix = f"write {old} too, pulumi up; then remove {old}, pulumi up again"
            yield ConfigError(path, None, f"{old} and {new} together first", fix, problem)


def _key(kind: str) -> str:
    return _KEYS.get(kind, f"plugins.{kind}")
