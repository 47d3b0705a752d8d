"""Clusters (DOKS), and the functions that look for clusters and versions."""
# ruff: noqa: ARG002 -- the methods' parameters are Resource's

import re
from datetime import UTC, datetime
from itertools import zip_longest
from typing import ClassVar
from uuid import uuid4

import yaml

from sandbox.digitalocean.provider.client import Client, ProviderError, failing
from sandbox.digitalocean.provider.node_pool import (
    DEFAULT_POOL_TAG,
    POOL,
    create_body,
    go_time,
    own_tags,
    state_of,
    update_pool,
)
from sandbox.digitalocean.provider.properties import Properties
from sandbox.digitalocean.provider.resource import Input, Resource, Shape, not_empty, within


def downgrade(old: object, new: object) -> bool:
    """Reports whether a version goes down; one that can't be read ("latest") never does."""
    before, after = _version(old), _version(new)
    return before is not None and after is not None and after < before


def _version(text: object) -> tuple[object, ...] | None:
    parts = re.fullmatch(r"v?(\d+(?:\.\d+)*)(?:-(?:do\.)?(\d+))?", str(text))
    if not parts:
        return None
    numbers = tuple(part for part, _ in zip_longest(map(int, parts[1].split(".")), range(3), fillvalue=0))
    # A version without the "-do.N" counts as the release after all of them, but "1.36" is 1.36.0.
    return numbers, parts[2] is None, int(parts[2] or 0)


