"""Read-only look-ups before the first resource: their answer may end the program with one line."""

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import pulumi
import pulumi_digitalocean as digitalocean
import yaml
from pulumi.runtime.sync_await import _sync_await  # as the SDKs' own look-ups wait

from infra.config import access_changes, cluster_changes, versions
from infra.config.cluster import ClusterSettings
from infra.config.cluster_changes import LiveCluster
from infra.config.consumer import Consumer
from infra.config.consumer_identity import Entry, arrange
from infra.config.errors import InvalidConfigError, error_line
from infra.config.settings import Settings
from infra.config.tls import Tls
from infra.kubernetes.chart_archive import chart_archive, download
from infra.live_cluster import available_upgrades, check_access, cluster_named, live_cluster, with_vpc
from infra.loader import Account, config_key, exit_with_error
from infra.own_state import own_ids

Answer = TypeVar("Answer")
Definition = Mapping[str, Any]
"""A custom resource definition (CRD)."""
_UNUSABLE = (OSError, yaml.YAMLError, tarfile.TarError, EOFError, LookupError, TypeError, ValueError)


class ClusterPlan(NamedTuple):
    """The version of a cluster, and its inputs that Pulumi leaves as they are."""

    version: str
    ignored: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """Answers of the account, of chart repositories and of releases, and what the previous outputs decide.

    Attributes:
        cluster: version of the cluster, and which of its inputs stay as they are; None: the stack creates none.
        registry: the account's existing registry that the stack uses, if the configuration names one.
        dns_zone: the account's zone that the domain belongs to; None: there is no domain, or its DNS is elsewhere.
        consumers_in_update_order: the consumers' objects in the order of their updates. The previous outputs say which
            consumer has which object.
        kong_crds: definitions of the chart of Kong.
        gateway_api_crds: definitions of the Gateway API; empty if no route needs them, or the cluster has them.
    """

    cluster: ClusterPlan | None
    registry: digitalocean.ContainerRegistry | None
    dns_zone: str | None
    consumers_in_update_order: Sequence[Entry]
    kong_crds: list[Definition]
    gateway_api_crds: list[Definition]


def look_up(config: Settings, account: Account) -> Lookups:
    kong_crds = crds_from_chart(config.chart_repository, "kong", versions.KONG_CHART, config.kong_chart_sha256)
    gateway_api_crds = []
    if config.has_weighted_routes and config.gateway_api_releases:
        gateway_api_crds = crds_from_gateway_api_release(config.gateway_api_releases, versions.GATEWAY_API)
    check_access_control(config)
    return Lookups(
        cluster=plan_cluster(config, account) if config.creates_cluster else None,
        registry=existing_registry(config.registry.name or "") if config.registry.existing else None,
        dns_zone=dns_zone(config.tls) if config.tls and config.creates_cluster else None,
        consumers_in_update_order=consumers_in_update_order(config.consumers) if config.consumers else [],
        kong_crds=kong_crds,
        gateway_api_crds=gateway_api_crds,
    )


def invoke_or_exit(call: Callable[[], Answer]) -> Answer:
    """Returns the answer of a call to DigitalOcean's API; a failure ends the program with one line."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 -- Pulumi raises no narrower one
        # The message begins with Pulumi's own call; the API's answer comes last.
        reason = " ".join(str(error).rpartition("returned an error: ")[2].split())
        exit_with_error(
            f"DigitalOcean API call failed: {reason}; allowed: a valid token with permission to read; "
            "fix: export DIGITALOCEAN_TOKEN=dop_v1_..."
        )


def plan_cluster(config: ClusterSettings, account: Account) -> ClusterPlan:
    """Returns how the cluster is created, upgraded or left. What it can't become ends the program with one line."""
    check_access(account)  # the provider would repeat the token in its error
    own = _own_cluster(config, account)
    if own is None:
        # A lower version would replace the cluster, so `version` is ignored. A cluster that is in the state although no
        # look-up found it (renamed before the first complete `up`) keeps its region, size and VPC.
        return ClusterPlan(newest_patch(config.first_version), ["version", *([] if config.allow_replace else _KEPT)])
    identifier, cluster = own
    if cluster.owns_vpc or (config.vpc and config.vpc.name):
        cluster = with_vpc(account, cluster)
    if error := cluster_changes.vpc_error(config, cluster):
        exit_with_error(config_key(error_line(error, hidden=False)))
    replacements = list(cluster_changes.replacements(config, cluster))
    if replacements and config.allow_replace:
        return ClusterPlan(newest_patch(config.first_version), [])
    errors = replacements
    offered: list[str] = []
    if config.kubernetes_version not in ("", cluster.minor):
        offered = [cluster_changes.minor_of(version) for version in _offered()]
        if error := cluster_changes.upgrade_error(config, cluster, offered):
            errors.append(error)
        elif not cluster_changes.is_upgrade(config, cluster):
            _warn_of_version(cluster)
    if errors:
        exit_with_error(*(config_key(error_line(error, hidden=False)) for error in errors))
    if cluster_changes.is_upgrade(config, cluster):
        return ClusterPlan(_upgrade(config, cluster, available_upgrades(account, identifier), offered), _KEPT)
    return ClusterPlan(cluster.version, ["version", *_KEPT])


