"""The scopes that docs/reference/token-scopes.md lists for `up` and `destroy`: enough together, and none too many."""

import pytest

from ops.preflight import scopes
from sandbox.digitalocean.provider.properties import Properties
from tests.standins.digitalocean_provider.engine import TOKEN, Account, Engine, Refused

LISTED = {"kubernetes:read", "registry:read", *scopes.CLUSTER, *scopes.REGISTRY}
TAGS = "tag:read"
REFUSED = {
    "kubernetes:read": "GET .*kubernetes/options",
    "kubernetes:create": "POST .*kubernetes/clusters",
    "kubernetes:access_cluster": "GET .*credentials",
    "kubernetes:update": "PUT .*node_pools",
    "kubernetes:delete": "DELETE .*dangerous",
    "registry:create": "POST .*registry",
    "registry:read": "GET .*regist",
    "registry:update": "GET .*docker-credentials",
    "registry:delete": "DELETE .*regist",
}
LISTED_FOR_A_DOMAIN = {"load_balancer:read", *scopes.DOMAIN}
REFUSED_OF_A_DOMAIN = {
    "domain:read": "GET .*domains",
    "domain:create": "POST .*records",
    "domain:update": "POST .*records",
    "domain:delete": "DELETE .*records",
    "load_balancer:read": "GET .*load_balancers",
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
    """Makes the program's calls to the provider from the first `up` to `destroy`, with a change in between."""
    engine.invoke("getKubernetesVersions")
    cluster = engine.create("KubernetesCluster", CLUSTER)
    cluster = engine.update(cluster, CLUSTER | {"nodePool": CLUSTER["nodePool"] | {"nodeCount": 2}})
    registry = engine.create("ContainerRegistry", REGISTRY)
    engine.create("ContainerRegistryDockerCredentials", {"registryName": "shop", "write": True})
    registry = engine.update(registry, REGISTRY | {"subscriptionTierSlug": "basic"})
    engine.delete(registry)
    engine.delete(cluster)


def test_the_listed_scopes_are_enough_from_up_to_destroy(account: Account, engine: Engine) -> None:
    assert REFUSED.keys() == LISTED
    account.cloud.tokens = {TOKEN: sorted(LISTED | {TAGS})}
    life_of_a_stack(engine)


def test_without_the_tag_scope_updates_of_the_default_pool_do_nothing(account: Account, engine: Engine) -> None:
    account.cloud.tokens = {TOKEN: sorted(LISTED)}
    cluster = engine.create("KubernetesCluster", CLUSTER | {"tags": ["shop"]})
    assert cluster.state["nodePool"]["id"] == ""
    assert cluster.state["nodePool"]["nodes"] == []
    assert cluster.state["tags"] == []
    engine.update(cluster, CLUSTER | {"nodePool": CLUSTER["nodePool"] | {"nodeCount": 2}})
    (pool,) = account.cloud.clusters.records[cluster.id].document["node_pools"]
    assert pool["count"] == 1


@pytest.mark.parametrize("scope", sorted(LISTED))
def test_without_a_listed_scope_its_call_is_refused(account: Account, engine: Engine, scope: str) -> None:
    account.cloud.tokens = {TOKEN: sorted((LISTED | {TAGS}) - {scope})}
    with pytest.raises(Refused, match=f"{REFUSED[scope]}.*: 403 "):
        life_of_a_stack(engine)


@pytest.fixture
def balancer(account: Account) -> str:
    """A load balancer's id, in an account that has the zone example.com."""
    account.cloud.domains["example.com"] = []
    identifier: str = account.cloud.load_balancers.create({"name": "kong", "region": "nyc1"})["id"]
    return identifier


def life_of_a_domain(engine: Engine, balancer: str) -> None:
    """The further calls of a stack with a domain."""
    engine.invoke("getDomains")
    engine.invoke("getLoadBalancer", id=balancer)
    asked: Properties = {"domain": "example.com", "type": "A", "name": "api", "value": "203.0.113.1", "ttl": 300}
    record = engine.create("DnsRecord", asked)
    record = engine.update(record, asked | {"value": "203.0.113.2"})
    engine.delete(record)


def test_the_scopes_listed_for_a_domain_are_enough_for_it(account: Account, engine: Engine, balancer: str) -> None:
    assert REFUSED_OF_A_DOMAIN.keys() == LISTED_FOR_A_DOMAIN
    account.cloud.tokens = {TOKEN: sorted(LISTED_FOR_A_DOMAIN)}
    life_of_a_domain(engine, balancer)


@pytest.mark.parametrize("scope", sorted(LISTED_FOR_A_DOMAIN))
def test_without_a_listed_scope_for_domains_its_call_is_refused(
    account: Account, engine: Engine, balancer: str, scope: str
) -> None:
    account.cloud.tokens = {TOKEN: sorted(LISTED_FOR_A_DOMAIN - {scope})}
    with pytest.raises(Refused, match=f"{REFUSED_OF_A_DOMAIN[scope]}.*: 403 "):
        life_of_a_domain(engine, balancer)
