"""The outputs of the stack: docs/reference/outputs.md describes each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

from infra.cluster.cluster import Cluster
from infra.config import cost
from infra.config.access_changes import access_kinds
from infra.config.settings import Settings
from infra.gateway.certificate import Certificate
from infra.gateway.consumers import Consumer
from infra.gateway.gateway import Gateway
from infra.images.registry import Registry
from infra.monitoring.monitoring import Monitoring
from infra.services.service import Service


def export(  # noqa: PLR0913 -- everything that has outputs
    config: Settings,
    *,
    cluster: Cluster,
    registry: Registry,
    gateway: Gateway,
    certificate: Certificate | None,
    consumers: Sequence[Consumer],
    services: Sequence[Service],
    monitoring: Monitoring | None,
) -> None:
    outputs: dict[str, pulumi.Input[Any]] = {}
    outputs["proxy_ip"] = gateway.ip
    outputs["proxy_url"] = gateway.url
    if gateway.command:
        outputs["proxy_command"] = gateway.command
    if certificate and certificate.missing_record:
        outputs["dns_record"] = certificate.missing_record
    if consumers:
        # The next `up` reads them: infra/config/consumer_identity.py.
        outputs["consumers"] = pulumi.Output.secret({consumer.object_name: consumer.claims for consumer in consumers})
    if kinds := access_kinds(config):
        # The next `up` reads them: infra/config/access_changes.py. Known once each route has its policies.
        outputs["access_control"] = pulumi.Output.all(*(service.route.id for service in services)).apply(
            lambda _: kinds
        )
    for service in services:
        outputs[f"{service.name}_url"] = service.url
    outputs |= monitoring.commands if monitoring else {}
    outputs["cluster_id"] = cluster.id
    if cluster.vpc_id is not None:
        # The next `up` reads it: infra/lookups.py.
        outputs["vpc_id"] = cluster.vpc_id
    outputs["kubeconfig"] = cluster.kubeconfig
    outputs["registry"] = registry.endpoint
    for name, value in outputs.items():
        pulumi.export(name, value)
    parts: dict[str, pulumi.Input[str]] = {
        "requests": pulumi.Output.all(*(service.request for service in services)).apply("\n".join),
        "hints": "\n\n".join(_hints(config, gateway, monitoring)),
        "look": "\n".join(_look(config)),
        "cost": _cost(config),
        "destroy": "\n".join(_destroy(config)),
    }
    pulumi.export("readme", _readme(Path("Pulumi.README.md").read_text("utf-8"), outputs, parts))


def _hints(config: Settings, gateway: Gateway, monitoring: Monitoring | None) -> Iterator[str]:
    """Yields a paragraph for what the requests need and for the dashboards, if there are any."""
    if any(workload.auth for workload in config.workloads):
        yield "`$TOKEN` and `$KEY` are a consumer's token and API key: docs/how-to/authenticate-clients.md."
    if gateway.command:
        yield 'The gateway answers while this command runs: `eval "$(pulumi stack output proxy_command)"`'
    if monitoring:
        commands = "\n".join(f'eval "$(pulumi stack output {name})"' for name in monitoring.commands)
        yield f"Dashboards, as long as these commands run:\n\n```sh\n{commands}\n```"


def _look(config: Settings) -> Iterator[str]:
    """Yields the commands that look into the cluster; those of a DOKS cluster need DIGITALOCEAN_TOKEN."""
    yield "python -m ops status               # is each service ready, and if not, why"
    if config.kube_context:
        yield f"kubectl --context {config.kube_context} get all --all-namespaces"
    else:
        yield "pulumi stack output kubeconfig --show-secrets > kubeconfig.json"
        yield "kubectl --kubeconfig kubeconfig.json get all --all-namespaces"


def _cost(config: Settings) -> str:
    """Returns the price of the stack as configured, as a table."""
    if not config.creates_cluster:
        return "The stack creates nothing on DigitalOcean."
    try:
        items = cost.estimate(config)
    except cost.UnknownPriceError as error:
        return f"`python -m ops cost` shows the price, with the API's price of `{error.key}: {error.value}`."
    total = cost.total(items)
    rows = [
        "| | USD an hour | USD a month |",
        "|---|---|---|",
        *(f"| {item.what} | {item.an_hour} | {item.a_month} |" for item in [*items, total]),
    ]
    note = "Traffic and storage beyond tiers are not counted. `python -m ops bill` shows what is billed now."
    return "\n".join([*rows, "", note])


def _destroy(config: Settings) -> Iterator[str]:
    """Yields the commands that remove the stack."""
    if config.creates_cluster and config.is_protected(pulumi.get_stack()):
        yield "pulumi config set protect false && pulumi up"
    yield "pulumi destroy"
    if config.creates_cluster:
        yield "python -m ops bill --expect-zero --wait 600"


def _readme(
    text: str, outputs: Mapping[str, pulumi.Input[Any]], parts: Mapping[str, pulumi.Input[str]]
) -> pulumi.Output[str]:
    """Fills in `${outputs.NAME}`, as Pulumi Cloud does for its own page of the stack, and the parts `${NAME}`."""
    placeholder = r"\$\{(?:outputs\.)?(\w+)\}"
    known = {**outputs, **parts}
    values: pulumi.Output[dict[str, Any]] = pulumi.Output.all(
        **{name: known[name] for name in re.findall(placeholder, text)}
    )

    def fill(filled: dict[str, Any]) -> str:
        # A part may be empty.
        return re.sub(r"\n{3,}", "\n\n", re.sub(placeholder, lambda match: str(filled[match[1]]), text))

    return values.apply(fill)