_KEPT = ["region", "nodePool.size", "vpcUuid"]
"""Inputs that stay, even if the state is older than the cluster, as after a resize whose refresh was interrupted."""


def _own_cluster(config: ClusterSettings, account: Account) -> tuple[str, LiveCluster] | None:
    """Returns the stack's cluster with its id; None: the stack has none yet. Somebody else's ends the program.

    The last complete `up` exported its id. Without one, or if that cluster is gone, an `up` that failed may have left
    one of the configured name.
    """
    vpc = previous_output("vpc_id")
    identifier = previous_output("cluster_id")
    cluster = live_cluster(account, identifier) if identifier else None
    if cluster and cluster.status in cluster_changes.GOING:
        own = own_ids(digitalocean.KubernetesCluster)
        if own and identifier in own[0]:
            exit_with_error(
                f"{config_key('clusterName')}: cluster {cluster.name} ({identifier}) is being deleted; allowed: a "
                f"cluster that runs; fix: wait until it is gone, then python -m ops forget cluster {identifier}"
            )
        cluster = None  # the one that it was replaced with may be there
    if (
        cluster is None
        and (identifier := cluster_named(account, config.cluster_name))
        and (own := own_ids(digitalocean.KubernetesCluster, digitalocean.Vpc))
    ):
        clusters, vpcs = own
        if identifier not in clusters:
            name = json.dumps(config.cluster_name)
            exit_with_error(
                f"{config_key('clusterName')}: a cluster {name} exists already ({identifier}), and the state of this "
                "stack doesn't have it; allowed: a name that is free in the account; "
                "fix: pulumi config set clusterName with another name, or python -m ops doctor"
            )
        vpc = next(iter(vpcs), None)
        cluster = live_cluster(account, identifier)
    if cluster is None:
        return None
    return identifier, cluster._replace(owns_vpc=cluster.vpc != "" and cluster.vpc == vpc)


def _warn_of_version(cluster: LiveCluster) -> None:
    key = config_key("kubernetesVersion")
    if cluster.status == "upgrading":
        pulumi.log.info(f"{key}: cluster {cluster.name} is being upgraded and still shows {cluster.version}")
    else:
        pulumi.log.warn(
            f"{key}: DigitalOcean has upgraded cluster {cluster.name} to {cluster.version}; "
            f"fix: pulumi config set kubernetesVersion {cluster.minor}"
        )


def _upgrade(config: ClusterSettings, cluster: LiveCluster, available: Sequence[str], offered: Sequence[str]) -> str:
    """Returns the newest patch that DigitalOcean can upgrade the cluster to: of its own minor version first."""
    configured = config.kubernetes_version
    minors = list(dict.fromkeys(map(cluster_changes.minor_of, available)))
    newest = cluster_changes.upgrade_to(config, cluster, available) if configured in (*offered, *minors) else None
    if newest is None:
        exit_with_error(
            f'{config_key("kubernetesVersion")}: "{configured}" is not on offer for cluster {cluster.name}, which runs '
            f"{cluster.version}; allowed: {', '.join(dict.fromkeys([cluster.minor, *minors]))}; "
            f"fix: pulumi config set kubernetesVersion {cluster.minor}"
        )
    if cluster_changes.minor_of(newest) == cluster.minor:
        pulumi.log.warn(
            f"{config_key('kubernetesVersion')}: cluster {cluster.name} is upgraded to {newest} first, the newest "
            f'patch of {cluster.minor}; fix: pulumi up again for "{configured}", when the cluster runs again'
        )
    return newest


def _offered() -> list[str]:
    """Returns the versions that new clusters may have."""
    return list(invoke_or_exit(digitalocean.get_kubernetes_versions).valid_versions)


