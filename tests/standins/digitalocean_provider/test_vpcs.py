"""The `digitalocean` provider's private networks, and the firewall of a control plane."""

import threading

import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.digitalocean.provider.properties import Properties
from tests.reliability.part import until
from tests.standins.digitalocean_provider.clusters import PROGRAM, cluster
from tests.standins.digitalocean_provider.engine import Account, Engine, Refused

SHOP: Properties = {"name": "shop", "region": "nyc1", "ipRange": "10.120.0.0/20"}
NONE = provider_pb2.DiffResponse.DIFF_NONE


def test_a_cluster_is_in_its_vpc_or_the_regions_default_vpc(account: Account, engine: Engine) -> None:
    other = cluster(engine, name="other")
    shop = engine.create("Vpc", SHOP)
    assert engine.diff(shop, SHOP).changes == NONE
    made = cluster(engine, vpcUuid=shop.id)
    assert made.state["vpcUuid"] == shop.id != other.state["vpcUuid"]
    assert account.cloud.vpcs[other.state["vpcUuid"]]["default"]
    assert engine.diff(made, PROGRAM).changes == NONE
    assert list(engine.diff(made, PROGRAM | {"vpcUuid": other.state["vpcUuid"]}).replaces) == ["vpcUuid"]


def test_a_vpc_can_be_deleted_without_members(account: Account, engine: Engine) -> None:
    cluster(engine, name="other")
    shop = engine.create("Vpc", SHOP)
    made = cluster(engine, vpcUuid=shop.id)
    account.settings.cluster_delete = 600
    engine.delete(made)
    account.calls.clear()
    end = threading.Thread(target=engine.delete, args=[shop])
    end.start()
    until(lambda: len(account.calls) > 1)
    account.settings.cluster_delete = 0
    end.join()
    assert {method for method, _, _ in account.calls} == {"DELETE"}
    assert shop.id not in account.cloud.vpcs
    until(lambda: made.id not in account.cloud.clusters.records)


def test_a_vpc_is_renamed_in_place_to_a_free_name(account: Account, engine: Engine) -> None:
    taken = engine.create("Vpc", {"name": "taken", "region": "fra1"})
    shop = engine.create("Vpc", SHOP)
    renamed = SHOP | {"name": "other"}
    assert list(engine.diff(shop, renamed).replaces) == []
    assert engine.update(shop, renamed).id == shop.id
    assert account.cloud.vpcs[shop.id]["name"] == "other"
    (update,) = (body for method, _, body in account.calls if method == "PUT")
    assert "description" not in update
    with pytest.raises(Refused, match="Name is already in use"):
        engine.update(shop, SHOP | {"name": account.cloud.vpcs[taken.id]["name"]})


def test_the_first_vpc_of_a_region_is_its_default_and_cannot_be_deleted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.digitalocean.provider.vpc.Vpc.delete_seconds", 0.1)
    shop = engine.create("Vpc", SHOP)
    with pytest.raises(Refused, match=r"403 .*Can not delete default VPCs"):
        engine.delete(shop)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a b"}, "Name must only contain"),
        ({"name": "taken"}, "Name is already in use"),
        ({"ipRange": "8.8.0.0/20"}, "IP range must be private"),
        ({"ipRange": "10.121.0.0/20"}, "overlaps with another VPC"),
    ],
)
def test_an_invalid_vpc_is_refused(engine: Engine, changes: Properties, message: str) -> None:
    engine.create("Vpc", {"name": "taken", "region": "fra1", "ipRange": "10.121.0.0/20"})
    with pytest.raises(Refused, match=message):
        engine.create("Vpc", SHOP | changes)


def test_a_cluster_cannot_use_a_vpc_of_another_region(engine: Engine) -> None:
    other = engine.create("Vpc", SHOP | {"region": "fra1"})
    with pytest.raises(Refused, match="VPC does not exist in this region"):
        cluster(engine, vpcUuid=other.id)


def test_a_firewall_is_set_changed_and_kept_if_unset(account: Account, engine: Engine) -> None:
    firewall: Properties = {"controlPlaneFirewall": {"enabled": True, "allowedAddresses": ["203.0.113.0/24"]}}
    made = cluster(engine, **firewall)
    document = account.cloud.clusters.records[made.id].document
    assert document["control_plane_firewall"] == {"enabled": True, "allowed_addresses": ["203.0.113.0/24"]}
    assert engine.diff(made, PROGRAM | firewall).changes == NONE
    assert engine.diff(made, PROGRAM).changes == NONE
    off: Properties = {"controlPlaneFirewall": {"enabled": False, "allowedAddresses": []}}
    updated = engine.update(made, PROGRAM | off)
    sent = next(body for method, _, body in account.calls if method == "PUT")
    assert sent["control_plane_firewall"] == {"enabled": False, "allowed_addresses": None}
    assert document["control_plane_firewall"] == {"enabled": False, "allowed_addresses": []}
    assert engine.diff(updated, PROGRAM | off).changes == NONE
