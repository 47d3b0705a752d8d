"""A cluster's default node pool, which is a part of the cluster."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sandbox.digitalocean.provider.client import Client
from sandbox.digitalocean.provider.properties import Properties
from sandbox.digitalocean.provider.resource import Input, not_empty

DEFAULT_POOL_TAG = "terraform:default-node-pool"
"""The official provider marks the pool that came with the cluster by this tag."""

POOL: Mapping[str, Input] = {
    "name": Input(required=True, invalid=not_empty),
    "size": Input(required=True, force_new=True, invalid=not_empty),
    # A count that the autoscaler has reached by itself is no change.
    "nodeCount": Input(suppress=lambda new, state: bool(new) and new == state.get("actualNodeCount")),
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
    always = {
        "name": config["name"],
        "size": config["size"],
        "count": config["nodeCount"] or 0,
        "tags": [*(config["tags"] or []), *tags],
    }
    optional = {
        "labels": config["labels"],
        "taints": config["taints"],
        "auto_scale": config["autoScale"],
        "min_nodes": config["minNodes"],
        "max_nodes": config["maxNodes"],
    }
    return always | {key: value for key, value in optional.items() if value}


def state_of(pool: Properties, *, counted: bool) -> Properties:
    """The pool as the stack stores it. `counted`: the state has a node count already; no other gets one."""
    state = {
        "name": pool["name"],
        "size": pool["size"],
        "actualNodeCount": pool["count"],
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
    return state | ({"nodeCount": pool["count"]} if counted else {})


def update_pool(api: Client, path: str, config: Properties, seconds: float, *tags: str) -> None:
    """Changes a pool and waits for its nodes. A missing pool is no error, as in the official provider."""
    body = {
        "name": config["name"],
        "tags": [*(config["tags"] or []), *tags],
        "taints": config["taints"] or [],
        "auto_scale": config["autoScale"] or False,
        "min_nodes": config["minNodes"] or 0,
        "max_nodes": config["maxNodes"] or 0,
    }
    if config["nodeCount"]:
        body["count"] = config["nodeCount"]
    if config["labels"]:
        body["labels"] = config["labels"]
    if api.find("Unable to update nodepool", "PUT", path, body) is not None:
        wait_for_nodes(api, path, seconds)


def wait_for_nodes(api: Client, path: str, seconds: float) -> None:
    def running() -> bool | None:
        pool = api.call("Error trying to read nodepool state", "GET", path)["node_pool"]
        states = [node["status"]["state"] for node in pool.get("nodes") or []]
        return True if len(states) == pool["count"] and set(states) <= {"running"} else None

    api.wait("create nodepool", seconds, running)
