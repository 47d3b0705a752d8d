"""Checks of the cluster's private network."""

from collections.abc import Collection, Iterator

from infra.config.cluster import Vpc
from infra.config.cluster_changes import LiveCluster
from ops.account import documents
from ops.preflight.check import Check


def check(vpc: Vpc, region: str, existing: Collection[documents.Vpc], owned: Collection[str]) -> Check:
    """Checks the VPC of a new cluster; the stack may have made it in an `up` that failed."""
    here = {network.id: network for network in existing if network.region == region}
    if vpc.id:
        if vpc.id in here:
            return Check("vpc", True, f"{here[vpc.id].name} is there")
        fix = f"pulumi config set --path vpc.id {next(iter(here))}" if here else "write vpc: {name: ...}"
        return Check("vpc", False, f'no VPC "{vpc.id}" in {region}', fix)
    if any(network.id in owned for network in here.values()):
        return Check("vpc", True, "exists and belongs to this stack")
    if any(network.name == vpc.name for network in existing):
        return Check("vpc", False, f'a VPC "{vpc.name}" exists already', "write vpc: {id: ...}, or another name")
    if not any(network.default for network in here.values()):
        detail = f"the first VPC in {region} becomes its default one, which DigitalOcean never deletes, nor can destroy"
        return Check("vpc", False, detail, "create one in the control panel, and write vpc: {id: ...}")
    return Check("vpc", True, f"{vpc.name} is free")


def check_name(cluster: LiveCluster, vpc: Vpc | None, taken: Collection[str]) -> Iterator[Check]:
    """Checks a new name for the VPC that the stack created."""
    if not (cluster.owns_vpc and cluster.vpc_name and vpc and vpc.name) or vpc.name == cluster.vpc_name:
        return
    if vpc.name in taken:
        fix = f"pulumi config set --path vpc.name {cluster.vpc_name}, or another name"
        yield Check("vpc.name", False, f'a VPC "{vpc.name}" exists already', fix)
    else:
        yield Check("vpc.name", True, f"{cluster.vpc_name} becomes {vpc.name}")
