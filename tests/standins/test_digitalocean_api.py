"""The DigitalOcean stand-in, seen through DigitalOcean's own client and through plain HTTP."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.app import create_app
from sandbox.digitalocean.kubernetes.records import ClusterRecord
from sandbox.digitalocean.settings import Settings
from tests.standins.account import CLUSTER, TOKEN, FakeKubernetes, Stand, served_account, until
from tests.standins.official_client import official_client
from tests.support import PATIENCE


@pytest.fixture
def stand() -> Iterator[Stand]:
    with served_account() as stand:
        yield stand


# clusters


def test_a_cluster_is_created_billed_and_deleted(stand: Stand) -> None:
    created = stand.api.kubernetes.create_cluster(CLUSTER)["kubernetes_cluster"]
    assert created["status"]["state"] == "provisioning"
    assert created["endpoint"] == ""
    until(lambda: stand.cluster(created["id"])["status"]["state"] == "running")
    cluster = stand.cluster(created["id"])
    assert cluster["endpoint"] == "https://127.0.0.1:16443"
    assert cluster["ha"] is False
    (pool,) = cluster["node_pools"]
    assert pool["tags"] == ["k8s", f"k8s:{cluster['id']}", "k8s:worker", "terraform:default-node-pool"]
    assert [node["status"]["state"] for node in pool["nodes"]] == ["running"]
    (droplet,) = stand.api.droplets.list(tag_name=f"k8s:{cluster['id']}")["droplets"]
    assert droplet["name"] == pool["nodes"][0]["name"]
    prices = {entry["kind"]: entry["price_hourly"] for entry in stand.billed()}
    assert prices == {"kubernetes_cluster": 0, "droplet": 0.01786}
    assert [c["id"] for c in stand.api.kubernetes.list_clusters()["kubernetes_clusters"]] == [cluster["id"]]

    stand.api.kubernetes.delete_cluster(cluster["id"])
    until(lambda: not stand.cloud.clusters.records)
    assert stand.refusal(lambda: stand.api.kubernetes.get_cluster(cluster["id"]))[0] == 404
    assert stand.kubernetes[0].stopped
    assert stand.billed() == []
    assert stand.ledger()["hourly"] == 0


def test_deleted_resources_are_billed_until_they_are_gone(stand: Stand) -> None:
    cluster = stand.running_cluster()
    stand.control("PUT", "settings", {"cluster_delete": 600})
    stand.api.kubernetes.delete_cluster(cluster["id"])
    assert stand.cluster(cluster["id"])["status"]["state"] == "deleted"
    assert stand.ledger(wait=0.2)["hourly"] > 0
    assert stand.refusal(lambda: stand.api.kubernetes.create_cluster(CLUSTER)) == (
        422,
        "a cluster with this name already exists",
    )


def test_the_ledger_waits_until_nothing_is_billed(stand: Stand) -> None:
    cluster = stand.running_cluster()
    stand.control("PUT", "settings", {"cluster_delete": 0.3})
    stand.api.kubernetes.delete_cluster(cluster["id"])
    assert stand.ledger(wait=PATIENCE)["hourly"] == 0


def test_a_cluster_takes_its_configured_time_to_start(stand: Stand) -> None:
    stand.control("PUT", "settings", {"cluster_create": 600})
    created = stand.api.kubernetes.create_cluster(CLUSTER)["kubernetes_cluster"]
    until(lambda: bool(stand.kubernetes))
    assert stand.cluster(created["id"])["status"]["state"] == "provisioning"
    assert stand.refusal(lambda: stand.api.kubernetes.get_credentials(created["id"]))[0] == 422
    stand.api.kubernetes.delete_cluster(created["id"])
    until(lambda: not stand.cloud.clusters.records)
    assert stand.kubernetes[0].stopped


def test_a_cluster_that_fails_to_start_is_billed_in_state_error(stand: Stand) -> None:
    def fail(_: ClusterRecord) -> FakeKubernetes:
        raise RuntimeError("no containerd")

    stand.cloud.clusters._start = fail  # noqa: SLF001 -- the one way to make it fail
    created = stand.api.kubernetes.create_cluster(CLUSTER)["kubernetes_cluster"]
    until(lambda: stand.cluster(created["id"])["status"]["state"] == "error")
    assert stand.cluster(created["id"])["status"]["message"] == "no containerd"
    assert stand.ledger()["hourly"] == 0.01786


def test_a_second_running_cluster_is_refused() -> None:
    cloud = Cloud(TOKEN, lambda _: FakeKubernetes(), Settings(cluster_create=600))
    client = create_app(cloud).test_client()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert client.post("/v2/kubernetes/clusters", json=CLUSTER, headers=headers).status_code == 201
    second = client.post("/v2/kubernetes/clusters", json=CLUSTER | {"name": "other"}, headers=headers)
    assert second.status_code == 422
    assert "one cluster at a time" in second.get_data(as_text=True)
    cloud.stop()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "My Cluster"}, "validation error: invalid cluster name"),
        ({"region": "nyc2"}, "validation error: invalid region"),
        ({"version": "1.20.0-do.0"}, "validation error: invalid version slug"),
        ({"node_pools": []}, "validation error: at least one node pool is needed"),
        (
            {"node_pools": [{"name": "a", "size": "s-1vcpu-1gb", "count": 1}]},
            "validation error: worker_node_pool_specs[0].invalid droplet size",
        ),
        (
            {"region": "syd1", "node_pools": [{"name": "a", "size": "c-2", "count": 1}]},
            "validation error: worker_node_pool_specs[0].invalid droplet size",
        ),
        (
            {"node_pools": [{"name": "a", "size": "s-1vcpu-2gb", "count": 11}]},
            "validation error: 11 additional nodes but not enough available droplet limit",
        ),
    ],
)
def test_an_invalid_cluster_is_refused(stand: Stand, changes: dict[str, Any], message: str) -> None:
    assert stand.refusal(lambda: stand.api.kubernetes.create_cluster(CLUSTER | changes)) == (422, message)
    assert stand.billed() == []


def test_high_availability_is_the_default_from_1_36(stand: Stand) -> None:
    implied = stand.running_cluster(name="a", version="1.36.3-do.0")
    refused = stand.running_cluster(name="b", version="1.36.3-do.0", ha=False)
    assert (implied["ha"], refused["ha"]) == (True, False)
    billed = {e["name"]: e["price_monthly"] for e in stand.billed() if e["kind"] == "kubernetes_cluster"}
    assert billed == {"a": 40, "b": 0}
    off = {"name": "a", "ha": False}
    assert stand.refusal(lambda: stand.api.kubernetes.update_cluster(implied["id"], off))[0] == 422


def test_a_cluster_is_renamed_and_upgraded_in_place(stand: Stand) -> None:
    cluster = stand.running_cluster()
    stand.api.kubernetes.update_cluster(cluster["id"], {"name": "renamed", "tags": ["team:a"]})
    stand.http.post(f"/v2/kubernetes/clusters/{cluster['id']}/upgrade", json={"version": "1.35.7-do.0"})
    until(lambda: stand.cluster(cluster["id"])["status"]["state"] == "running")
    now = stand.cluster(cluster["id"])
    assert (now["name"], now["version"], now["status"]["state"]) == ("renamed", "1.35.7-do.0", "running")
    assert now["tags"] == ["k8s", f"k8s:{cluster['id']}", "team:a"]


def test_nodes_are_billed_as_pools_grow_and_shrink(stand: Stand) -> None:
    cluster = stand.running_cluster()
    pool = cluster["node_pools"][0]
    first = pool["nodes"][0]["name"]
    stand.api.kubernetes.update_node_pool(cluster["id"], pool["id"], {"name": "default", "count": 3})
    extra = {"name": "extra", "size": "s-2vcpu-4gb", "count": 1}
    added = stand.api.kubernetes.add_node_pool(cluster["id"], extra)["node_pool"]
    assert len(stand.api.droplets.list()["droplets"]) == 4
    assert stand.ledger()["monthly"] == 3 * 12 + 24
    stand.api.kubernetes.update_node_pool(cluster["id"], pool["id"], {"name": "default", "count": 1})
    stand.api.kubernetes.delete_node_pool(cluster["id"], added["id"])
    until(lambda: stand.ledger()["monthly"] == 12)
    until(lambda: len(stand.cluster(cluster["id"])["node_pools"]) == 1)
    assert [node["name"] for node in stand.cluster(cluster["id"])["node_pools"][0]["nodes"]] == [first]


def test_the_fields_of_a_taint_are_read_in_any_case_and_answered_in_lower_case(stand: Stand) -> None:
    """DigitalOcean's Go client sends them capitalised."""
    sent, taint = {"Key": "t", "Effect": "NoSchedule"}, {"key": "t", "value": "", "effect": "NoSchedule"}
    cluster = stand.running_cluster(node_pools=[CLUSTER["node_pools"][0] | {"taints": [sent]}])  # type: ignore[operator]
    (pool,) = cluster["node_pools"]
    assert pool["taints"] == [taint]
    added = {"name": "extra", "size": "s-1vcpu-2gb", "count": 1, "taints": [sent]}
    assert stand.api.kubernetes.add_node_pool(cluster["id"], added)["node_pool"]["taints"] == [taint]
    changed = {"name": "default", "count": 1, "taints": [{"Key": "u", "Value": "v", "Effect": "NoExecute"}]}
    updated = stand.api.kubernetes.update_node_pool(cluster["id"], pool["id"], changed)["node_pool"]
    assert updated["taints"] == [{"key": "u", "value": "v", "effect": "NoExecute"}]
    changed["taints"] = [{"key": "u", "effect": "Never"}]
    refused = stand.refusal(lambda: stand.api.kubernetes.update_node_pool(cluster["id"], pool["id"], changed))
    assert refused == (422, "validation error: taint effect must be NoSchedule, PreferNoSchedule or NoExecute")


