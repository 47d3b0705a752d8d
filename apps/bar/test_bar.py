"""The answers of the bar microservice."""

import pytest

from apps.bar.app import app
from apps.bar.tracing import post_worker_init

client = app.test_client()


def test_the_response_is_the_tutorials_json() -> None:
    response = client.get("/bar")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.text == '{"msg":"Hello from the bar microservice"}\n'


def test_the_health_endpoint_returns_200() -> None:
    assert client.get("/healthz").status_code == 200


def test_unknown_paths_return_404() -> None:
    assert client.get("/").status_code == 404
    assert client.post("/bar").status_code == 405


def test_without_a_collector_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    post_worker_init(None)  # no worker is touched
