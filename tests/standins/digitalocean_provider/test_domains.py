"""Domains: the API through DigitalOcean's own client, the provider's records, and the name servers that answer them."""

from typing import Any

import pytest
from dnslib import RCODE, DNSRecord

from sandbox.acme import server as acme
from sandbox.digitalocean.faults import Fault
from sandbox.digitalocean.provider.properties import Properties, decode
from sandbox.host.addresses import FIRST_LOAD_BALANCER, NODE_GATEWAY
from tests.standins.digitalocean_provider.engine import TOKEN, Account, Engine, Refused
from tests.standins.official_client import official_client

RECORD: Properties = {"domain": "example.com", "type": "A", "name": "api", "value": "203.0.113.1", "ttl": 300}


@pytest.fixture
def zone(account: Account) -> Any:  # noqa: ANN401 -- pydo has no types
    """The client of an account that has the zone example.com."""
    client = official_client(account.url, TOKEN)
    client.domains.create({"name": "example.com"})
    account.calls.clear()
    return client


def test_a_zone_starts_with_digitaloceans_name_servers(zone: Any) -> None:  # noqa: ANN401
    assert [domain["name"] for domain in zone.domains.list()["domains"]] == ["example.com"]
    servers = zone.domains.list_records("example.com")["domain_records"]
    assert [(server["type"], server["data"]) for server in servers] == [
        ("NS", f"ns{number}.digitalocean.com") for number in (1, 2, 3)
    ]
    asked = {"type": "A", "name": "www", "data": "203.0.113.9"}
    made = zone.domains.create_record("example.com", asked)["domain_record"]
    empty = dict.fromkeys(("priority", "port", "weight", "flags", "tag"))
    assert made == asked | empty | {"id": made["id"], "ttl": 1800}
    assert zone.domains.list_records("example.com", name="www.example.com")["domain_records"] == [made]
    assert zone.domains.list_records("example.com", name="www")["domain_records"] == []
    zone.domains.delete_record("example.com", made["id"])
    assert zone.domains.get_record("example.com", made["id"])["id"] == "not_found"


@pytest.mark.usefixtures("zone")
def test_a_record_is_created_updated_and_deleted(account: Account, engine: Engine) -> None:
    made = engine.create("DnsRecord", RECORD)
    sent = {"type": "A", "name": "api", "data": "203.0.113.1", "ttl": 300}
    assert account.calls[0] == ("POST", "domains/example.com/records", sent)
    assert [call[:2] for call in account.calls[1:]] == [("GET", f"domains/example.com/records/{made.id}")]
    assert made.state["fqdn"] == "api.example.com"
    assert not engine.diff(made, RECORD).diffs
    moved = RECORD | {"value": "203.0.113.2"}
    assert not engine.diff(made, moved).replaces
    made = engine.update(made, moved)
    refreshed = engine.refresh(made)
    assert refreshed is not None
    assert refreshed.state["value"] == "203.0.113.2"
    assert list(engine.diff(made, RECORD | {"domain": "example.org"}).replaces) == ["domain"]
    engine.delete(made)
    assert engine.refresh(made) is None
    engine.delete(made)  # a missing record is no error


@pytest.mark.usefixtures("zone")
def test_a_record_whose_read_fails_after_its_create_is_stored_as_partial(account: Account, engine: Engine) -> None:
    account.cloud.faults.append(Fault(method="GET", path="records", status=403))
    with pytest.raises(Refused, match="Error retrieving record") as refused:
        engine.create("DnsRecord", RECORD)
    assert refused.value.partial
    assert refused.value.partial[1]["value"] == "203.0.113.1"


def test_a_record_in_a_zone_of_another_account_is_refused(engine: Engine) -> None:
    with pytest.raises(Refused, match=r"Failed to create record: POST .*/domains/example.com/records: 404"):
        engine.create("DnsRecord", RECORD)


@pytest.mark.usefixtures("zone")
def test_the_accounts_zones_are_listed(engine: Engine) -> None:
    domains = decode(engine.invoke("getDomains"))["domains"]
    assert domains == [{"name": "example.com", "ttl": 1800, "urn": "do:domain:example.com"}]


def test_a_load_balancers_address_is_found_by_its_id(account: Account, engine: Engine) -> None:
    account.settings.load_balancer_create = 0
    account.cloud.settings.load_balancer_create = 0
    balancer = account.cloud.load_balancers.create({"name": "kong", "region": "nyc1", "type": "REGIONAL"})
    answer = decode(engine.invoke("getLoadBalancer", id=balancer["id"]))
    assert (answer["ip"], answer["region"], answer["status"]) == (FIRST_LOAD_BALANCER, "nyc1", "active")
    with pytest.raises(Refused, match="404"):
        engine.invoke("getLoadBalancer", id="00000000-0000-4000-8000-000000000000")


def test_the_name_servers_resolve_the_zones_to_reachable_addresses(
    account: Account,
    zone: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acme, "API", account.url)
    for name, address in (("api", FIRST_LOAD_BALANCER), ("@", "203.0.113.1")):
        zone.domains.create_record("example.com", {"type": "A", "name": name, "data": address})

    def answer(name: str, kind: str = "A", *, inside: bool = False) -> tuple[int, list[str]]:
        reply = acme.Zones(inside=inside).resolve(DNSRecord.question(name, kind), None)
        return reply.header.rcode, [str(record.rdata) for record in reply.rr]

    assert answer("API.example.com.") == (0, [FIRST_LOAD_BALANCER])
    assert answer("api.example.com", inside=True) == (0, [NODE_GATEWAY])
    assert answer("example.com", inside=True) == (0, ["203.0.113.1"])
    assert answer("api.example.com", "AAAA") == (0, [])
    assert answer("other.example.com") == (RCODE.NXDOMAIN, [])
