"""Node pools: the default one, which is a part of its cluster, and further ones, which are resources."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from sandbox.digitalocean.provider.client import Client, failing
from sandbox.digitalocean.provider.properties import Properties
from sandbox.digitalocean.provider.resource import Input, Resource, Shape, not_empty

DEFAULT_POOL_TAG = "terraform:default-node-pool"
"""The official provider marks the pool that came with the cluster by this tag."""


def _is_actual(new: object, state: Properties) -> bool:
    """Reports whether a count is no change: one that the autoscaler has reached, or that the program leaves out."""
    return (new or state.get("nodeCount") or 0) == (state.get("actualNodeCount") or 0)


POOL: Mapping[str, Input] = {
    "name": Input(required=True, invalid=not_empty),
    "size": Input(required=True, force_new=True, invalid=not_empty),
    "nodeCount": Input(suppress=_is_actual),
    "autoScale": Input(default=False),
    "minNodes": Input(),
    "maxNodes": Input(),
    "tags": Input(is_set=True),
    "labels": Input(),
    "taints": Input(is_set=True),
}


def go_time(text: str | None) -> str:
    """A time as Go prints it; an absent one is Go's zero."""
    when = datetime.fromisoformat(text).astimezone(UTC) if text else datetime(1, 1, 1, tzinfo=UTC)
    return f"{when:%Y-%m-%d %H:%M:%S}".rjust(19, "0") + " +0000 UTC"


def own_tags(tags: list[str] | None) -> list[str]:
    """Returns the user's tags, without those that DigitalOcean and the provider add."""
    return sorted(tag for tag in tags or [] if tag != "k8s" and not tag.startswith(("k8s:", "terraform:")))


def create_body(config: Properties, *tags: str) -> Properties:
    """The request for a pool. The official provider omits empty values, a count of 0 among them."""
    body = {
        "name": config["name"],
        "size": config["size"],
        "count": config["nodeCount"],
        "tags": [*(config["tags"] or []), *tags],
        "labels": config["labels"],
        "taints": _taints(config),
        "auto_scale": config["autoScale"],
        "min_nodes": config["minNodes"],
        "max_nodes": config["maxNodes"],
    }
    return {key: value for key, value in body.items() if value}


def _taints(config: Properties) -> list[Properties]:
    """Returns the taints as the official provider sends them: its Go client has no JSON names for their fields."""
    return [{key.capitalize(): taint[key] for key in ("key", "value", "effect")} for taint in config["taints"] or []]


def state_of(pool: Properties, *, counted: bool) -> Properties:
    """Returns the pool as the stack stores it; without `counted` the node count is 0, as in the state of an import."""
    return {
        "name": pool["name"],
        "size": pool["size"],
        "actualNodeCount": pool["count"],
        "nodeCount": pool["count"] if counted else 0,
        "autoScale": pool.get("auto_scale") or False,
        "minNodes": pool.get("min_nodes") or 0,
        "maxNodes": pool.get("max_nodes") or 0,
        "tags": own_tags(pool.get("tags")),
        "labels": pool.get("labels") or {},
        "taints": pool.get("taints") or [],
        "nodes": [
            {
                "id": node["id"],
                "name": node["name"],
                "status": node["status"]["state"],
                "dropletId": node.get("droplet_id") or "",
                "createdAt": go_time(node.get("created_at")),
                "updatedAt": go_time(node.get("updated_at")),
            }
            for node in pool.get("nodes") or []
        ],
    }


def update_pool(api: Client, path: str, config: Properties, seconds: float, *tags: str) -> None:
    """Changes a pool and waits for its nodes. A missing pool is no error, as in the official provider."""
    always = {
        "name": config["name"],
        "taints": _taints(config),
        "auto_scale": config["autoScale"] or False,
        "min_nodes": config["minNodes"] or 0,
        "max_nodes": config["maxNodes"] or 0,
    }
    # So neither the last tag nor the last label can be removed.
    if_any = {
        "tags": [*(config["tags"] or []), *tags],
        "count": config["nodeCount"],
        "labels": config["labels"],
    }
    body = always | {key: value for key, value in if_any.items() if value}
    if api.find("Unable to update nodepool", "PUT", path, body) is not None:
        wait_for_nodes(api, path, seconds)


class KubernetesNodePool(Resource):
    shape: ClassVar[Shape] = Shape(
        {"clusterId": Input(required=True, force_new=True, invalid=not_empty), **POOL}, ("actualNodeCount", "nodes")
    )

    def create(self, api: Client, config: Properties, seconds: float) -> tuple[str, Properties]:
        # A failure up to the end of the wait loses the pool: its nodes run and are billed, and no state has them.
        with failing("Error creating Kubernetes node pool"):
            pools = f"kubernetes/clusters/{config['clusterId']}/node_pools"
            pool = api.call("Unable to create new default node pool", "POST", pools, create_body(config))["node_pool"]
            wait_for_nodes(api, f"{pools}/{pool['id']}", seconds)
        return self.created(api, pool["id"], config)

    def read(self, api: Client, identity: str, state: Properties) -> Properties | None:
        if "clusterId" not in state:
            cluster = _cluster_of(api, identity)
            if cluster is None:
                return None
            state = state | {"clusterId": cluster}
        answer = api.find("Error retrieving Kubernetes node pool", "GET", _path(identity, state))
        # Unlike that of a default pool, the count is always stored.
        return answer and state | state_of(answer["node_pool"], counted=True)

    def update(self, api: Client, identity: str, olds: Properties, config: Properties) -> Properties | None:
        # A count that the program leaves out stays that of the state, however old, and is sent.
        config["nodeCount"] = config["nodeCount"] or olds.get("nodeCount")
        with failing("Error updating node pool"):
            update_pool(api, _path(identity, olds), config, self.create_seconds)
        return self.read(api, identity, config)

    def delete(self, api: Client, identity: str, state: Properties, seconds: float) -> None:
        path = _path(identity, state)
        # A pool that is gone already is an error.
        api.call("Unable to delete node pool", "DELETE", path)
        api.wait(
            "delete nodepool",
            seconds,
            lambda: True if api.find("Error trying to read nodepool state", "GET", path) is None else None,
        )


def _path(identity: str, state: Properties) -> str:
    return f"kubernetes/clusters/{state['clusterId']}/node_pools/{identity}"


def _cluster_of(api: Client, identity: str) -> str | None:
    """Returns the cluster of an imported pool, whose id doesn't name it.

    None if no cluster has the pool, or if it is a default one: Pulumi then reports a missing pool.
    """
    clusters = api.call("Unable to list Kubernetes clusters", "GET", "kubernetes/clusters?per_page=200")
    for cluster in clusters["kubernetes_clusters"]:
        for pool in cluster["node_pools"]:
            if pool["id"] == identity:
                return None if DEFAULT_POOL_TAG in (pool.get("tags") or []) else str(cluster["id"])
    return None


def wait_for_nodes(api: Client, path: str, seconds: float) -> None:
    def running() -> bool | None:
        pool = api.call("Error trying to read nodepool state", "GET", path)["node_pool"]
        states = [node["status"]["state"] for node in pool.get("nodes") or []]
        return True if len(states) == pool["count"] and set(states) <= {"running"} else None

    api.wait("create nodepool", seconds, running)
