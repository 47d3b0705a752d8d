"""The scopes that docs/reliability.md lists for `up` and `destroy`: enough together, and none too many."""

import pytest

from ops import preflight
from sandbox.provider.properties import Properties
from tests.e2e.digitalocean_provider.engine import TOKEN, Account, Engine, Refused

LISTED = {"kubernetes:read", "registry:read", *preflight.CLUSTER, *preflight.REGISTRY}
REFUSED = {
    "kubernetes:read": "GET .*kubernetes/options",
    "kubernetes:create": "POST .*kubernetes/clusters",
    "kubernetes:access_cluster": "GET .*credentials",
    "kubernetes:update": "PUT .*node_pools",
    "kubernetes:delete": "DELETE .*dangerous",
    "registry:create": "POST .*registry",
    "registry:read": "GET .*regist",
    "registry:update": "POST .*subscription",
    "registry:delete": "DELETE .*regist",
}
CLUSTER: Properties = {
    "name": "mycluster",
    "region": "nyc1",
    "version": "1.35.7-do.0",
    "ha": False,
    "destroyAllAssociatedResources": True,
    "nodePool": {"name": "default", "size": "s-1vcpu-2gb", "nodeCount": 1},
}
REGISTRY: Properties = {"name": "shop", "subscriptionTierSlug": "starter", "region": "nyc3"}


def life_of_a_stack(engine: Engine) -> None:
    """What the program asks of the provider from the first `up` to `destroy`, with a change between them."""
    engine.invoke("getKubernetesVersions")
    cluster = engine.create("KubernetesCluster", CLUSTER)
    cluster = engine.update(cluster, CLUSTER | {"nodePool": CLUSTER["nodePool"] | {"nodeCount": 2}})
    registry = engine.create("ContainerRegistry", REGISTRY)
    engine.create("ContainerRegistryDockerCredentials", {"registryName": "shop", "write": True})
    registry = engine.update(registry, REGISTRY | {"subscriptionTierSlug": "basic"})
    engine.delete(registry)
    engine.delete(cluster)


def test_the_listed_scopes_are_enough_for_the_life_of_a_stack(account: Account, engine: Engine) -> None:
    assert REFUSED.keys() == LISTED
    account.cloud.tokens = {TOKEN: sorted(LISTED)}
    life_of_a_stack(engine)


@pytest.mark.parametrize("scope", sorted(LISTED))
def test_without_any_of_the_listed_scopes_a_stack_is_refused_what_it_is_for(
    account: Account, engine: Engine, scope: str
) -> None:
    account.cloud.tokens = {TOKEN: sorted(LISTED - {scope})}
    with pytest.raises(Refused, match=f"{REFUSED[scope]}.*: 403 "):
        life_of_a_stack(engine)