def newest_patch(minor: str) -> str:
    """Returns the newest patch of a minor version, such as 1.35.7-do.0; one that isn't offered ends the program."""
    newest = invoke_or_exit(lambda: digitalocean.get_kubernetes_versions(version_prefix=f"{minor}.")).latest_version
    if not newest:
        minors = list(dict.fromkeys(map(cluster_changes.minor_of, _offered())))
        supported = [version for version in minors if not cluster_changes.unsupported(version)]
        exit_with_error(
            f'{config_key("kubernetesVersion")}: "{minor}" is not on offer; allowed: {", ".join(minors)}; '
            f"fix: pulumi config set kubernetesVersion {(supported or minors)[0]}"
        )
    return newest


def existing_registry(name: str) -> digitalocean.ContainerRegistry:
    """Returns the account's registry of that name, once it is read; if there is none, the engine ends the program.

    It is read by its id: the provider's look-up function answers nothing (its issue 1535). The engine's error names the
    resource, which is called as the key is: `registry.name`, "resource 'NAME' does not exist".
    """
    registry = digitalocean.ContainerRegistry.get("registry.name", name)
    _sync_await(registry.endpoint.future())
    return registry


def dns_zone(tls: Tls) -> str | None:
    """Returns the account's zone that the domain belongs to, the longest of several; None: its DNS is elsewhere."""
    zones = [zone.name for zone in invoke_or_exit(digitalocean.get_domains).domains]
    return max(filter(tls.is_in_zone, zones), key=len, default=None)


def previous_output(name: str) -> Any:  # noqa: ANN401 -- whatever an earlier `up` exported
    """Returns an output of this stack from an earlier `up`; None where there is none.

    An `up` that failed may have left its outputs too: Pulumi stores them once all of them are known.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value
    return answer["outputs"].get(name)


def check_access_control(config: Settings) -> None:
    """Ends the program with a line for each route whose access control this update would replace."""
    if not access_changes.access_kinds(config):
        return
    previous = previous_output("access_control") or {}
    if errors := list(access_changes.replaced_kinds(config, previous)):
        exit_with_error(*(config_key(error_line(error, hidden=False)) for error in errors))


def consumers_in_update_order(consumers: Sequence[Consumer]) -> list[Entry]:
    """Returns the consumers' objects; an exchange among consumers ends the program with one line."""
    try:
        return arrange(consumers, previous_output("consumers") or {})
    except InvalidConfigError as error:
        exit_with_error(*map(config_key, error.lines))


def crds_from_chart(repository: str, chart: str, version: str, digest: str | None) -> list[Definition]:
    """Returns the definitions in the folder `crds` of a chart in a Helm repository."""
    with _exit_if_unusable("chartRepository", repository, f"a repository with the chart {chart} {version}"):
        content = chart_archive(repository, chart, version, digest)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = [archive.extractfile(name) for name in archive.getnames() if name.startswith(f"{chart}/crds/")]
            return [definition for file in files if file for definition in _definitions(file.read())]


def crds_from_gateway_api_release(releases: str, version: str) -> list[Definition]:
    """Returns the definitions in the standard channel of a release of the Kubernetes Gateway API."""
    with _exit_if_unusable("gatewayApiReleases", releases, f"releases of the Gateway API, with {version}"):
        return list(_definitions(download(f"{releases.rstrip('/')}/v{version}/standard-install.yaml")))


@contextmanager
def _exit_if_unusable(key: str, value: str, allowed: str) -> Iterator[None]:
    """Ends the program with one line if a chart repository's or release's content can't be used."""
    try:
        yield
    except _UNUSABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        fix = "try again, or name a mirror that this machine reaches"
        line = f"{json.dumps(value)} can't be used ({reason}); allowed: {allowed}; fix: {fix}"
    except StopIteration:
        line = (
            f"{json.dumps(value)} doesn't have it; allowed: {allowed}; fix: remove {key}, or name a mirror that has it"
        )
    else:
        return
    exit_with_error(f"{config_key(key)}: {line}")


def _definitions(manifest: bytes) -> Iterator[Definition]:
    documents: Iterable[Definition | None] = yaml.load_all(manifest, Loader=yaml.CSafeLoader)
    return (
        _without_descriptions(document)
        for document in documents
        if document and document["kind"] == "CustomResourceDefinition"
    )


def _without_descriptions(part: Any) -> Any:  # noqa: ANN401 -- JSON
    """Drops the descriptions of fields: half of the definitions, which are in the state three times.

    A field that is called `description` is a mapping, and stays.
    """
    if isinstance(part, dict):
        return {
            key: value if key in ("default", "enum", "example") else _without_descriptions(value)
            for key, value in part.items()
            if not (key == "description" and isinstance(value, str))
        }
    return [_without_descriptions(item) for item in part] if isinstance(part, list) else part