class KubernetesCluster(Resource):
    shape: ClassVar[Shape] = Shape(
        {
            "name": Input(required=True, invalid=not_empty),
            "region": Input(required=True, force_new=True, invalid=not_empty),
            "version": Input(required=True, invalid=not_empty, replaces=downgrade),
            "nodePool": Input(required=True, shape=Shape(POOL, ("id", "actualNodeCount", "nodes"))),
            "ha": Input(computed=True),
            "autoUpgrade": Input(default=False),
            "surgeUpgrade": Input(default=True),
            "destroyAllAssociatedResources": Input(default=False),
            "registryIntegration": Input(default=False),
            "kubeconfigExpireSeconds": Input(invalid=within(0)),
            "maintenancePolicy": Input(
                computed=True,
                shape=Shape({"day": Input(computed=True), "startTime": Input(computed=True)}, ("duration",)),
            ),
            "controlPlaneFirewall": Input(
                computed=True,
                shape=Shape({"enabled": Input(required=True), "allowedAddresses": Input(required=True)}),
            ),
            "tags": Input(is_set=True),
            "vpcUuid": Input(computed=True, force_new=True),
            "clusterSubnet": Input(computed=True, force_new=True),
            "serviceSubnet": Input(computed=True, force_new=True),
        },
        ("clusterUrn", "createdAt", "endpoint", "ipv4Address", "kubeConfigs", "status", "updatedAt"),
        frozenset({"kubeConfigs"}),
    )

    def create(self, api: Client, config: Properties, seconds: float) -> tuple[str, Properties]:
        # A failure up to the end of the wait loses the cluster: it runs, is billed, and is in no stack's state.
        prefix = "Error creating Kubernetes cluster"
        cluster = api.call(prefix, "POST", "kubernetes/clusters", _create_body(config))["kubernetes_cluster"]
        identity = cluster["id"]
        with failing(prefix):
            api.wait("create cluster", seconds, lambda: self._running(api, identity))
        return self.created(api, identity, config, config | {"kubeConfigs": []})

    def _running(self, api: Client, identity: str) -> bool | None:
        prefix = "Error trying to read cluster state"
        answer = api.call(prefix, "GET", f"kubernetes/clusters/{identity}")
        status = _known(prefix, answer["kubernetes_cluster"])["status"]
        if status["state"] == "error":
            raise ProviderError(status.get("message") or "")
        return True if status["state"] == "running" else None

    def read(self, api: Client, identity: str, state: Properties) -> Properties | None:
        prefix = "Error retrieving Kubernetes cluster"
        if not state and not _mark_default_pool(api, identity):
            return None
        answer = api.find(prefix, "GET", f"kubernetes/clusters/{identity}")
        return answer and self.state_of(api, _known(prefix, answer["kubernetes_cluster"]), state)

    def state_of(self, api: Client, cluster: Properties, state: Properties) -> Properties:
        """The state of a cluster, as a stack stores it."""
        maintenance = cluster.get("maintenance_policy") or {}
        result = state | {
            **{key: cluster[key] for key in ("name", "region", "version", "ha")},
            "surgeUpgrade": cluster["surge_upgrade"],
            "autoUpgrade": cluster["auto_upgrade"],
            "clusterSubnet": cluster["cluster_subnet"],
            "serviceSubnet": cluster["service_subnet"],
            "vpcUuid": cluster["vpc_uuid"],
            "controlPlaneFirewall": _firewall_of(cluster.get("control_plane_firewall")),
            "ipv4Address": cluster.get("ipv4") or "",
            "endpoint": cluster.get("endpoint") or "",
            "tags": own_tags(cluster.get("tags")),
            "status": cluster["status"]["state"],
            "createdAt": go_time(cluster.get("created_at")),
            "updatedAt": go_time(cluster.get("updated_at")),
            "clusterUrn": f"do:kubernetes:{cluster['id']}",
            "maintenancePolicy": {
                "day": maintenance.get("day") or "any",
                "duration": maintenance.get("duration") or "",
                "startTime": maintenance.get("start_time") or "",
            },
        }
        result["nodePool"] = (state.get("nodePool") or {}) | {"id": "", "nodes": [], "actualNodeCount": 0}
        for position, pool in enumerate(cluster["node_pools"]):
            if DEFAULT_POOL_TAG in (pool.get("tags") or []):
                # The official provider looks the count up under the pool's position in the API's list.
                counted = position == 0 and bool((state.get("nodePool") or {}).get("nodeCount"))
                result["nodePool"] = {"id": pool["id"], **state_of(pool, counted=counted)}
        if _expired(result.get("kubeConfigs")):
            # Sent even if the program sets nothing: 0 is the API's own default, 7 days.
            seconds = state.get("kubeconfigExpireSeconds") or 0
            path = f"kubernetes/clusters/{cluster['id']}/credentials?expiry_seconds={seconds}"
            credentials = api.call("Unable to fetch Kubernetes credentials", "GET", path)
            result["kubeConfigs"] = [_kube_config(cluster, credentials)]
        return result

    def update(self, api: Client, identity: str, olds: Properties, config: Properties) -> Properties | None:
        cluster = f"kubernetes/clusters/{identity}"
        paths = {path for path, _, _ in self.shape.differences(olds, config)}
        changed = {path.partition(".")[0] for path in paths}
        if "nodePool.nodeCount" not in paths:
            # A count equal to the actual one is no change: in an imported cluster's state it stays 0.
            config["nodePool"]["nodeCount"] = olds["nodePool"].get("nodeCount")
        if (
            changed & {"name", "tags", "autoUpgrade", "surgeUpgrade", "maintenancePolicy", "ha", "controlPlaneFirewall"}
            and api.find("Unable to update cluster", "PUT", cluster, _update_body(config)) is None
        ):
            return None
        if "nodePool" in changed:
            pool = f"{cluster}/node_pools/{olds['nodePool']['id']}"
            update_pool(api, pool, config["nodePool"], self.create_seconds, DEFAULT_POOL_TAG)
        if "version" in changed:
            # The provider doesn't wait, so the state may keep the old version until the next refresh.
            body = {"version": config["version"]}
            api.call("Unable to upgrade cluster version", "POST", f"{cluster}/upgrade", body)
        return self.read(api, identity, {"kubeConfigs": olds.get("kubeConfigs"), **config})

    def delete(self, api: Client, identity: str, state: Properties, seconds: float) -> None:
        # Neither call waits for the deletion.
        path = f"kubernetes/clusters/{identity}"
        if state.get("destroyAllAssociatedResources"):
            path += "/destroy_with_associated_resources"
            api.call("Failed to list associated resources", "GET", path)
            path += "/dangerous"
        api.find("Unable to delete cluster", "DELETE", path)


def _known(prefix: str, cluster: Properties) -> Properties:
    """Returns the cluster. DigitalOcean's Go client, and so the official provider, fails on an unknown state."""
    state = cluster["status"]["state"]
    if state not in {"provisioning", "running", "degraded", "error", "deleted", "upgrading"}:
        raise ProviderError(f'{prefix}: unknown cluster state "{state}"')
    return cluster


