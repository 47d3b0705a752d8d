"""The bill: each resource with its price, its start and its end."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.digitalocean.catalog import BILLED_HOURS


def timestamp(moment: datetime | None = None) -> str:
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Entry:
    kind: str
    id: str
    name: str
    tags: list[str]
    price_monthly: float
    price_hourly: float
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def amount(self) -> float:
        """Dollars so far: by the second, never more than a month's price a month."""
        hours = ((self.ended_at or datetime.now(UTC)) - self.created_at).total_seconds() / 3600
        return min(self.price_hourly * hours, self.price_monthly)

    def document(self) -> dict[str, Any]:
        return asdict(self) | {
            "created_at": timestamp(self.created_at),
            "ended_at": self.ended_at and timestamp(self.ended_at),
            "amount": round(self.amount, 6),
        }


class Ledger:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def _current(self, kind: str, identifier: str) -> Entry | None:
        return next((e for e in self.entries if (e.kind, e.id, e.ended_at) == (kind, identifier, None)), None)

    def bill(self, kind: str, identifier: str, name: str, price_monthly: float, tags: list[str]) -> None:
        """Bills a resource from now on. A new price ends the old entry and begins another."""
        current = self._current(kind, identifier)
        if current and current.price_monthly == price_monthly:
            current.name, current.tags = name, tags
            return
        self.end(kind, identifier)
        hourly = round(price_monthly / BILLED_HOURS, 5)
        self.entries.append(Entry(kind, identifier, name, tags, price_monthly, hourly, datetime.now(UTC)))

    def end(self, kind: str, identifier: str) -> None:
        if current := self._current(kind, identifier):
            current.ended_at = datetime.now(UTC)

    @property
    def hourly(self) -> float:
        """The current price of an hour, in dollars."""
        return round(sum(entry.price_hourly for entry in self.entries if entry.ended_at is None), 5)

    def document(self) -> dict[str, Any]:
        monthly = sum(entry.price_monthly for entry in self.entries if entry.ended_at is None)
        entries = [entry.document() for entry in self.entries]
        return {"entries": entries, "hourly": self.hourly, "monthly": round(monthly, 2)}
