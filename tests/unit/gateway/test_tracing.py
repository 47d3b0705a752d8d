"""Traces continue in services: the variables of their containers."""

from collections.abc import Callable

from tests.unit.configurations import FOO, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = {
    **shared("example observability"),
    "own traces": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"tracing": {"url": "http://otel:4318/v1/traces"}},
            "kong-doks:services": [FOO | {"env": {"OTEL_SERVICE_NAME": "shop"}}],
            "kong-doks:aggregates": [{"name": "overview", "path": "/overview", "backends": {"foo": "/foo"}}],
        },
    },
}

URL = "http://otel-collector.tools:4318/v1/traces"


def variables(recording: Recording, name: str) -> dict[str, str]:
    (container,) = recording.pod(name)["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_services_get_opentelemetrys_variables(run: Callable[[str], Recording]) -> None:
    assert variables(run("example observability"), "foo") == {
        "PORT": "5000",
        "OTEL_SERVICE_NAME": "foo",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": URL,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }


def test_a_service_can_disable_tracing(run: Callable[[str], Recording]) -> None:
    assert variables(run("example observability"), "bar") == {"PORT": "5000"}


def test_without_tracing_services_get_no_variables(dev: Recording) -> None:
    assert variables(dev, "foo") == {"PORT": "5000"}


def test_a_services_own_variables_override(run: Callable[[str], Recording]) -> None:
    assert variables(run("own traces"), "foo")["OTEL_SERVICE_NAME"] == "shop"
    assert variables(run("own traces"), "overview")["OTEL_SERVICE_NAME"] == "overview"
