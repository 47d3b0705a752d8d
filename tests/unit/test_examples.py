"""Every example is a stack's configuration that works as it stands."""

import re
from collections.abc import Callable

import pytest

from tests.unit.conftest import EXAMPLES, PROJECT, Recording

DOCUMENTATION = PROJECT / "docs" / "gateway.md"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_becomes_a_stack_that_has_more_than_routes(run: Callable[[str], Recording], name: str) -> None:
    recording = run(f"example {name}")
    assert recording.errors == []
    assert recording.status == 0
    routes = recording.of("Ingress") + recording.of("HTTPRoute")
    assert {"foo", "bar"} <= {each.name for each in routes}
    policies = recording.of("KongPlugin") + recording.of("KongClusterPlugin")
    told = [each.inputs["metadata"].get("annotations", {}) for each in routes]
    canary = any("konghq.com/headers.X-Canary" in annotations for annotations in told)
    grpc = any("konghq.com/protocols" in annotations for annotations in told)
    versions = len(recording.of("Deployment")) > len(routes)
    rules = [rule for each in recording.of("NetworkPolicy") for rule in each.inputs["spec"].get("ingress", [])]
    opened = any(len(rule.get("from", [])) > 1 for rule in rules)  # to others than the gateway
    assert policies or canary or grpc or versions or opened


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_linked_from_the_documentation(name: str) -> None:
    assert f"(../examples/{name}.yaml)" in DOCUMENTATION.read_text()


def test_the_documentation_names_no_example_that_is_missing() -> None:
    linked = set(re.findall(r"\(\.\./examples/([a-z-]+)\.yaml\)", DOCUMENTATION.read_text()))
    assert linked == set(EXAMPLES)


def test_the_example_of_everything_has_all_that_the_others_need(run: Callable[[str], Recording]) -> None:
    plugins = {each.inputs["plugin"] for each in run("example everything").of("KongPlugin")}
    assert {"jwt", "acl", "rate-limiting", "ip-restriction", "cors", "request-transformer"} <= plugins
