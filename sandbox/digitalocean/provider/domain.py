"""DNS records, and the functions that read domains and load balancers."""
# ruff: noqa: ARG002 -- the methods' parameters are Resource's

from typing import ClassVar
from uuid import uuid4

from sandbox.digitalocean.provider.client import Client, ProviderError
from sandbox.digitalocean.provider.properties import Properties
from sandbox.digitalocean.provider.resource import Input, Resource, Shape, not_empty, one_of, within


class DnsRecord(Resource):
    """`value` is `data` at the API, and `fqdn` is the provider's own. Inputs for other types than A are refused."""

    shape: ClassVar[Shape] = Shape(
        {
            "domain": Input(required=True, force_new=True, invalid=not_empty),
            "type": Input(
                required=True,
                force_new=True,
                invalid=one_of("A", "AAAA", "CAA", "CNAME", "MX", "NS", "TXT", "SRV"),
            ),
            "name": Input(invalid=not_empty),
            "value": Input(required=True),
            "ttl": Input(computed=True, invalid=within(0)),
        },
        ("fqdn",),
    )

    def create(self, api: Client, config: Properties, seconds: float) -> tuple[str, Properties]:
        path = f"domains/{config['domain']}/records"
        made = api.call("Failed to create record", "POST", path, self._body(config))["domain_record"]
        return self.created(api, str(made["id"]), self._state(config, made))

    def read(self, api: Client, identity: str, state: Properties) -> Properties | None:
        answer = api.find("Error retrieving record", "GET", f"domains/{state['domain']}/records/{identity}")
        return self._state(state, answer["domain_record"]) if answer else None

    def update(self, api: Client, identity: str, olds: Properties, config: Properties) -> Properties | None:
        api.call("Failed to update record", "PUT", f"domains/{config['domain']}/records/{identity}", self._body(config))
        return self.read(api, identity, olds | config)

    def delete(self, api: Client, identity: str, state: Properties, seconds: float) -> None:
        api.find("Error deleting record", "DELETE", f"domains/{state['domain']}/records/{identity}")

    @staticmethod
    def _body(config: Properties) -> Properties:
        body = {key: config[key] for key in ("type", "name", "ttl")}
        return {key: value for key, value in body.items() if value is not None} | {"data": config["value"]}

    @staticmethod
    def _state(config: Properties, record: Properties) -> Properties:
        name, domain = record["name"], config["domain"]
        known = {key: record[key] for key in ("type", "name", "ttl")}
        fqdn = domain if name == "@" else f"{name}.{domain}"
        return {"domain": domain, **known, "value": record["data"], "fqdn": fqdn}


def get_domains(api: Client, args: Properties) -> Properties:
    """The account's zones, from every page."""
    if args.get("filters") or args.get("sorts"):
        raise ProviderError("not in the stand-in: filters and sorts")
    zones: list[Properties] = []
    number = 1
    while True:
        listed = api.call("Error retrieving domains", "GET", f"domains?page={number}&per_page=200")
        zones += listed["domains"]
        if len(zones) >= listed["meta"]["total"]:
            break
        number += 1
    domains = [{"name": domain["name"], "ttl": domain["ttl"], "urn": f"do:domain:{domain['name']}"} for domain in zones]
    return {"id": str(uuid4()), "domains": domains}


def get_load_balancer(api: Client, args: Properties) -> Properties:
    """A load balancer by its id: the fields of the official answer that the stand-in's API has."""
    if not args.get("id"):
        raise ProviderError("not in the stand-in: a load balancer by its name")
    balancer = api.call("Error retrieving load balancer", "GET", f"load_balancers/{args['id']}")["load_balancer"]
    return {
        "id": balancer["id"],
        "name": balancer["name"],
        "ip": balancer["ip"],
        "type": balancer["type"],
        "status": balancer["status"],
        "region": balancer["region"]["slug"],
        "sizeUnit": balancer["size_unit"],
        "vpcUuid": balancer["vpc_uuid"],
        "dropletIds": balancer["droplet_ids"],
        "enableProxyProtocol": balancer["enable_proxy_protocol"],
        "loadBalancerUrn": f"do:loadbalancer:{balancer['id']}",
    }