def test_null_fields_of_a_pool_update_change_nothing(stand: Stand) -> None:
    cluster = stand.running_cluster(node_pools=[CLUSTER["node_pools"][0] | {"labels": {"tier": "web"}}])  # type: ignore[operator]
    (pool,) = cluster["node_pools"]
    nulls = {"name": "default", "count": 1, "labels": None, "taints": None, "tags": None, "auto_scale": None}
    updated = stand.api.kubernetes.update_node_pool(cluster["id"], pool["id"], nulls)["node_pool"]
    assert updated == pool


# cluster credentials


def reviewed(stand: Stand, token: str) -> dict[str, Any]:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status: dict[str, Any] = stand.control("POST", "tokenreview", review)["status"]
    return status


def test_each_credentials_call_issues_a_new_valid_token(stand: Stand) -> None:
    cluster = stand.running_cluster()
    one, two = (stand.api.kubernetes.get_credentials(cluster["id"], expiry_seconds=0) for _ in range(2))
    assert one["token"] != two["token"]
    assert base64.b64decode(one["certificate_authority_data"]) == FakeKubernetes.ca_pem
    for token in (one["token"], two["token"]):
        assert reviewed(stand, token)["authenticated"] is True
        assert reviewed(stand, token)["user"]["groups"] == ["system:masters"]
    assert reviewed(stand, "stranger") == {"authenticated": False}


