"""A program's cluster as the tests of the provider create it."""

from typing import Any

from sandbox.digitalocean.provider.properties import Properties
from tests.standins.digitalocean_provider.engine import Engine, Stored

PROGRAM: Properties = {
    "name": "mycluster",
    "region": "nyc1",
    "version": "1.35.7-do.0",
    "ha": False,
    "nodePool": {"name": "default", "size": "s-1vcpu-2gb", "nodeCount": 1},
}


def cluster(engine: Engine, **changes: Any) -> Stored:  # noqa: ANN401 -- inputs
    return engine.create("KubernetesCluster", PROGRAM | changes)


def pool(**changes: Any) -> Properties:  # noqa: ANN401 -- inputs
    return PROGRAM | {"nodePool": PROGRAM["nodePool"] | changes}
