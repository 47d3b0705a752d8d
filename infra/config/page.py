"""The page of the gateway: services, routes, policies and versions, with the health of each."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args, get_origin

from pydantic import Field

from infra.config import versions
from infra.config.bundled_app import AnyWorkload, BundledApp
from infra.config.network import ServiceEgress
from infra.config.policies import Policies, RoutePolicies
from infra.config.service_version import ResolvedVersion
from infra.config.types import Model, ServiceName, UrlPath


class Page(BundledApp):
    """A page about the gateway, which is a route like that of a service."""

    build: ClassVar[str] = "apps/page"
    fixed: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("protocol", "rewrite", "strip_path"), "on the page, which is one HTML document"),
        "tracing": "on the page, which reports no spans",
        "egress": "on the page, which connects to the stack's services only",
    }
    is_exact: ClassVar[bool] = True

    name: ServiceName = "page"
    path: UrlPath = "/"
    tracing: bool = Field(False, description="false", examples=[False])
    egress: ServiceEgress = Field(ServiceEgress(internet=False), description="unset", examples=[{}])

    def calls(self, names: Collection[str]) -> Collection[str]:
        """Returns all workloads but the page, which checks their health."""
        return {*names} - {self.name}

    def environment(
        self, _version: ResolvedVersion, workloads: Sequence[AnyWorkload], gateway: Policies
    ) -> Mapping[str, str]:
        content = {
            "path": self.path,
            "versions": {
                "kong-doks": versions.project_version(),
                "Kong": versions.KONG,
                "Kong Ingress Controller": versions.KONG_CONTROLLER,
            },
            "policies": list(policy_texts(gateway, set(type(gateway).model_fields) - {"page", "egress"})),
            "services": [_described(workload) for workload in workloads if workload.name != self.name],
        }
        return {"PAGE": json.dumps(content)}


def _described(workload: AnyWorkload) -> Mapping[str, Any]:
    return {
        "name": workload.name,
        "path": workload.path,
        "policies": list(policy_texts(workload, RoutePolicies.model_fields)),
        "versions": [
            {
                "name": name,
                "weight": workload.traffic_weights.get(name, 0),
                "host": f"{name}-service",
                "port": workload.port,
                "probe": workload.probe_path(version),
            }
            for name, version in workload.versions.items()
        ],
    }


def policy_texts(policies: Policies, fields: Collection[str]) -> Iterator[str]:
    """Yields the policies that are set, such as "rateLimit: minute 60"; of `fields` only.

    A value may be a secret (a header, a URL with a password). So a text is left out unless it is one of the field's
    allowed words, such as `jwt`. Of a list or an object, the text says how many entries it has.
    """
    yield from _shown(policies, fields, ": ")


def _shown(model: Model, fields: Iterable[str], separator: str) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if name in fields and value != field.get_default():
            shown = _value_text(value, field.annotation)
            yield f"{field.alias}{separator}{shown}" if shown else str(field.alias)


def _value_text(value: Any, annotation: Any) -> str:  # noqa: ANN401 -- any field's
    if isinstance(value, Model):
        return ", ".join(_shown(value, type(value).model_fields, " "))
    if isinstance(value, list | dict):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    if isinstance(value, bool):
        return "" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.15g}"
    return value if value in _words(annotation) else ""


def _words(annotation: Any) -> set[Any]:  # noqa: ANN401 -- a type
    """The values of the `Literal`s in a type."""
    arguments = get_args(annotation)
    return {*arguments} if get_origin(annotation) is Literal else set().union(*map(_words, arguments))
