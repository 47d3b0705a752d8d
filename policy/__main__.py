"""Starts the policy pack. Pulumi runs this file: `pulumi preview --policy-pack policy`."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Pulumi runs the pack in its own folder; `policy` is a package of the project's.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from infra.config import prices
from policy import rules, state

_ALLOW = {"allow": {"type": "boolean", "default": False}}
_STRINGS = {"type": "string"}

_declared: dict[str, rules.Resource] = {}
"""Inputs of the resources that the program has registered so far, by URN.

What the engine shows of the whole stack lacks them: before the cluster exists, its objects have no properties.
"""


def _plain(value: Any) -> Any:  # noqa: ANN401 -- a property of any type
    """Copies properties; an unknown value, at which the SDK's own proxies raise, becomes UNKNOWN."""
    if isinstance(value, Mapping):
        return {key: _read(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_read(value, index) for index in range(len(value))]
    return value


def _read(container: Any, key: str | int) -> Any:  # noqa: ANN401 -- a property of any type
    try:
        return _plain(container[key])
    except UnknownValueError:
        return rules.Unknown.UNKNOWN


class NoInputsError(Exception):
    """Resource rules are disabled: they only collect the properties for the stack rules."""


def _with_clusters(cluster: rules.Resource, config: rules.Config) -> Iterator[str]:
    if cluster.type == rules.CLUSTER:
        yield from rules.cluster_replacement(cluster, config, state.clusters(state.stack_name(cluster.urn, os.environ)))


def _each_resource(
    name: str,
    description: str,
    rule: Callable[[rules.Resource, rules.Config], Iterator[str]],
    level: EnforcementLevel,
    properties: Mapping[str, Mapping[str, Any]],
) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = rules.Resource(args.resource_type, args.urn, _plain(args.props))
        _declared[args.urn] = resource
        for violation in rule(resource, args.get_config()):
            report(violation, None)

    return ResourceValidationPolicy(name, description, validate, level, PolicyConfigSchema(dict(properties)))


def _whole_stack(
    name: str,
    description: str,
    rule: Callable[[Iterable[rules.Resource], rules.Config], Iterator[str]],
    level: EnforcementLevel,
    properties: Mapping[str, Mapping[str, Any]],
) -> StackValidationPolicy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        if not _declared and args.resources:
            raise NoInputsError("the rule needs the inputs of the resources; fix: enable a rule for each resource")
        for violation in rule(_declared.values(), args.get_config()):
            report(violation, None)

    return StackValidationPolicy(name, description, validate, level, PolicyConfigSchema(dict(properties)))


PolicyPack(
    "kong-doks",
    [
        _each_resource(
            "accidental-high-availability",
            "A highly available control plane is a decision: "
            f"it costs ${prices.HIGH_AVAILABILITY:.0f} a month and can't be switched off.",
            rules.accidental_high_availability,
            EnforcementLevel.MANDATORY,
            _ALLOW,
        ),
        _each_resource(
            "cluster-replacement",
            "No update deletes the cluster in order to create another.",
            _with_clusters,
            EnforcementLevel.MANDATORY,
            _ALLOW,
        ),
        _each_resource(
            "image-without-digest",
            "Containers run images by their digest: name@sha256:...",
            rules.image_without_digest,
            EnforcementLevel.ADVISORY,
            {},
        ),
        _each_resource(
            "container-without-limits",
            "A container has limits, so that it can't take its node from the others.",
            rules.container_without_limits,
            EnforcementLevel.ADVISORY,
            {"resources": {"type": "array", "items": _STRINGS, "default": ["cpu", "memory"]}},
        ),
        _each_resource(
            "public-admin-port",
            "Kong's admin API can't be reached from outside of the cluster.",
            rules.public_admin_port,
            EnforcementLevel.MANDATORY,
            {"ports": {"type": "array", "items": {"type": "integer"}, "default": []}},
        ),
        _each_resource(
            "region-not-allowed",
            "Resources of DigitalOcean are in allowed regions.",
            rules.region_not_allowed,
            EnforcementLevel.MANDATORY,
            {"regions": {"type": "array", "items": _STRINGS, "minItems": 1, "default": list(rules.REGIONS)}},
        ),
        _whole_stack(
            "over-budget",
            "The stack costs at most the budget, in dollars an hour.",
            rules.over_budget,
            EnforcementLevel.MANDATORY,
            {
                "maximum": {"type": "number", "minimum": 0, "default": 0.25},
                "prices": {"type": "object", "additionalProperties": {"type": "number"}, "default": {}},
            },
        ),
    ],
)