def _mark_default_pool(api: Client, identity: str) -> bool:
    """Adds the tag by which the provider finds the default pool, as the official one does when it imports a cluster.

    Returns False if no single pool can be the default one: Pulumi then reports a missing cluster, without the reason.
    """
    answer = api.find("Error retrieving Kubernetes cluster", "GET", f"kubernetes/clusters/{identity}")
    pools = answer["kubernetes_cluster"]["node_pools"] if answer else []
    marked = [pool for pool in pools if DEFAULT_POOL_TAG in (pool.get("tags") or [])]
    if not marked and len(pools) == 1:
        (pool,) = pools
        tags = {"tags": [*(pool.get("tags") or []), DEFAULT_POOL_TAG]}
        api.call("Unable to update node pool", "PUT", f"kubernetes/clusters/{identity}/node_pools/{pool['id']}", tags)
        return True
    return len(marked) == 1


def _create_body(config: Properties) -> Properties:
    body = {
        "name": config["name"],
        "region": config["region"],
        "version": config["version"],
        "ha": config["ha"],
        "tags": config["tags"] or None,
        "vpc_uuid": config["vpcUuid"],
        "cluster_subnet": config["clusterSubnet"],
        "service_subnet": config["serviceSubnet"],
        "control_plane_firewall": _firewall(config),
        "node_pools": [create_body(config["nodePool"], DEFAULT_POOL_TAG)],
    }
    always = {
        "maintenance_policy": _maintenance(config),
        "auto_upgrade": config["autoUpgrade"],
        "surge_upgrade": config["surgeUpgrade"],
    }
    return {key: value for key, value in body.items() if value is not None} | always


def _update_body(config: Properties) -> Properties:
    body = {
        "name": config["name"],
        "auto_upgrade": config["autoUpgrade"],
        "ha": config["ha"],
        "maintenance_policy": _maintenance(config),
        # The official provider always sends these objects, with nulls in them where nothing is set.
        "control_plane_firewall": _firewall(config) or {"enabled": None, "allowed_addresses": None},
        "cluster_autoscaler_configuration": {"scale_down_unneeded_time": None},
        # The official provider omits empty values: it can't remove all tags or switch surge upgrades off.
        "tags": config["tags"] or None,
        "surge_upgrade": config["surgeUpgrade"] or None,
    }
    return {key: value for key, value in body.items() if value is not None}


def _firewall(config: Properties) -> Properties | None:
    firewall = config["controlPlaneFirewall"]
    # Go encodes a list that has no element yet as null.
    return firewall and {"enabled": firewall["enabled"], "allowed_addresses": firewall["allowedAddresses"] or None}


def _firewall_of(firewall: Properties | None) -> Properties | None:
    if not firewall:
        return None
    return {"enabled": firewall.get("enabled") or False, "allowedAddresses": firewall.get("allowed_addresses") or []}


def _maintenance(config: Properties) -> Properties | None:
    policy = config["maintenancePolicy"]
    return {"day": policy.get("day") or "any", "start_time": policy.get("startTime") or ""} if policy else None


def _expired(kube_configs: list[Properties] | None) -> bool:
    expires = kube_configs[0].get("expiresAt") if kube_configs else None
    return not expires or datetime.fromisoformat(expires) < datetime.now(UTC)


def _kube_config(cluster: Properties, credentials: Properties) -> Properties:
    """One element of kubeConfigs; DigitalOcean hands out tokens, no client certificates."""
    name = f"do-{cluster['region']}-{cluster['name']}"
    authority = credentials["certificate_authority_data"]
    raw = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"cluster": {"certificate-authority-data": authority, "server": credentials["server"]}, "name": name}
        ],
        "contexts": [{"context": {"cluster": name, "user": f"{name}-admin"}, "name": name}],
        "current-context": name,
        "users": [{"name": f"{name}-admin", "user": {"token": credentials["token"]}}],
    }
    expires = datetime.fromisoformat(credentials["expires_at"]).astimezone(UTC)
    return {
        "rawConfig": yaml.safe_dump(raw, sort_keys=False),
        "host": credentials["server"],
        "clusterCaCertificate": authority,
        "token": credentials["token"],
        "expiresAt": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        "clientKey": "",
        "clientCertificate": "",
    }


def get_kubernetes_versions(api: Client, args: Properties) -> Properties:
    """The versions on offer that start with `versionPrefix`, newest first; without any, latestVersion is not set."""
    offered = api.call("Error retrieving Kubernetes options", "GET", "kubernetes/options")["options"]["versions"]
    valid = [version["slug"] for version in offered if version["slug"].startswith(args.get("versionPrefix", ""))]
    return args | {"id": str(uuid4()), "validVersions": valid} | ({"latestVersion": valid[0]} if valid else {})