def test_a_kubeconfig_has_doctls_names_and_a_token(stand: Stand) -> None:
    cluster = stand.running_cluster()
    config = yaml.safe_load(stand.http.get(f"/v2/kubernetes/clusters/{cluster['id']}/kubeconfig").text)
    assert config["current-context"] == "do-nyc1-mycluster"
    assert config["users"][0]["name"] == "do-nyc1-mycluster-admin"
    assert reviewed(stand, config["users"][0]["user"]["token"])["authenticated"] is True


def test_an_expired_token_is_refused(stand: Stand) -> None:
    cluster = stand.running_cluster()
    short, week = (stand.api.kubernetes.get_credentials(cluster["id"], expiry_seconds=n) for n in (1, 0))
    until(lambda: reviewed(stand, short["token"]) == {"authenticated": False})
    assert reviewed(stand, week["token"])["authenticated"] is True
    lifetime = datetime.fromisoformat(week["expires_at"]) - datetime.fromisoformat(cluster["created_at"])
    assert lifetime // timedelta(hours=1) == 7 * 24
    stand.control("POST", f"clusters/{cluster['id']}/expire-tokens")
    assert reviewed(stand, week["token"]) == {"authenticated": False}


def test_every_issued_token_is_listed_for_leak_tests(stand: Stand) -> None:
    registry(stand)
    docker = stand.api.registries.get_docker_credentials("mine")["auths"]["127.0.0.1:5500"]["auth"]
    kubernetes = stand.api.kubernetes.get_credentials(stand.running_cluster()["id"])["token"]
    user, _, _ = base64.b64decode(docker).decode().partition(":")
    assert stand.control("GET", "secrets") == [TOKEN, user, kubernetes]


