"""Every example is a valid stack configuration."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from infra.config.plugin_table import TABLE
from infra.config.types import quantity
from tests.unit.configurations import EXAMPLES, PROJECT, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = shared(*(f"example {name}" for name in EXAMPLES))

PAGES = {"docs/reference/policies.md": "../../examples", "README.md": "examples"}
"""Pages, and where examples are from there."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_becomes_a_stack(run: Callable[[str], Recording], name: str) -> None:
    recording = run(f"example {name}")
    assert recording.errors == []
    assert recording.status == 0
    routes = recording.of("Ingress") + recording.of("HTTPRoute")
    assert {"foo", "bar"} <= {route.name for route in routes}
    policies = recording.of("KongPlugin") + recording.of("KongClusterPlugin")
    told = [route.inputs["metadata"].get("annotations", {}) for route in routes]
    canary = any("konghq.com/headers.X-Canary" in annotations for annotations in told)
    grpc = any("konghq.com/protocols" in annotations for annotations in told)
    versions = len(recording.of("Deployment")) > len(routes)
    rules = [rule for resource in recording.of("NetworkPolicy") for rule in resource.inputs["spec"].get("ingress", [])]
    opened = any(len(rule.get("from", [])) > 1 for rule in rules)  # to others than the gateway
    assert policies or canary or grpc or versions or opened


@pytest.mark.parametrize(("page", "folder"), PAGES.items())
def test_a_page_links_every_example_and_none_that_is_missing(page: str, folder: str) -> None:
    linked = set(re.findall(rf"\({re.escape(folder)}/([a-z-]+)\.yaml\)", (PROJECT / page).read_text()))
    assert linked == set(EXAMPLES)


def keys(config: dict[str, Any]) -> set[str]:
    """The keys that an example sets: top-level ones, and those of their entries as services.auth."""
    keys = set()
    for key, value in config.items():
        name = key.removeprefix("kong-doks:")
        entries = value if isinstance(value, list) else [value]
        keys |= {name} | {f"{name}.{field}" for entry in entries if isinstance(entry, dict) for field in entry}
    return keys


@pytest.mark.parametrize("key", sorted({to_camel(field) for policy in TABLE for field in policy.fields}))
def test_every_policy_is_in_an_example_and_on_the_page_of_policies(key: str) -> None:
    used = set().union(*map(keys, EXAMPLES.values()))
    assert {f"services.{key}", f"gateway.{key}"} & used
    rows = [line for line in (PROJECT / "docs/reference/policies.md").read_text().splitlines() if line.startswith("| ")]
    assert any(re.search(rf"`{key}\b", row) for row in rows)


@pytest.mark.parametrize("plugin", sorted({policy.plugin for policy in TABLE}))
def test_the_stand_in_for_kong_has_every_plugin_of_a_policy(plugin: str) -> None:
    assert f'\t"{plugin}":' in (PROJECT / "sandbox/kong/plugins/plugins.go").read_text()


def test_example_everything_contains_the_other_examples() -> None:
    of_others = set().union(*(keys(config) for name, config in EXAMPLES.items() if name != "everything"))
    left_out = {
        "replicas.yaml": {"nodeCount", "gateway.replicas"},
        "node-pools.yaml": {
            *("nodeAutoscale", "nodeAutoscale.min", "nodeAutoscale.max"),
            *("nodePools", "nodePools.batch", "services.pool"),
        },
        "autoscale.yaml": {"nodeSize", "gateway.autoscale", "services.autoscale"},
        "monitoring.yaml": {"gateway.monitoring"},
        "page.yaml": {"gateway.page"},
        "certificates.yaml": {"domain", "email"},
    }
    assert of_others - keys(EXAMPLES["everything"]) == set().union(*left_out.values())
    head = (PROJECT / "examples" / "everything.yaml").read_text().partition("config:")[0]
    assert set(re.findall(r"[a-z-]+\.yaml", head)) == set(left_out)


def test_example_everything_fits_the_smallest_node(run: Callable[[str], Recording]) -> None:
    """And for a rollout. DOKS's own pods leave 188m and 823 MiB of it (infra/config/capacity.py)."""
    recording = run("example everything")
    kong = recording.one("Release").inputs["values"]
    asked = [kong["resources"], kong["ingressController"]["resources"]]
    for deployment in recording.of("Deployment"):
        (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
        asked += [container["resources"]] * int(deployment.inputs["spec"]["replicas"])
    assert len(asked) == 2 + 7
    requests = {kind: sum(quantity(resources["requests"][kind]) for resources in asked) for kind in ("cpu", "memory")}
    assert round(requests["cpu"] * 1000) <= 188 - 2 * 15
    assert requests["memory"] <= (823 - 24) * 2**20
