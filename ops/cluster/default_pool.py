"""The node pool that a cluster was created with: created anew after a deletion, and moved to another size."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from infra.config import capacity
from infra.config.node_pools import DEFAULT_POOL_TAG
from infra.config.settings import Settings
from infra.config.types import default_pool_name
from ops.account.documents import Cluster, NodePool
from ops.cluster.client import CREDENTIAL_SECONDS, connected
from ops.cluster.drain import check_controllers, drain
from ops.digitalocean import Api, segment
from ops.errors import OpsError

_PAUSE = 2
_INTERIM = "-next-pool"
"""End of the interim pool's name: of the new nodes of a resize, until the old pool is gone. The name is no longer than
that of the default pool, and differs from those of `nodePools`, which end in their size."""


def request(
    settings: Settings, name: str = "", tags: Iterable[str] = (DEFAULT_POOL_TAG,), count: int = 0
) -> dict[str, Any]:
    """Returns the request for the pool as it is configured; an autoscaled one starts within its bounds with `count`."""
    pool = settings.default_pool
    body: dict[str, Any] = {"name": name or settings.default_pool_name, "size": pool.size, "tags": [*tags]}
    if pool.autoscale:
        scale = {"auto_scale": True, "min_nodes": pool.least, "max_nodes": pool.most}
        return body | {"count": min(max(count, pool.least), pool.most)} | scale
    return body | {"count": pool.most}


def add(api: Api, cluster: str, settings: Settings) -> str:
    """Creates the pool anew, and returns its name.

    Raises:
        OpsError: the cluster has its own pool, perhaps under an earlier name. Two would be billed.
    """
    path = f"kubernetes/clusters/{segment(cluster)}"
    pools = api.read(path, "kubernetes_cluster", Cluster).node_pools
    if own := next((pool for pool in pools if DEFAULT_POOL_TAG in pool.tags), None):
        raise OpsError(
            f"cluster {cluster} has its default node pool {own.name}; allowed: a cluster without one; "
            "fix: python -m ops doctor"
        )
    pool = request(settings)
    api.create(f"{path}/node_pools", pool)
    return str(pool["name"])


def is_interim(pool: NodePool) -> bool:
    """True for the interim pool of a resize."""
    # By the end of the name only: `clusterName` may have been edited since.
    return pool.name.endswith(_INTERIM)


class _Pools(NamedTuple):
    """The pools of a resize.

    Attributes:
        interim: the new pool; None: the resize hasn't begun, or it is complete.
        old: the default pool, or the pools that have been it.
    """

    interim: NodePool | None
    old: list[NodePool]

    def can_go_back_to(self, size: str) -> bool:
        """True if a deletion of the interim pool is enough to return to this size: the old pools are unchanged."""
        is_untouched = self.interim is not None and DEFAULT_POOL_TAG not in self.interim.tags
        return is_untouched and bool(self.old) and all(pool.size == size for pool in self.old)


class Resize:
    """Moves a cluster's default pool to the configured size.

    It creates an interim pool of the new size, drains and deletes the old pool, and gives the interim pool its name.
    Each step reads the present state, so the same command continues after an interruption. Pulumi's provider recognises
    the default pool by its tag, which the interim pool gets before the old one goes. Until then the old size can be put
    back.

    Args:
        api: the account.
        cluster: the cluster's id.
        settings: the stack's configuration.
        seconds: how long each wait may take.
        report: gets the progress.
        force: also where pods lack room or a controller.
    """

    def __init__(  # noqa: PLR0913 -- the options of the command
        self,
        api: Api,
        cluster: str,
        settings: Settings,
        seconds: float,
        report: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._settings = settings
        self._seconds = seconds
        self._report = report
        self._force = force
        self._path = f"kubernetes/clusters/{segment(cluster)}"

    def check(self) -> str:
        """Looks whether the pods can move, before anything costs. Returns a warning; empty without one.

        Raises:
            OpsError: there is no pool to move, or a resize that hasn't begun would leave pods without a node.
        """
        pools = self._find()
        if pools.interim is None and not self._is_done(pools):
            shortage = self._shortage()
            if shortage and not self._force:
                raise OpsError(f"{shortage}, or --force")
            if not self._force:
                with connected(self._api, self._cluster) as kubernetes:
                    check_controllers(kubernetes, [node.name for pool in pools.old for node in pool.nodes])
            return shortage
        return "" if pools.can_go_back_to(self._settings.node_size) else self._shortage()

    def _shortage(self) -> str:
        shortage = capacity.shortage(self._settings)
        return f"{shortage.key}: {shortage}" if shortage else ""

    def question(self) -> str:
        """Returns the question for confirmation before `run`; empty if `run` deletes nothing."""
        size, pools = self._settings.node_size, self._find()
        if self._is_done(pools):
            return ""
        if pools.can_go_back_to(size):
            return f"Drain the new nodes, delete them, and stay on those of size {size}?"
        return f"Create nodes of size {size}, drain the old ones and delete them?"

    def run(self) -> str:
        """Resizes the pool and returns a summary.

        Raises:
            OpsError: a step failed, or took too long.
        """
        size, pools = self._settings.node_size, self._find()
        interim, old = pools
        if self._is_done(pools):
            return f"has nodes of size {size} already"
        if interim and interim.size != size:
            if not pools.can_go_back_to(size):
                raise OpsError(
                    f"node pool {interim.name} of an interrupted resize has size {interim.size}; allowed: {size}; "
                    f"fix: pulumi config set nodeSize {interim.size}, and finish that one first"
                )
            self._delete(interim)
            return f"stays on nodes of size {size}"
        if interim is None:
            count = sum(pool.count for pool in old)
            body = request(self._settings, f"{self._settings.cluster_name}{_INTERIM}", tags=(), count=count)
            interim = NodePool.model_validate(self._api.create(f"{self._path}/node_pools", body)["node_pool"])
        self._wait(
            interim.id,
            lambda pool: pool is not None and pool.runs,
            f"waiting for nodes of size {size}",
            "".join(
                f", or first pulumi config set nodeSize {pool.size}, which keeps the old nodes" for pool in old[:1]
            ),
        )
        self._change(interim.id, interim.name, [DEFAULT_POOL_TAG])
        for pool in old:
            self._delete(pool)
        self._change(interim.id, self._settings.default_pool_name, [DEFAULT_POOL_TAG])
        return f"runs on nodes of size {size}"

    def _find(self) -> _Pools:
        """Reads the pools.

        Raises:
            OpsError: the cluster has neither a default pool nor an interim one.
        """
        pools, end = self._pools(), default_pool_name("")
        interim = next(filter(is_interim, pools), None)
        # An interrupted resize may have removed the tag from the old pool.
        old = [pool for pool in pools if pool != interim and (pool.name.endswith(end) or DEFAULT_POOL_TAG in pool.tags)]
        if interim is None and not old:
            raise OpsError(
                f"cluster {self._cluster} has no default node pool; fix: python -m ops add-pool {self._cluster}"
            )
        return _Pools(interim, old)

    def _is_done(self, pools: _Pools) -> bool:
        return pools.interim is None and all(pool.size == self._settings.node_size for pool in pools.old)

    def _delete(self, pool: NodePool) -> None:
        """Drains a pool before DigitalOcean does, which doesn't document for how long it respects budgets."""
        if DEFAULT_POOL_TAG in pool.tags or pool.auto_scale:
            # The pool's autoscaler would replace drained nodes.
            self._change(pool.id, pool.name, [], scales=False)
        # The nodes that it has now: it may have grown since it was read.
        nodes = [node.name for current in self._pools() if current.id == pool.id for node in current.nodes]
        # The credential outlives the drain: the last round may begin just before the end.
        with connected(self._api, self._cluster, self._seconds + CREDENTIAL_SECONDS) as kubernetes:
            drain(kubernetes, nodes, self._seconds, self._report, force=self._force)
        self._api.call("DELETE", f"{self._path}/node_pools/{segment(pool.id)}")
        self._wait(pool.id, lambda pool: pool is None, "waiting until the nodes are gone")

    def _pools(self) -> list[NodePool]:
        return self._api.read(self._path, "kubernetes_cluster", Cluster).node_pools

    def _wait(
        self, identifier: str, condition: Callable[[NodePool | None], bool], what: str, otherwise: str = ""
    ) -> None:
        end = time.monotonic() + self._seconds
        while not condition(next((pool for pool in self._pools() if pool.id == identifier), None)):
            if time.monotonic() >= end:
                raise OpsError(f"{what}: not after {self._seconds:.0f} s; fix: the same command again{otherwise}")
            self._report(what)
            time.sleep(_PAUSE)

    def _change(self, identifier: str, name: str, tags: list[str], *, scales: bool = True) -> None:
        """Changes a pool's name and tags; the rest stays, but for an autoscaler that is to end."""
        pool = next(pool for pool in self._pools() if pool.id == identifier)
        body: dict[str, Any] = {"name": name, "count": pool.count, "tags": tags, "auto_scale": False}
        if pool.auto_scale and scales:
            body |= {"auto_scale": True, "min_nodes": pool.min_nodes, "max_nodes": pool.max_nodes}
        self._api.call("PUT", f"{self._path}/node_pools/{segment(identifier)}", body)
