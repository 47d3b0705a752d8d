"""Records of the stack's domain, if the account hosts its zone."""

from typing import Any

from infra.config.settings import Settings
from ops.account.documents import Record, Zone
from ops.digitalocean import Api, segment

ADDRESSES = ("A", "AAAA", "CNAME")
"""Types that lead clients somewhere."""


def domain_records(api: Api, settings: Settings) -> dict[str, list[Record]]:
    """Returns the records of the domain by the zones that could hold them; empty without a domain.

    Raises:
        ApiError: the account can't be read.
    """
    tls = settings.tls
    if not tls or not settings.creates_cluster:
        return {}
    zones = [zone.name for zone in api.list("domains", "domains", Zone) if tls.is_in_zone(zone.name)]
    query = {"name": tls.domain}
    return {
        zone: list(api.list(f"domains/{segment(zone)}/records", "domain_records", Record, query=query))
        for zone in zones
    }


def own_record(api: Api, identifier: str, resource: dict[str, Any]) -> Record | None:
    """Reads a record of the state, whatever the domain is now; None if it, or its zone, is gone.

    Raises:
        ApiError: the account can't be read.
    """
    return api.find(
        f"domains/{segment(resource['inputs']['domain'])}/records/{segment(identifier)}", "domain_record", Record
    )
