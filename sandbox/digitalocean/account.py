"""One DigitalOcean account: its parts, under one lock. It ends with the daemon."""

import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sandbox.digitalocean.compute.models import Droplets, Snapshots, Volumes
from sandbox.digitalocean.context import Context, Scheduler
from sandbox.digitalocean.domains.models import Domains
from sandbox.digitalocean.kubernetes.autoscaler import Autoscaler
from sandbox.digitalocean.kubernetes.cloud_controller import ServiceController, client
from sandbox.digitalocean.kubernetes.models import Clusters
from sandbox.digitalocean.kubernetes.records import (
    ClusterRecord,
    Controller,
    KubernetesLike,
    StartKubernetes,
    Tagged,
)
from sandbox.digitalocean.ledger import Ledger
from sandbox.digitalocean.load_balancers.models import LoadBalancers
from sandbox.digitalocean.registries.models import Registries
from sandbox.digitalocean.settings import Settings
from sandbox.digitalocean.tokens import Tokens
from sandbox.digitalocean.vpcs.models import Vpcs

if TYPE_CHECKING:
    from sandbox.digitalocean.faults import Call, Fault

Sign = Callable[[str, list[dict[str, Any]]], str]
"""(subject, granted access) -> a token that the registry accepts."""


class Cloud:
    """One DigitalOcean account.

    Args:
        token: the API token with every scope; more are added under /_control/tokens.
        start_kubernetes: starts the cluster of a record and returns when its nodes are ready.
        settings: delays and quotas.
        sign: makes the registry's tokens; without it /_registry/token answers 503.
        real_kubernetes: one cluster at a time, its Services watched. False for a stand-in of Kubernetes.
    """

    def __init__(
        self,
        token: str,
        start_kubernetes: StartKubernetes,
        settings: Settings | None = None,
        *,
        sign: Sign | None = None,
        real_kubernetes: bool = True,
    ) -> None:
        self.uuid = str(uuid.uuid4())
        self.sign = sign
        self.settings = settings or Settings()
        self.scheduler = Scheduler()
        self.ledger = Ledger()
        self.faults: list[Fault] = []
        self.calls: deque[Call] = deque(maxlen=100_000)
        self._tokens = Tokens(token)
        self.domains = Domains()
        context = Context(self.scheduler, self.ledger, self.settings)
        self.volumes = Volumes(context)
        self.snapshots = Snapshots(context)
        self.droplets = Droplets(context)
        self.load_balancers = LoadBalancers(context)
        self.vpcs = Vpcs(self._members)
        self.registries = Registries(context, self._tokens)
        self.clusters = Clusters(
            context,
            self.droplets,
            {
                "load_balancers": Tagged(self.load_balancers.documents, self.load_balancers.delete),
                "volumes": Tagged(self.volumes, self.volumes.delete),
                "volume_snapshots": Tagged(self.snapshots, self.snapshots.delete),
            },
            start_kubernetes,
            self._controllers if real_kubernetes else None,
        )

    def _members(self) -> Iterator[str]:
        """The networks that resources are in."""
        clusters = [record.document for record in self.clusters.records.values()]
        for document in (*clusters, *self.droplets.values(), *self.load_balancers.documents.values()):
            yield str(document["vpc_uuid"])

    @property
    def tokens(self) -> dict[str, list[str] | None]:
        """The scopes of each API token; None: all."""
        return self._tokens.scopes

    @tokens.setter
    def tokens(self, scopes: dict[str, list[str] | None]) -> None:
        self._tokens.scopes = scopes

    def allows(self, token: str, scope: str) -> bool:
        return self._tokens.allow(token, scope)

    def stop(self) -> None:
        """Ends the cluster and all listeners; idempotent."""
        self.scheduler.stop()
        self.clusters.stop()
        self.load_balancers.stop()

    def _controllers(self, record: ClusterRecord, kubernetes: KubernetesLike) -> list[Controller]:
        return [
            ServiceController(self.scheduler, self.load_balancers, record.document, client(kubernetes)),
            Autoscaler(client(kubernetes), self.clusters, record, self.scheduler),
        ]
