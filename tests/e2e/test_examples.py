"""Every example as it stands, on the running stack."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sandbox import images
from sandbox.paths import PROJECT
from tests.e2e.configured import Configured, configured
from tests.e2e.conftest import sandbox_command
from tests.e2e.stack import Stack, eventually

pytestmark = pytest.mark.soak

CHECKS: dict[str, list[tuple[str, int, str]]] = {
    # Path, status, a header of the answer.
    "addresses": [("/foo", 403, ""), ("/bar", 200, "")],
    "aggregation": [("/overview", 200, "X-RateLimit-Limit-Minute"), ("/bar", 200, "")],
    "auth": [("/foo", 401, "WWW-Authenticate"), ("/bar", 200, "")],
    "blue-green": [("/foo", 200, ""), ("/bar", 200, "")],
    "canary": [("/foo", 200, ""), ("/bar", 200, "")],
    # The authority that the example names isn't reached from here; the way to HTTPS is there without it.
    "certificates": [("/foo", 308, "Location"), ("/bar", 308, "Location")],
    "everything": [("/foo", 401, "X-Request-ID"), ("/greeting", 200, "X-Frame-Options")],
    # Requests that aren't gRPC.
    "grpc": [("/greeter.Greeter/Greet", 415, ""), ("/foo", 200, "")],
    "network": [("/foo", 200, ""), ("/bar", 200, "")],
    "observability": [("/foo", 200, "X-Request-ID"), ("/bar", 200, "X-Request-ID")],
    "plugins": [("/foo", 200, "X-Order-ID"), ("/bar", 200, "")],
    "protection": [("/foo", 200, "Content-Security-Policy"), ("/bar", 503, "")],
    "replicas": [("/foo", 200, "X-RateLimit-Limit-Minute"), ("/bar", 200, "")],
    "rate-limit": [("/foo", 200, "X-RateLimit-Limit-Minute"), ("/bar", 200, "X-RateLimit-Limit-Hour")],
    "transformation": [("/foo", 200, ""), ("/greeting", 200, "")],
    "weighted-canary": [("/foo", 200, ""), ("/bar", 200, "")],
}

ELSEWHERE = {"monitoring"}  # test_monitoring.py: its Grafana can't be had here


@pytest.fixture(scope="module")
def changed(stack: Stack) -> Iterator[Configured]:
    images.publish(print, [images.valkey()])
    with configured(stack) as changed:
        yield changed


@pytest.mark.parametrize("name", sorted({path.stem for path in (PROJECT / "examples").glob("*.yaml")} - ELSEWHERE))
def test_an_example_does_what_it_says(changed: Configured, name: str) -> None:
    ours = yaml.safe_load(changed.file.read_text())
    repositories = ("chartRepository", "certManagerChartRepository", "gatewayApiReleases")
    addresses = ("digitalocean:apiEndpoint", *(f"kong-doks:{each}" for each in repositories))
    example: dict[str, Any] = yaml.safe_load((PROJECT / "examples" / f"{name}.yaml").read_text())["config"]
    example |= {key: ours["config"][key] for key in addresses}
    changed.file.write_text(yaml.safe_dump(ours | {"config": example}))
    if domain := example.get("kong-doks:domain"):
        sandbox_command("certificates")
    changed.stack.up()
    for path, status, header in CHECKS[name]:

        def answers(path: str = path, status: int = status, header: str = header) -> bool:
            answer = changed.get(path, **({"Host": domain} if domain else {}))
            return answer.status_code == status and (not header or header in answer.headers)

        eventually(answers)