# what outlives a cluster


def associates(stand: Stand, cluster: dict[str, Any]) -> dict[str, str]:
    """A load balancer, volume and snapshot of the cluster, by kind."""
    tags = [f"k8s:{cluster['id']}"]
    rule = {"entry_protocol": "tcp", "entry_port": 80, "target_protocol": "tcp", "target_port": 30080}
    request = {"name": "lb", "region": "nyc1", "type": "REGIONAL", "tags": tags, "forwarding_rules": [rule]}
    balancer = stand.api.load_balancers.create(request)["load_balancer"]
    volume = stand.api.volumes.create({"name": "v", "region": "nyc1", "size_gigabytes": 10, "tags": tags})["volume"]
    snapshot = stand.api.volume_snapshots.create(volume["id"], {"name": "s", "tags": tags})["snapshot"]
    return {"load_balancers": balancer["id"], "volumes": volume["id"], "volume_snapshots": snapshot["id"]}


def test_a_plain_delete_leaves_billed_orphans(stand: Stand) -> None:
    cluster = stand.running_cluster()
    made = associates(stand, cluster)
    stand.api.kubernetes.delete_cluster(cluster["id"])
    until(lambda: not stand.cloud.clusters.records)
    assert {e["kind"]: e["price_monthly"] for e in stand.billed()} == {
        "load_balancer": 12,
        "volume": 1.0,
        "volume_snapshot": pytest.approx(0.6),
    }
    stand.api.load_balancers.delete(made["load_balancers"])
    stand.api.volumes.delete(made["volumes"])
    stand.api.snapshots.delete(made["volume_snapshots"])
    assert stand.billed() == []


def test_the_dangerous_delete_removes_all_tagged_resources(stand: Stand) -> None:
    cluster = stand.running_cluster()
    made = associates(stand, cluster)
    stranger = stand.api.volumes.create({"name": "mine", "region": "nyc1", "size_gigabytes": 1})["volume"]["id"]
    listed = stand.api.kubernetes.list_associated_resources(cluster["id"])
    assert {kind: [thing["id"] for thing in things] for kind, things in listed.items()} == {
        kind: [identifier] for kind, identifier in made.items()
    }
    stand.api.kubernetes.destroy_associated_resources_dangerous(cluster["id"])
    until(lambda: not stand.cloud.clusters.records)
    assert [entry["id"] for entry in stand.billed()] == [stranger]
    assert stand.refusal(lambda: stand.api.kubernetes.list_associated_resources(cluster["id"]))[0] == 404


