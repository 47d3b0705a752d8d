"""/v2/kubernetes/clusters/ID/node_pools, and the checks of pools that a new cluster needs too."""

from collections.abc import Iterable
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.kubernetes.records import ClusterRecord, node_count, taints
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("node_pools")
CLUSTER = "/v2/kubernetes/clusters/<cluster_id>"
POOLS = f"{CLUSTER}/node_pools"
Document = dict[str, Any]


def check_pools(pools: list[Document], region: str, others: Iterable[Document] = ()) -> None:
    names = [pool["name"] for pool in others]
    for position, pool in enumerate(pools):
        where = f"validation error: worker_node_pool_specs[{position}]"
        size = catalog.KUBERNETES_SIZES.get(pool.get("size", ""))
        if size is None or region not in size.regions:
            raise ApiError(422, f"{where}.invalid droplet size")
        if not pool.get("name"):
            raise ApiError(422, f"{where}.missing name")
        if pool["name"] in names:
            raise ApiError(422, f"{where}.a node pool with this name already exists")
        names.append(pool["name"])
        _check_scale(where, pool, int(pool.get("count") or 0))
    _check_quota(sum(int(pool.get("count") or pool.get("min_nodes") or 0) for pool in pools))


def _check_scale(where: str, pool: Document, count: int) -> None:
    low, high = int(pool.get("min_nodes") or 0), int(pool.get("max_nodes") or 0)
    if pool.get("auto_scale") and not 0 <= low <= high > 0:
        raise ApiError(422, f"{where}.min_nodes must be at most max_nodes, which is at least 1")
    if not pool.get("auto_scale") and count < 1:
        raise ApiError(422, f"{where}.count must be at least 1")


def _check_quota(more: int) -> None:
    if not cloud.clusters.pools.has_machines(more):
        most, count = cloud.settings.machines, cloud.clusters.pools.count() + more
        reason = "each is a kubelet with a container runtime on this one machine"
        raise ApiError(422, f"this sandbox runs at most {most} nodes, not {count}: {reason}; take fewer")
    if len(cloud.droplets) + more > cloud.settings.droplet_limit:
        raise ApiError(422, f"validation error: {more} additional nodes but not enough available droplet limit")


def _pool(record: ClusterRecord, pool_id: str) -> Document:
    return find({pool["id"]: pool for pool in record.document["node_pools"]}, pool_id)


@family.serves(f"GET {POOLS}", "kubernetes:read")
def list_pools(cluster_id: str) -> ResponseReturnValue:
    return page("node_pools", cloud.clusters.get(cluster_id).document["node_pools"])


@family.serves(f"POST {POOLS}", "kubernetes:update")
def add_pool(cluster_id: str) -> ResponseReturnValue:
    record, requested = cloud.clusters.get(cluster_id), body()
    check_pools([requested], record.document["region"], record.document["node_pools"])
    return {"node_pool": cloud.clusters.pools.add(record, requested)}, 201


@family.serves(f"GET {POOLS}/<pool_id>", "kubernetes:read")
def get_pool(cluster_id: str, pool_id: str) -> ResponseReturnValue:
    return {"node_pool": _pool(cloud.clusters.get(cluster_id), pool_id)}


@family.serves(f"PUT {POOLS}/<pool_id>", "kubernetes:update")
def update_pool(cluster_id: str, pool_id: str) -> ResponseReturnValue:
    record, requested = cloud.clusters.get(cluster_id), body()
    pool = _pool(record, pool_id)
    changeable = ("name", "labels", "taints", "auto_scale", "min_nodes", "max_nodes")
    changed = pool | {key: requested[key] for key in changeable if requested.get(key) is not None}
    changed["taints"] = taints(changed["taints"])
    if not changed["auto_scale"]:
        changed |= {"min_nodes": 0, "max_nodes": 0}
    if any(other is not pool and other["name"] == changed["name"] for other in record.document["node_pools"]):
        raise ApiError(422, "validation error: a node pool with this name already exists")
    count = node_count(changed, requested.get("count"))
    _check_scale("validation error", changed, count)
    _check_quota(max(count - pool["count"], 0))
    if requested.get("tags") is not None:
        changed["tags"] = [*pool["tags"][:3], *(t for t in requested["tags"] if not t.startswith("k8s"))]
    before = dict(pool)
    pool |= changed
    cloud.clusters.pools.resize(record, pool, count)
    cloud.clusters.pools.mark(record, pool, before)
    return {"node_pool": pool}, 202


@family.serves(f"DELETE {POOLS}/<pool_id>", "kubernetes:update")
def delete_pool(cluster_id: str, pool_id: str) -> ResponseReturnValue:
    record = cloud.clusters.get(cluster_id)
    pool = _pool(record, pool_id)
    if not any(other["count"] for other in record.document["node_pools"] if other is not pool):
        raise ApiError(422, "validation error: a cluster needs at least one node pool")
    cloud.clusters.pools.delete(record, pool)
    return "", 204


@family.serves(f"DELETE {POOLS}/<pool_id>/nodes/<node_id>", "kubernetes:update")
def delete_node(cluster_id: str, pool_id: str, node_id: str) -> ResponseReturnValue:
    record = cloud.clusters.get(cluster_id)
    pool = _pool(record, pool_id)
    node = find({node["id"]: node for node in pool["nodes"]}, node_id)
    end = cloud.clusters.pools.replace if request.args.get("replace") == "1" else cloud.clusters.pools.remove
    end(record, pool, node, drained=request.args.get("skip_drain") != "1")
    return "", 202
