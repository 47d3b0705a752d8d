"""`make up` and `make down`, where something is not as it should be."""

from pathlib import Path

import httpx
import pytest
from rich.console import Console

from sandbox import demo as tour

DOCTOR = r"fix: .*python -m ops doctor --stack sandbox"


def test_what_is_still_billed_comes_with_the_command_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"kind": "droplet", "name": "left", "price_monthly": 12.0, "created_at": "2026-11-23T12:00:00Z"}
    monkeypatch.setattr(tour, "pulumi", lambda *_: None)
    monkeypatch.setattr(tour, "ledger", lambda **_: {"hourly": 0.01786, "entries": [entry | {"ended_at": None}]})
    with pytest.raises(tour.TourError, match=DOCTOR):
        tour.down(Console(quiet=True))


def test_a_destroy_that_fails_comes_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: str) -> None:
        raise tour.TourError(arguments[0])

    monkeypatch.setattr(tour, "pulumi", failing)
    with pytest.raises(tour.TourError, match=rf"{DOCTOR}; or .* -m sandbox stop"):
        tour.down(Console(quiet=True))


def test_a_route_that_answers_something_else_is_no_success(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tour, "KUBECONFIG", tmp_path / "kubeconfig")
    monkeypatch.setattr(tour, "pulumi", lambda *_: None)
    monkeypatch.setattr(tour, "_ops", lambda *_: None)
    monkeypatch.setattr(tour, "output", lambda *_: "gateway")
    monkeypatch.setattr(httpx, "get", lambda url, **_: httpx.Response(404 if url.endswith("gateway") else 503))
    with pytest.raises(tour.TourError, match=rf"http://gateway/foo answered 503 instead of 200; {DOCTOR}"):
        tour.up(Console(quiet=True))
