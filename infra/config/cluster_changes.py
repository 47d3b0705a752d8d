"""Changes of a cluster that exists: upgrades, and what would replace it. Pure: read by the program and by `ops`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from infra.config import versions
from infra.config.cluster import ClusterSettings
from infra.config.errors import ConfigError
from infra.config.node_pools import DEFAULT_POOL_TAG

GOING = ("deleting", "deleted")
"""The states of a cluster on its way out; DigitalOcean's description lists both."""


class LiveCluster(NamedTuple):
    """The stack's cluster as it is on DigitalOcean now."""

    name: str
    region: str
    version: str
    """Such as 1.35.7-do.0."""
    status: str
    node_size: str = ""
    """Size of the default pool; empty: the pool was deleted by hand."""
    vpc: str = ""
    """UUID."""
    vpc_name: str = ""
    """Empty: not read, since neither the configuration names a VPC nor the stack has made one; or not found."""
    vpc_range: str = ""
    """Its IP range, read with its name."""
    owns_vpc: bool = False
    """True if the stack made its VPC."""

    @property
    def minor(self) -> str:
        return minor_of(self.version)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "LiveCluster":
        """Reads a cluster of DigitalOcean's API, without its VPC's name and range."""
        sizes = [pool["size"] for pool in document["node_pools"] if DEFAULT_POOL_TAG in (pool.get("tags") or [])]
        return cls(
            name=document["name"],
            region=document["region"],
            version=document["version"],
            status=document["status"]["state"],
            node_size=sizes[0] if sizes else "",
            vpc=document.get("vpc_uuid") or "",
        )


def minor_of(version: str) -> str:
    """Returns the minor version of a version, as 1.35 of 1.35.7-do.0."""
    return ".".join(version.split(".")[:2])


def number_of(minor: str) -> int:
    """Returns the number by which minor versions are ordered."""
    return int(minor.split(".")[1])


def replacements(settings: ClusterSettings, cluster: LiveCluster) -> Iterator[ConfigError]:
    """Yields an error for each key whose change would replace the cluster."""
    advice = "or allowReplace true, which deletes the cluster with all that is in it"
    problem = f"would replace cluster {cluster.name}"
    if settings.region != cluster.region:
        fix = f"pulumi config set region {cluster.region}, {advice}"
        yield ConfigError("region", settings.region, cluster.region, fix, problem)
    if settings.vpc and settings.vpc.id and settings.vpc.id != cluster.vpc:
        fix = f"pulumi config set --path vpc.id {cluster.vpc}, {advice}"
        yield ConfigError("vpc.id", settings.vpc.id, cluster.vpc, fix, problem)
    if settings.vpc and settings.vpc.name and not cluster.owns_vpc:
        # Even by that network's own name the stack would create another one, which DigitalOcean refuses.
        fix = f"write vpc: {{id: {cluster.vpc}}}, or remove vpc, {advice}"
        yield ConfigError("vpc.name", settings.vpc.name, f"id: {cluster.vpc}", fix, problem)
    # The provider renames a VPC that the stack made in place, but can't change its addresses.
    elif (
        settings.vpc and settings.vpc.ip_range and str(settings.vpc.ip_range) != cluster.vpc_range and cluster.vpc_range
    ):
        fix = f"pulumi config set --path vpc.ipRange {cluster.vpc_range}, {advice}"
        yield ConfigError("vpc.ipRange", str(settings.vpc.ip_range), cluster.vpc_range, fix, problem)
    if cluster.node_size and settings.node_size != cluster.node_size:
        fix = f"python -m ops resize-pool, which moves the nodes to the new size, {advice}"
        yield ConfigError("nodeSize", settings.node_size, cluster.node_size, fix, problem)


def vpc_error(settings: ClusterSettings, cluster: LiveCluster) -> ConfigError | None:
    """Returns why the stack has to go on making its VPC: DigitalOcean deletes none that has members."""
    vpc = settings.vpc
    if not cluster.owns_vpc or (vpc and (vpc.name or vpc.id != cluster.vpc)):
        return None
    problem = f"would delete the VPC that cluster {cluster.name} is in"
    if not cluster.vpc_name:
        unseen = f"{problem} ({cluster.vpc}), and this token can't read its name"
        return ConfigError("vpc", None, "the vpc.name of the last `up`", "write it again", unseen)
    return ConfigError("vpc", None, f"name: {cluster.vpc_name}", f"write vpc: {{name: {cluster.vpc_name}}}", problem)


def upgrade_error(settings: ClusterSettings, cluster: LiveCluster, offered: Sequence[str]) -> ConfigError | None:
    """Returns why the cluster can't get the configured minor version.

    Args:
        settings: the cluster's keys.
        cluster: as it is now.
        offered: minor versions of new clusters.
    """
    if not settings.kubernetes_version:
        return None
    configured, step = settings.kubernetes_version, number_of(settings.kubernetes_version) - number_of(cluster.minor)
    key = "kubernetesVersion"
    following = f"1.{number_of(cluster.minor) + 1}"
    if step > 1:
        return ConfigError(
            key,
            configured,
            f"{cluster.minor} or {following}, one minor version at a time",
            f"pulumi config set {key} {following}, pulumi up, and the next when the cluster runs again",
            f"skips a minor version of cluster {cluster.name}, which runs {cluster.version}",
        )
    # DigitalOcean upgrades a cluster by itself when its version is no longer on offer.
    # A lower key is then no request for a downgrade.
    if step < 0 and configured in offered:
        return ConfigError(
            key,
            configured,
            f"{cluster.minor} or {following}; a cluster can't go back",
            f"pulumi config set {key} {cluster.minor}",
            f"is lower than the version of cluster {cluster.name}, which runs {cluster.version}",
        )
    return None


def is_upgrade(settings: ClusterSettings, cluster: LiveCluster) -> bool:
    """True if `up` has to upgrade the cluster. One that is being upgraded already still shows its old version."""
    if not settings.kubernetes_version:
        return False
    step = number_of(settings.kubernetes_version) - number_of(cluster.minor)
    return step == 1 and cluster.status != "upgrading"


def upgrade_to(settings: ClusterSettings, cluster: LiveCluster, available: Sequence[str]) -> str | None:
    """Returns the version that `up` upgrades the cluster to; None: DigitalOcean offers none on the way.

    DigitalOcean allows the next minor version on the newest patch of the present one only, so such a patch comes first.

    Args:
        settings: the cluster's keys.
        cluster: as it is now.
        available: versions that DigitalOcean can upgrade it to.
    """
    newer = [version for version in available if _order(version) > _order(cluster.version)]
    of_minors = {minor_of(version): version for version in sorted(newer, key=_order)}
    return of_minors.get(cluster.minor) or of_minors.get(settings.kubernetes_version)


def _order(version: str) -> list[int]:
    """Returns the sort key of a version such as 1.35.7-do.0."""
    return [int(number) for number in re.findall(r"[0-9]+", version)]


def unsupported(minor: str) -> str:
    """Returns what a minor version of Kubernetes may break of the stack; empty: nothing that is known.

    The stack's own objects use stable versions of APIs only, which no minor version removes.
    """
    if number_of(minor) > number_of(versions.KUBERNETES):
        return (
            f"Kong's controller {versions.KONG_CONTROLLER} is tested up to Kubernetes {versions.KUBERNETES} "
            "(its version compatibility)"
        )
    return ""
