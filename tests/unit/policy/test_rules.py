"""The rules of the policy pack, each with a resource that passes and one that doesn't."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from infra.config import cost, prices
from policy import rules, state
from policy.rules import CLUSTER, NODE_POOL, Config, Resource, Unknown
from sandbox.digitalocean import catalog
from tests.unit.configurations import PROJECT, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = shared("example everything", "several gateways")
UNKNOWN = Unknown.UNKNOWN
RELEASE = "kubernetes:helm.sh/v3:Release"
SERVICE = "kubernetes:core/v1:Service"
REGISTRY = "digitalocean:index/containerRegistry:ContainerRegistry"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
ALLOWED: Config = {"allow": True}
FORBIDDEN: Config = {"allow": False}


def resource(kind: str, urn: str = "urn", **props: Any) -> Resource:  # noqa: ANN401 -- properties
    return Resource(kind, urn, props)


def pods(kind: str, **container: Any) -> Resource:  # noqa: ANN401 -- properties
    spec: dict[str, Any] = {"containers": [{"name": "api", **container}]}
    if kind != "core/v1:Pod":
        spec = {"template": {"spec": spec}}
    if kind == "batch/v1:CronJob":
        spec = {"jobTemplate": {"spec": spec}}
    return resource(f"kubernetes:{kind}", spec=spec)


Rule = Callable[[Resource, Config], Iterator[str]]


@pytest.mark.parametrize(
    ("rule", "config", "passing"),
    [
        (rules.accidental_high_availability, FORBIDDEN, resource(CLUSTER, ha=False, version="1.36.3-do.0")),
        (rules.accidental_high_availability, FORBIDDEN, resource(CLUSTER, version="1.35.7-do.0")),
        (rules.accidental_high_availability, ALLOWED, resource(CLUSTER, ha=True)),
        (rules.accidental_high_availability, FORBIDDEN, resource(SERVICE)),
        (rules.image_without_digest, {}, pods("apps/v1:Deployment", image="foo@sha256:1")),
        (rules.image_without_digest, {}, pods("apps/v1:Deployment", image=UNKNOWN)),
        (rules.image_without_digest, {}, resource("kubernetes:core/v1:ConfigMap", spec={"containers": [{}]})),
        (rules.image_without_digest, {}, resource("kubernetes:apps/v1:Deployment", spec=UNKNOWN)),
        (rules.container_without_limits, {"resources": ["cpu"]}, pods("core/v1:Pod", resources={"limits": {"cpu": 1}})),
        (rules.container_without_limits, {"resources": ["cpu"]}, pods("core/v1:Pod", resources={"limits": UNKNOWN})),
        (rules.public_admin_port, {"ports": []}, resource(SERVICE, spec={"type": "NodePort", "ports": [{"port": 80}]})),
        (rules.public_admin_port, {"ports": []}, resource(SERVICE, spec={"ports": [{"port": 8001}]})),
        (rules.public_admin_port, {"ports": []}, resource(RELEASE, chart="grafana", values={})),
        (
            rules.public_admin_port,
            {"ports": []},
            resource(RELEASE, chart="kong", values={"admin": {"enabled": False}, "manager": {"enabled": False}}),
        ),
        (rules.region_not_allowed, {"regions": ["nyc1"]}, resource(CLUSTER, region="nyc1")),
        (rules.region_not_allowed, {"regions": ["nyc1"]}, resource(REGISTRY, region=UNKNOWN)),
        (rules.region_not_allowed, {"regions": ["nyc1"]}, resource("aws:s3:Bucket", region="us-east-1")),
    ],
)
def test_a_rule_accepts_a_permitted_resource(rule: Rule, config: Config, passing: Resource) -> None:
    assert list(rule(passing, config)) == []


@pytest.mark.parametrize(
    ("rule", "config", "failing", "start"),
    [
        (rules.accidental_high_availability, FORBIDDEN, resource(CLUSTER, ha=True), "ha: true costs $40"),
        (rules.accidental_high_availability, FORBIDDEN, resource(CLUSTER, ha=UNKNOWN), "ha: is not known yet"),
        (rules.accidental_high_availability, FORBIDDEN, resource(CLUSTER, version="1.36.3-do.0"), "ha: left out"),
        (rules.accidental_high_availability, FORBIDDEN, resource(CLUSTER, version="latest"), "ha: left out"),
        (rules.accidental_high_availability, FORBIDDEN, resource(CLUSTER, version=UNKNOWN), "ha: left out"),
        *(
            (rules.image_without_digest, {}, pods(kind, image="foo:1"), "api.image: foo:1 has no digest")
            for kind in ("apps/v1:Deployment", "apps/v1:StatefulSet", "batch/v1:Job", "batch/v1:CronJob", "core/v1:Pod")
        ),
        (
            rules.image_without_digest,
            {},
            resource("kubernetes:core/v1:Pod", spec={"initContainers": [{"name": "first"}]}),
            "first.image: None has no digest",
        ),
        (
            rules.container_without_limits,
            {"resources": ["cpu", "memory"]},
            pods("apps/v1:Deployment", resources={"limits": {"cpu": "1"}}),
            "api.resources.limits.memory: is not set",
        ),
        (rules.container_without_limits, {"resources": ["cpu"]}, pods("core/v1:Pod"), "api.resources.limits.cpu"),
        (
            rules.public_admin_port,
            {"ports": []},
            resource(SERVICE, spec={"type": "LoadBalancer", "ports": [{"port": 443, "targetPort": 8444}]}),
            "spec.ports.targetPort: 8444",
        ),
        (
            rules.public_admin_port,
            {"ports": [9001]},
            resource(SERVICE, spec={"type": "NodePort", "ports": [{"port": 9001}]}),
            "spec.ports.port: 9001",
        ),
        (
            rules.public_admin_port,
            {"ports": []},
            resource(
                INGRESS,
                spec={"rules": [{"http": {"paths": [{"backend": {"service": {"port": {"number": 8001}}}}]}}]},
            ),
            "backend.service.port.number: 8001",
        ),
        (
            rules.public_admin_port,
            {"ports": []},
            resource(RELEASE, chart="kong", values={"admin": {"enabled": False}}),
            "values.manager.type: NodePort",
        ),
        (
            rules.public_admin_port,
            {"ports": []},
            resource(
                RELEASE,
                chart="oci://mirror.example.com/charts/kong",
                values={"admin": {"type": "ClusterIP", "ingress": {"enabled": True}}, "manager": {"enabled": False}},
            ),
            "values.admin.ingress.enabled: true",
        ),
        (rules.region_not_allowed, {"regions": ["nyc1"]}, resource(REGISTRY, region="ams3"), "region: ams3"),
    ],
)
def test_a_rule_finds_a_violation(rule: Rule, config: Config, failing: Resource, start: str) -> None:
    (violation,) = rule(failing, config)
    assert violation.startswith(start)
    assert re.search(r"; allowed: .+; fix: .+", violation)


def cluster(urn: str = "urn:a", **props: Any) -> Resource:  # noqa: ANN401 -- properties
    return resource(CLUSTER, urn, **{"region": "nyc1", "nodePool": {"size": "s-1vcpu-2gb"}, "ha": False, **props})


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ([], cluster(), []),
        ([cluster(vpcUuid="1")], cluster(), []),
        ([cluster()], cluster(name="other", ha=True), []),
        ([cluster()], cluster(region=UNKNOWN), []),
        ([cluster()], cluster(region="ams3"), ["region"]),
        ([cluster()], cluster(nodePool={"size": "c-2"}), ["nodePool.size"]),
        ([cluster(vpcUuid="1")], cluster(vpcUuid="2"), ["vpcUuid"]),
        ([cluster(ha=True)], cluster(), ["ha"]),
        ([cluster("urn:old")], cluster(), ["cluster"]),
    ],
)
def test_a_change_that_replaces_the_cluster_is_found(before: list[Resource], after: Resource, keys: list[str]) -> None:
    violations = [line.partition(":")[0] for line in rules.cluster_replacement(after, FORBIDDEN, before)]
    assert violations == keys
    assert list(rules.cluster_replacement(after, ALLOWED, before)) == []


@pytest.mark.parametrize(
    ("resources", "hourly"),
    [
        ([cluster(nodePool={"size": "c-2", "nodeCount": 2})], 0.125),
        ([cluster(nodePool={"size": "c-2", "autoScale": True, "minNodes": 1, "maxNodes": 3})], 0.1875),
        ([resource(NODE_POOL, size="c-2")], 0.0625),
        ([resource(NODE_POOL, size="mine", nodeCount=1)], 1),
        ([resource(REGISTRY, subscriptionTierSlug="basic")], 0.00744),
        ([resource(REGISTRY, subscriptionTierSlug=UNKNOWN)], 0.02976),
        ([resource(SERVICE, spec={"type": "LoadBalancer"}), resource(SERVICE, spec={"type": "ClusterIP"})], 0.01786),
        ([resource(RELEASE, values={"proxy": {"type": "LoadBalancer"}})], 0.01786),
        ([cluster(ha=True, nodePool={"size": "c-2", "nodeCount": 0})], 0.05952),
    ],
)
def test_every_billed_resource_counts_towards_the_budget(resources: list[Resource], hourly: float) -> None:
    config = {"maximum": hourly, "prices": {"mine": 1}}
    assert list(rules.over_budget(resources, config)) == []
    (violation,) = rules.over_budget(resources, {**config, "maximum": hourly - 0.00001})
    assert f"the stack costs ${hourly:.5f} an hour" in violation


@pytest.mark.parametrize(
    ("unknown", "key"),
    [
        (resource(NODE_POOL, size="c-2", nodeCount=UNKNOWN), "nodeCount"),
        (resource(NODE_POOL, size=UNKNOWN, nodeCount=1), "size"),
        (resource(NODE_POOL, size="c-2", autoScale=UNKNOWN), "autoScale"),
        (resource(NODE_POOL, size="c-2", autoScale=True, maxNodes=UNKNOWN, minNodes=1), "maxNodes"),
        (cluster(nodePool=UNKNOWN), "nodePool"),
        (cluster(nodePool={"size": UNKNOWN}), "nodePool.size"),
        (cluster(nodePool={"size": "c-2", "nodeCount": UNKNOWN}), "nodePool.nodeCount"),
        (cluster(ha=UNKNOWN), "ha"),
        (resource(SERVICE, spec=UNKNOWN), "spec"),
        (resource(SERVICE, spec={"type": UNKNOWN}), "spec.type"),
        (resource(RELEASE, chart="kong", values=UNKNOWN), "values"),
        (resource(RELEASE, chart="kong", values={"proxy": UNKNOWN}), "values.proxy"),
    ],
)
def test_an_unknown_price_is_not_within_the_budget(unknown: Resource, key: str) -> None:
    (violation,) = rules.over_budget([unknown], {"maximum": 99, "prices": {}})
    assert violation.startswith(f"{key}: is not known yet, so neither is the price of urn")
    assert re.search(r"; allowed: .+; fix: .+", violation)


NOT_KNOWN = [
    resource(SERVICE, spec=UNKNOWN),
    resource(SERVICE, spec={"type": UNKNOWN, "ports": [{"port": 8001}]}),
    resource(SERVICE, spec={"type": "NodePort", "ports": UNKNOWN}),
    resource(SERVICE, spec={"type": "NodePort", "ports": [UNKNOWN, {"port": UNKNOWN}]}),
    resource(INGRESS, spec=UNKNOWN),
    resource(INGRESS, spec={"rules": UNKNOWN}),
    resource(INGRESS, spec={"rules": [UNKNOWN, {"http": UNKNOWN}, {"http": {"paths": [UNKNOWN]}}]}),
    resource(RELEASE, chart="kong", values=UNKNOWN),
    resource(RELEASE, chart="kong", values={"admin": UNKNOWN, "manager": {"enabled": UNKNOWN}}),
    resource(RELEASE, chart="kong", values={"admin": {"type": UNKNOWN}, "manager": {"enabled": False}}),
    pods("apps/v1:Deployment", image=UNKNOWN, resources=UNKNOWN),
    resource("kubernetes:apps/v1:Deployment", spec={"template": {"spec": {"containers": [UNKNOWN]}}}),
    cluster(region=UNKNOWN, nodePool=UNKNOWN),
]


@pytest.mark.parametrize("unknown", NOT_KNOWN)
def test_a_resource_rule_skips_unknown_properties(unknown: Resource) -> None:
    violations = [
        *rules.public_admin_port(unknown, {"ports": []}),
        *rules.image_without_digest(unknown, {}),
        *rules.container_without_limits(unknown, {"resources": ["cpu"]}),
        *rules.region_not_allowed(unknown, {"regions": ["nyc1"]}),
        *rules.cluster_replacement(unknown, FORBIDDEN, [cluster(unknown.urn)]),
    ]
    assert violations == []


def test_a_node_size_without_a_price_exceeds_any_budget() -> None:
    (violation,) = rules.over_budget([cluster(nodePool={"size": "huge"})], {"maximum": 99, "prices": {}})
    assert "the pack has no price of huge" in violation


def test_the_program_and_the_api_have_the_same_prices() -> None:
    sizes = {size.slug: (size.price_monthly, size.price_hourly) for size in catalog.KUBERNETES_SIZES.values()}
    assert sizes == cost.NODE_SIZES
    assert {tier.slug: tier.price_monthly for tier in catalog.TIERS.values()} == prices.REGISTRY_TIERS


def test_every_region_of_digitalocean_is_allowed_by_default() -> None:
    assert set(rules.REGIONS) == set(catalog.REGIONS)


@pytest.mark.parametrize(
    ("environment", "name"), [({}, "dev"), ({"PULUMI_ORGANIZATION": "acme"}, "acme/kong-doks/dev")]
)
def test_the_stacks_name_is_read_from_a_urn(environment: Mapping[str, str], name: str) -> None:
    assert state.stack_name("urn:pulumi:dev::kong-doks::a$b::cluster", environment) == name


def test_a_cluster_pending_deletion_is_not_the_current_one() -> None:
    entry = {"type": CLUSTER, "urn": "urn:a", "id": "1", "inputs": {"ha": False}, "outputs": {"region": "nyc1"}}
    others = [entry | {"urn": "urn:b", "delete": True}, entry | {"urn": "urn:c", "type": SERVICE}, entry | {"id": ""}]
    exported = {"deployment": {"resources": [entry, *others]}}
    assert state.clusters_in(exported) == [resource(CLUSTER, "urn:a", ha=False, region="nyc1")]
    assert state.clusters_in({"deployment": {}}) == []


def test_the_pack_pins_the_projects_pulumi() -> None:
    pinned = [
        re.search(r"^pulumi==(\S+)", (PROJECT / file).read_text(), re.MULTILINE)
        for file in ("requirements.txt", "policy/requirements.txt")
    ]
    assert pinned[0]
    assert pinned[1]
    assert pinned[0][1] == pinned[1][1]


@pytest.mark.parametrize("configuration", ["dev", *CONFIGURATIONS])
def test_a_stack_of_the_project_violates_no_rule(run: Callable[[str], Recording], configuration: str) -> None:
    recorded = run(configuration).resources
    resources = [Resource(resource.type, resource.urn, resource.inputs) for resource in recorded if resource.created]
    assert CLUSTER in {resource.type for resource in resources}
    each_resource: list[tuple[Rule, Config]] = [
        (rules.accidental_high_availability, FORBIDDEN),
        (rules.container_without_limits, {"resources": ["cpu", "memory"]}),
        (rules.public_admin_port, {"ports": []}),
        (rules.region_not_allowed, {"regions": ["nyc1", "nyc3"]}),
    ]
    violations = [line for rule, config in each_resource for resource in resources for line in rule(resource, config)]
    assert violations == []
    assert list(rules.over_budget(resources, {"maximum": 0.25, "prices": {}})) == []
