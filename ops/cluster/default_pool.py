"""The node pool that a cluster was created with: created anew after a deletion, and moved to another size."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from infra.config.settings import Settings
from ops.account.documents import Cluster, NodePool
from ops.account.ownership import DEFAULT_POOL_TAG
from ops.cluster.client import connected
from ops.cluster.drain import drain
from ops.digitalocean import Api, segment
from ops.errors import OpsError

_PAUSE = 2


def request(settings: Settings, name: str = "", tags: Iterable[str] = (DEFAULT_POOL_TAG,)) -> dict[str, Any]:
    """Returns the request for the pool as it is configured."""
    pool = settings.default_pool
    body: dict[str, Any] = {"name": name or settings.default_pool_name, "size": pool.size, "tags": [*tags]}
    if pool.autoscale:
        scale = {"auto_scale": True, "min_nodes": pool.least, "max_nodes": pool.most}
        return body | {"count": pool.least} | scale
    return body | {"count": pool.most}


def interim_name(settings: Settings) -> str:
    """Returns the name of the new pool until the old one is gone; it is as long as the pool's own name."""
    return f"{settings.cluster_name}-next-pool"


class Resize:
    """Moves a cluster's own node pool to the configured size: new nodes first, then the old ones are drained and go.

    Each step looks at what is there, so the same command goes on after an interruption. Pulumi's provider recognises
    the pool by its tag, which the new pool has before the old one goes.

    Args:
        api: the account.
        cluster: the cluster's id.
        settings: the stack's configuration.
        seconds: how long each wait may take.
        report: gets what is waited for.
    """

    def __init__(
        self, api: Api, cluster: str, settings: Settings, seconds: float, report: Callable[[str], None]
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._settings = settings
        self._seconds = seconds
        self._report = report
        self._path = f"kubernetes/clusters/{segment(cluster)}"
        self._interim = interim_name(settings)

    def run(self) -> str:
        """Returns what was done.

        Raises:
            OpsError: a step failed, or took too long.
        """
        size, name = self._settings.node_size, self._settings.default_pool_name
        found = self._pools()
        new = next((pool for pool in found if pool.name == self._interim), None)
        old = [
            pool
            for pool in found
            if pool.name != self._interim and (pool.name == name or DEFAULT_POOL_TAG in pool.tags)
        ]
        if new is None and all(pool.size == size for pool in old):
            return f"has nodes of size {size} already"
        if new is None:
            answer = self._api.create(f"{self._path}/node_pools", request(self._settings, self._interim, tags=()))
            new = NodePool.model_validate(answer["node_pool"])
        if new.size != size:
            raise OpsError(
                f"node pool {new.name} of an interrupted resize has size {new.size}; allowed: {size}; "
                f"fix: pulumi config set nodeSize {new.size}, and finish that one first"
            )
        self._wait(new.id, lambda pool: pool is not None and pool.runs, f"waiting for nodes of size {size}")
        self._change(new.id, self._interim, [DEFAULT_POOL_TAG])
        for pool in old:
            self._change(pool.id, pool.name, [])
            self._delete(pool)
        self._change(new.id, name, [DEFAULT_POOL_TAG])
        return f"runs on nodes of size {size}"

    def _delete(self, pool: NodePool) -> None:
        """Drains a pool before DigitalOcean does, which doesn't document for how long it respects budgets."""
        with connected(self._api, self._cluster, self._seconds + 300) as kubernetes:
            drain(kubernetes, [node.name for node in pool.nodes], self._seconds, self._report)
        self._api.call("DELETE", f"{self._path}/node_pools/{segment(pool.id)}")
        self._wait(pool.id, lambda pool: pool is None, "waiting until the old nodes are gone")

    def _pools(self) -> list[NodePool]:
        return self._api.read(self._path, "kubernetes_cluster", Cluster).node_pools

    def _wait(self, identifier: str, condition: Callable[[NodePool | None], bool], what: str) -> None:
        end = time.monotonic() + self._seconds
        while not condition(next((pool for pool in self._pools() if pool.id == identifier), None)):
            if time.monotonic() >= end:
                raise OpsError(f"{what}: not after {self._seconds:.0f} s; fix: the same command again")
            self._report(what)
            time.sleep(_PAUSE)

    def _change(self, identifier: str, name: str, tags: list[str]) -> None:
        """Changes a pool's name and tags; the rest of the request is as the pool is."""
        pool = next(pool for pool in self._pools() if pool.id == identifier)
        scale = {"auto_scale": True, "min_nodes": pool.min_nodes, "max_nodes": pool.max_nodes}
        body = {"name": name, "count": pool.count, "tags": tags} | (scale if pool.auto_scale else {})
        self._api.call("PUT", f"{self._path}/node_pools/{segment(identifier)}", body)