def test_a_load_balancer_takes_time_to_be_created_and_deleted(stand: Stand) -> None:
    stand.control("PUT", "settings", {"load_balancer_create": 600, "load_balancer_delete": 600})
    request = {"name": "lb", "region": "nyc1"}
    balancer = stand.api.load_balancers.create(request)["load_balancer"]
    assert (balancer["status"], balancer["ip"], balancer["type"]) == ("new", "", "REGIONAL_NETWORK")
    stand.api.load_balancers.delete(balancer["id"])
    assert stand.api.load_balancers.get(balancer["id"])["load_balancer"]["id"] == balancer["id"]
    assert stand.ledger()["monthly"] == 15


# registries


def registry(stand: Stand, tier: str = "starter", name: str = "mine") -> Any:  # noqa: ANN401 -- pydo has no types
    return stand.api.registries.create({"name": name, "subscription_tier_slug": tier, "region": "nyc3"})["registry"]


def test_a_registry_is_billed_by_tier_and_single_below_professional(stand: Stand) -> None:
    assert registry(stand)["subscription"]["tier"]["included_repositories"] == 1
    assert stand.ledger()["monthly"] == 0
    assert stand.refusal(lambda: registry(stand, name="second")) == (422, "user already has a registry")
    assert stand.refusal(lambda: registry(stand)) == (409, "name already exists")
    stand.api.registries.update_subscription({"tier_slug": "professional"})
    assert stand.ledger()["monthly"] == 20
    registry(stand, "professional", "second")
    assert stand.ledger()["monthly"] == 20
    stand.api.registries.delete("mine")
    assert stand.ledger()["monthly"] == 20
    assert stand.api.registries.get("second")["registry"]["name"] == "second"
    stand.api.registries.delete("second")
    assert stand.billed() == []


def test_a_registry_lives_in_registry_regions_only_and_names_are_global(stand: Stand) -> None:
    wrong = {"name": "mine", "subscription_tier_slug": "starter", "region": "nyc1"}
    assert stand.refusal(lambda: stand.api.registry.create(wrong))[0] == 422
    stand.control("PUT", "settings", {"registry_names_taken": ["mine"]})
    assert stand.refusal(lambda: registry(stand)) == (409, "name already exists")
    assert stand.refusal(lambda: stand.api.registry.validate_name({"name": "mine"}))[0] == 409


def registry_token(stand: Stand, user: str, password: str, *scopes: str) -> tuple[int, Any]:
    answer = httpx.get(
        f"{stand.url}/_registry/token",
        params={"service": "registry", "scope": list(scopes)},
        auth=(user, password),
        trust_env=False,
        timeout=PATIENCE,
    )
    return answer.status_code, answer.json()


def test_the_free_tier_takes_one_repository_and_denies_the_second(stand: Stand) -> None:
    registry(stand)
    for _ in range(2):
        status, answer = registry_token(stand, TOKEN, TOKEN, "repository:mine/apps:pull,push")
        assert (status, answer["token"]) == (200, "digitalocean:mine/apps=pull+push")
    status, answer = registry_token(stand, TOKEN, TOKEN, "repository:mine/other:pull,push")
    message = "registry contains 1 repositories, limit is 1"
    assert (status, answer) == (403, {"errors": [{"code": "DENIED", "message": message}]})
    stand.api.registries.update_subscription({"tier_slug": "basic"})
    assert registry_token(stand, TOKEN, TOKEN, "repository:mine/other:pull,push")[0] == 200
    assert stand.refusal(lambda: stand.api.registries.update_subscription({"tier_slug": "starter"}))[0] == 412


