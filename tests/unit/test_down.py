"""`make down`, where it doesn't end at zero."""

import pytest
from rich.console import Console

from sandbox import tour


def test_what_is_still_billed_comes_with_the_command_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"kind": "droplet", "name": "left", "price_monthly": 12.0, "created_at": "2026-11-23T12:00:00Z"}
    monkeypatch.setattr(tour, "pulumi", lambda *_: None)
    monkeypatch.setattr(tour, "ledger", lambda **_: {"hourly": 0.01786, "entries": [entry | {"ended_at": None}]})
    with pytest.raises(tour.TourError, match=r"fix: .*python -m ops doctor --stack sandbox"):
        tour.down(Console(quiet=True))