def test_docker_credentials_pull_and_push_only_when_asked_for(stand: Stand) -> None:
    registry(stand)

    def login(*, read_write: bool) -> tuple[str, str]:
        query = {"read_write": str(read_write).lower()}
        credentials = stand.http.get("/v2/registries/mine/docker-credentials", params=query).json()
        user, _, password = base64.b64decode(credentials["auths"]["127.0.0.1:5500"]["auth"]).decode().partition(":")
        return user, password

    wanted = "repository:mine/apps:pull,push"
    reader, writer = login(read_write=False), login(read_write=True)
    assert registry_token(stand, *reader, wanted)[1]["token"] == "digitalocean:mine/apps=pull"  # noqa: S105 -- not one
    assert registry_token(stand, *writer, wanted)[1]["token"] == "digitalocean:mine/apps=pull+push"  # noqa: S105 -- not one
    assert registry_token(stand, "who", "knows", wanted)[0] == 401
    assert registry_token(stand, *writer, "repository:unknown/apps:pull")[0] == 403


def test_the_token_service_accepts_the_oauth_form(stand: Stand) -> None:
    registry(stand)
    form = {"grant_type": "password", "username": "x", "password": TOKEN, "service": "registry"}
    scope = "repository:mine/apps:pull,push repository:library/python:pull"
    answer = httpx.post(f"{stand.url}/_registry/token", data=form | {"scope": scope}, trust_env=False, timeout=PATIENCE)
    assert answer.json()["access_token"] == "digitalocean:mine/apps=pull+push"  # noqa: S105 -- not one


# the account


def test_the_catalogue_lists_cluster_options(stand: Stand) -> None:
    options = stand.api.kubernetes.list_options()["options"]
    assert [version["slug"] for version in options["versions"]] == ["1.36.3-do.0", "1.35.7-do.0", "1.34.10-do.0"]
    sizes = {size["slug"]: size for size in stand.api.sizes.list()["sizes"]}
    assert sizes["s-1vcpu-2gb"]["price_hourly"] == 0.01786
    assert {size["slug"] for size in options["sizes"]} <= set(sizes)
    assert {region["slug"] for region in options["regions"]} <= {r["slug"] for r in stand.api.regions.list()["regions"]}
    assert stand.api.account.get()["account"]["droplet_limit"] == 10


def test_lists_are_paginated_with_links(stand: Stand) -> None:
    for number in range(5):
        stand.api.volumes.create({"name": f"v{number}", "region": "nyc1", "size_gigabytes": 1})
    seen, page = [], stand.api.volumes.list(per_page=2)
    assert page["meta"]["total"] == 5
    while True:
        seen += [volume["name"] for volume in page["volumes"]]
        if "next" not in page["links"].get("pages", {}):
            break
        page = stand.http.get(page["links"]["pages"]["next"]).json()
    assert seen == ["v0", "v1", "v2", "v3", "v4"]
    assert stand.api.volumes.list(per_page=200)["links"] == {}


# tokens, limits, trouble


def test_a_wrong_token_is_401_and_a_missing_scope_403(stand: Stand) -> None:
    wrong = official_client(stand.url, "dop_v1_wrong")
    assert stand.refusal(wrong.account.get) == (401, "Unable to authenticate you.")
    stand.control("PUT", "tokens", {"reader": ["kubernetes:read"], "all": ["api:read"], TOKEN: None})
    reader, everything = (official_client(stand.url, token) for token in ("reader", "all"))
    assert reader.kubernetes.list_clusters()["kubernetes_clusters"] == []
    forbidden = (403, "you do not have access for the attempted action")
    assert stand.refusal(reader.account.get) == forbidden
    assert everything.account.get()["account"]["status"] == "active"
    assert stand.refusal(lambda: reader.kubernetes.create_cluster(CLUSTER)) == forbidden
    cluster = stand.running_cluster()
    assert stand.refusal(lambda: reader.kubernetes.get_credentials(cluster["id"])) == forbidden
    registry(stand)
    assert stand.refusal(lambda: everything.registries.get_docker_credentials("mine")) == forbidden


def test_without_the_tag_scope_responses_have_no_tags(stand: Stand) -> None:
    cluster = stand.running_cluster(tags=["shop"])
    stand.control("PUT", "tokens", {"reader": ["kubernetes:read", "droplet:read"], TOKEN: None})
    reader = official_client(stand.url, "reader")
    assert '"tags"' not in json.dumps(reader.kubernetes.get_cluster(cluster["id"]))
    assert '"tags"' not in json.dumps(reader.droplets.list())
    assert "shop" in stand.cluster(cluster["id"])["tags"]
    stand.control("PUT", "tokens", {"reader": ["kubernetes:read", "tag:read"]})
    assert "shop" in reader.kubernetes.get_cluster(cluster["id"])["kubernetes_cluster"]["tags"]


def test_an_update_with_null_fields_changes_nothing(stand: Stand) -> None:
    cluster = stand.running_cluster()
    nulls = {
        "name": "mycluster",
        "control_plane_firewall": {"enabled": None, "allowed_addresses": None},
        "cluster_autoscaler_configuration": {"scale_down_unneeded_time": None},
        "maintenance_policy": {"day": "any", "start_time": "00:00", "duration": ""},
    }
    updated = stand.api.kubernetes.update_cluster(cluster["id"], nulls)["kubernetes_cluster"]
    assert updated | {"updated_at": cluster["updated_at"]} == cluster


def test_an_update_without_a_name_keeps_it(stand: Stand) -> None:
    cluster = stand.running_cluster()
    answer = stand.http.put(f"/v2/kubernetes/clusters/{cluster['id']}", json={"auto_upgrade": True}).raise_for_status()
    updated = answer.json()["kubernetes_cluster"]
    assert (updated["name"], updated["auto_upgrade"]) == ("mycluster", True)


def test_a_minor_version_selects_its_newest_patch(stand: Stand) -> None:
    created = stand.api.kubernetes.create_cluster(CLUSTER | {"version": "1.35"})["kubernetes_cluster"]
    newest = next(slug for slug in stand.cloud.settings.versions if slug.startswith("1.35."))
    assert created["version"] == newest


def test_a_record_is_renamed(stand: Stand) -> None:
    stand.api.domains.create({"name": "example.com"})
    record = {"type": "A", "name": "www", "data": "192.0.2.1", "ttl": 60}
    identifier = stand.api.domains.create_record("example.com", record)["domain_record"]["id"]
    changed = stand.api.domains.patch_record("example.com", identifier, {"type": "A", "name": "api"})["domain_record"]
    assert {key: changed[key] for key in record} == record | {"name": "api"}


def test_a_firewall_without_addresses_has_an_empty_list(stand: Stand) -> None:
    """DigitalOcean's Go client sends null for it."""
    off = {"enabled": False, "allowed_addresses": None}
    cluster = stand.running_cluster(control_plane_firewall=off)
    assert cluster["control_plane_firewall"] == {"enabled": False, "allowed_addresses": []}
    on = {"name": "mycluster", "control_plane_firewall": {"enabled": True, "allowed_addresses": ["203.0.113.0/24"]}}
    stand.api.kubernetes.update_cluster(cluster["id"], on)
    updated = stand.api.kubernetes.update_cluster(cluster["id"], on | {"control_plane_firewall": off})
    assert updated["kubernetes_cluster"]["control_plane_firewall"] == {"enabled": False, "allowed_addresses": []}


def test_a_vpc_keeps_its_description(stand: Stand) -> None:
    created = stand.api.vpcs.create({"name": "shop", "region": "nyc1", "description": "of the shop"})["vpc"]
    assert created["description"] == "of the shop"
    renamed = stand.http.patch(f"/v2/vpcs/{created['id']}", json={"name": "store"}).raise_for_status().json()["vpc"]
    assert renamed == created | {"name": "store"}
    emptied = stand.api.vpcs.update(created["id"], {"name": "shop", "description": ""})["vpc"]
    assert emptied["description"] == ""


def test_every_endpoint_requires_a_scope(stand: Stand) -> None:
    app = create_app(stand.cloud)
    open_to_all = set()
    stand.cloud.tokens["nothing"] = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/v2/"):
            path = re.sub("<.+?>", "1", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                answer = app.test_client().open(path, method=method, headers={"Authorization": "Bearer nothing"})
                if answer.status_code != 403:
                    open_to_all.add(f"{method} {path}")
    assert open_to_all == set()


def test_a_missing_resource_is_the_apis_404(stand: Stand) -> None:
    assert stand.refusal(lambda: stand.api.load_balancers.get("1")) == (
        404,
        "The resource you were accessing could not be found.",
    )
    answer = stand.http.get("/v2/no-such-thing")
    assert (answer.status_code, answer.json()["id"]) == (404, "not_found")
    broken = stand.http.post("/v2/registry", content="{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["id"]) == (400, "bad_request")


def test_the_rate_limit_is_counted_and_enforced(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    # All of it in one minute, whatever it takes.
    monkeypatch.setattr("sandbox.digitalocean.faults.time", SimpleNamespace(time=lambda: 0.0))
    first, second = (stand.http.get("/v2/account") for _ in range(2))
    assert int(first.headers["ratelimit-remaining"]) - int(second.headers["ratelimit-remaining"]) == 1
    assert first.headers["ratelimit-limit"] == "5000"
    stand.control("PUT", "settings", {"requests_per_minute": 2})
    third = stand.http.get("/v2/account")
    assert (third.status_code, third.json()["id"]) == (429, "too_many_requests")
    assert 0 < int(third.headers["retry-after"]) <= 60
    stand.control("PUT", "settings", {"requests_per_minute": 250, "requests_per_hour": 2})
    assert stand.http.get("/v2/account").status_code == 429


def test_a_fault_status_affects_only_the_chosen_calls(stand: Stand) -> None:
    fault = {
        "method": "GET",
        "path": "/v2/sizes",
        "status": 429,
        "headers": {"retry-after": "7"},
        "skip": 1,
        "times": 2,
    }
    stand.control("POST", "faults", fault)
    answers = [stand.http.get("/v2/sizes") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["retry-after"] == "7"
    assert stand.http.get("/v2/regions").status_code == 200
    stand.control("POST", "faults", {"path": "/v2/sizes", "times": None})
    assert stand.http.get("/v2/sizes").status_code == 500
    stand.control("DELETE", "faults")
    assert stand.http.get("/v2/sizes").status_code == 200


@pytest.mark.parametrize(("kind", "took_effect"), [("refuse", False), ("timeout", False), ("drop_after", True)])
def test_a_call_whose_response_is_lost_may_have_taken_effect(stand: Stand, kind: str, took_effect: bool) -> None:
    stand.control("POST", "faults", {"method": "POST", "path": "/v2/registries$", "kind": kind, "seconds": 0.1})
    with pytest.raises(httpx.RemoteProtocolError):
        stand.http.post("/v2/registries", json={"name": "mine", "subscription_tier_slug": "basic"})
    assert ("mine" in stand.cloud.registries.documents) is took_effect
    (call,) = stand.control("GET", "calls")
    assert (call["method"], call["path"], call["status"], call["fault"]) == ("POST", "/v2/registries", None, kind)


def test_every_call_is_logged(stand: Stand) -> None:
    stand.api.sizes.list()
    stand.http.get("/v2/no-such-thing")
    calls = stand.control("GET", "calls")
    assert [(c["method"], c["path"], c["status"]) for c in calls] == [
        ("GET", "/v2/sizes", 200),
        ("GET", "/v2/no-such-thing", 404),
    ]
    assert TOKEN not in str(calls)
    stand.control("DELETE", "calls")
    assert stand.control("GET", "calls") == []


def test_a_misspelt_fault_or_setting_is_refused(stand: Stand) -> None:
    for method, path, body in (("POST", "faults", {"kind": "explode"}), ("PUT", "settings", {"cluster_craete": 1})):
        answer = stand.http.request(method, f"/_control/{path}", json=body)
        assert answer.status_code == 400
        assert next(iter(body)) in answer.json()["message"]
