"""The connections that NetworkPolicies allow, and Pod Security."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any, cast

import pytest

from infra.kubernetes.network_policy import url_egress
from tests.unit.configurations import BAR, COLLECTORS, FOO, shared
from tests.unit.conftest import Recording
from tests.unit.loading import refused

CONFIGURATIONS = {
    **shared(
        "domain",
        "egress",
        "example aggregation",
        "example monitoring",
        "example observability",
        "example replicas",
        "local",
        "own namespace",
        "preview",
        "third service",
    ),
    "traces to the internet": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"tracing": {"url": "https://otel.eu.example.com/v1/traces"}},
            "kong-doks:services": [FOO, BAR | {"tracing": False, "egress": {"internet": False}}],
        },
    },
    "traces to a namespace": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"tracing": {"url": "http://otel.tools:4318/v1/traces"}},
            "kong-doks:services": [
                BAR | {"egress": {"internet": False}},
                FOO | {"name": "untraced", "tracing": False},
            ],
        },
    },
    **{
        f"logs to {url}": {"stack": "dev", "config": {"kong-doks:gateway": {"httpLog": {"url": url}}}}
        for url in COLLECTORS
    },
}

RESTRICTED = "restricted"


def policy(recording: Recording, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = recording.one("NetworkPolicy", name).inputs["spec"]
    return spec


def opened(recording: Recording, name: str) -> list[dict[str, Any]]:
    """Returns the egress rules without DNS."""
    dns, *rest = cast("list[dict[str, Any]]", policy(recording, name)["egress"])
    assert dns == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    return rest


def allows(rules: list[dict[str, Any]], address: str, port: int = 443) -> bool:
    """True if rules let a connection out to an address that is no pod's, as the API documents `ipBlock`."""

    def matches(block: dict[str, Any]) -> bool:
        inside = (ip_address(address) in ip_network(cidr) for cidr in (block["cidr"], *block.get("except", [])))
        return next(inside) and not any(inside)

    return any(
        port in [entry["port"] for entry in rule.get("ports", [{"port": port}])]
        and any(matches(peer["ipBlock"]) for peer in rule["to"] if "ipBlock" in peer)
        for rule in rules
        if "to" in rule
    )


def namespaces(rules: list[dict[str, Any]], side: str = "to") -> list[str]:
    selectors = [
        peer["namespaceSelector"] for rule in rules for peer in rule.get(side, []) if "namespaceSelector" in peer
    ]
    return [selector["matchLabels"]["kubernetes.io/metadata.name"] for selector in selectors if selector]


@pytest.fixture(scope="session")
def opened_up(run: Callable[[str], Recording]) -> Recording:
    return run("egress")


def test_every_namespace_denies_by_default_and_every_pod_has_a_policy(dev: Recording) -> None:
    names = {
        (resource.inputs["metadata"]["namespace"], resource.inputs["metadata"]["name"])
        for resource in dev.of("NetworkPolicy")
    }
    assert names == {
        ("default", "default.deny"),
        ("default", "foo"),
        ("default", "bar"),
        ("kong", "default.deny"),
        ("kong", "kong"),
    }
    for resource in dev.of("NetworkPolicy"):
        assert resource.inputs["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert resource.deleted_with == dev.one("KubernetesCluster").urn
    for resource in dev.of("NetworkPolicy"):
        if resource.name == "default.deny":
            assert resource.inputs["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_in_an_existing_cluster_only_the_stacks_pods_are_selected(run: Callable[[str], Recording]) -> None:
    local = run("local")
    assert {resource.name for resource in local.of("NetworkPolicy")} == {"foo", "bar", "kong"}
    labels = local.one("Deployment", "foo").inputs["spec"]["template"]["metadata"]["labels"]
    (expression,) = policy(local, "foo")["podSelector"]["matchExpressions"]
    assert expression == {"key": "kong-doks/service", "operator": "In", "values": [labels["kong-doks/service"]]}
    assert policy(local, "kong")["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "kong"


def test_only_kong_reaches_a_service_and_only_its_port(run: Callable[[str], Recording]) -> None:
    recording = run("third service")
    (rule,) = policy(recording, "web")["ingress"]
    # By its name: pods with the old number are reached until those with a new one run.
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    (container,) = recording.one("Deployment", "web").inputs["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    (peer,) = rule["from"]
    assert namespaces([rule], "from") == ["kong"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "kong"


def test_a_service_reaches_public_addresses_only(dev: Recording) -> None:
    rules = opened(dev, "foo")
    for address in ("203.0.113.7", "1.1.1.1", "2606:4700::1111"):
        assert allows(rules, address)
    for address in ("169.254.169.254", "10.244.0.9", "172.16.3.4", "192.168.1.1", "100.64.0.1", "fd00::1", "fe80::1"):
        assert not allows(rules, address)
    assert namespaces(rules) == []


def test_a_service_reaches_only_what_its_egress_allows(opened_up: Recording) -> None:
    rules = opened(opened_up, "foo")
    assert not allows(rules, "203.0.113.7")
    assert allows(rules, "10.108.0.5")
    assert not allows(rules, "10.109.0.5")
    assert namespaces(rules) == ["redis"]
    (to_bar,) = [rule for rule in rules if any("podSelector" in peer for peer in rule["to"])]
    assert to_bar["to"][0]["podSelector"]["matchExpressions"][0]["values"] == ["bar"]
    assert to_bar["ports"] == [{"port": 5000, "protocol": "TCP"}]


def test_allowed_callers_reach_a_service(opened_up: Recording) -> None:
    (into_bar,) = policy(opened_up, "bar")["ingress"]
    assert [peer["podSelector"]["matchExpressions"][0]["values"] for peer in into_bar["from"][1:2]] == [["foo"]]
    assert namespaces([into_bar], "from") == ["kong", "monitoring"]
    (into_foo,) = policy(opened_up, "foo")["ingress"]
    assert namespaces([into_foo], "from") == ["kong"]
    assert len(into_foo["from"]) == 1


def test_an_aggregate_reaches_its_services(run: Callable[[str], Recording]) -> None:
    recording = run("example aggregation")
    peers = [peer for rule in opened(recording, "overview") for peer in rule["to"] if "podSelector" in peer]
    assert [peer["podSelector"]["matchExpressions"][0]["values"] for peer in peers] == [["bar"], ["foo"]]
    (into_foo,) = policy(recording, "foo")["ingress"]
    assert into_foo["from"][1]["podSelector"]["matchExpressions"][0]["values"] == ["overview"]


def test_services_reach_the_trace_collector(run: Callable[[str], Recording], dev: Recording) -> None:
    assert "tools" in namespaces(opened(run("example observability"), "foo"))
    assert "tools" not in namespaces(opened(dev, "foo"))


def test_a_public_collector_opens_no_private_address(
    run: Callable[[str], Recording],
) -> None:
    recording = run("traces to the internet")
    assert allows(opened(recording, "foo"), "203.0.113.7", 443)
    for private in ("10.245.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"):
        assert not allows(opened(recording, "foo"), private, 443)
        assert not allows(opened(recording, "kong"), private, 4318)
    assert not allows(opened(recording, "bar"), "203.0.113.7", 443)
    # In the words of the cluster's DNS, "otel.tools" is a Service object as well as a domain.
    closed = opened(run("traces to a namespace"), "bar")
    assert "tools" in namespaces(closed)
    assert not allows(closed, "203.0.113.7", 4318)


@pytest.mark.parametrize(
    ("host", "rules"), [("10.108.0.5", 1), ("otel", 1), ("otel.tools", 1), ("otel.example.com", 0), ("203.0.113.7", 1)]
)
def test_without_the_internet_a_collector_at_an_address_or_in_the_cluster_is_reached(host: str, rules: int) -> None:
    assert len([*url_egress(f"http://{host}:4318/v1/traces", "default", internet=False)]) == rules


def test_a_service_without_tracing_does_not_reach_the_collector(run: Callable[[str], Recording]) -> None:
    assert "tools" not in namespaces(opened(run("traces to a namespace"), "untraced"))


def test_only_kong_reaches_the_rate_limit_store(run: Callable[[str], Recording]) -> None:
    recording = run("example replicas")
    labels = recording.one("Deployment", "rate-limits").inputs["spec"]["template"]["metadata"]["labels"]
    counters = policy(recording, "rate-limits")
    assert counters["podSelector"]["matchLabels"] == labels
    assert "egress" not in counters
    (rule,) = counters["ingress"]
    assert rule["from"][0]["podSelector"] == policy(recording, "kong")["podSelector"]
    assert {"to": [{"podSelector": {"matchLabels": labels}}]} in opened(recording, "kong")


def test_kongs_proxy_ports_are_open_and_no_others(dev: Recording) -> None:
    ports = [{"port": port, "protocol": "TCP"} for port in (8000, 8443)]
    assert policy(dev, "kong")["ingress"] == [{"ports": ports}]


@pytest.mark.parametrize("name", ["example observability", "example monitoring"])
def test_pods_of_the_cluster_reach_the_metrics_if_they_are_enabled(run: Callable[[str], Recording], name: str) -> None:
    _, metrics = policy(run(name), "kong")["ingress"]
    assert metrics == {"from": [{"namespaceSelector": {}}], "ports": [{"port": 8100, "protocol": "TCP"}]}


def test_kong_connects_to_the_api_server_and_the_services_only(dev: Recording) -> None:
    api, services = opened(dev, "kong")
    # By its port alone: on Cilium no address matches an API server that is a node.
    assert api.keys() == {"ports"}
    assert {port["port"] for port in api["ports"]} == {443, 16443}
    assert namespaces([services]) == ["default"]
    assert services["to"][0]["podSelector"]["matchExpressions"][0]["values"] == ["foo", "bar"]


def test_the_api_servers_port_comes_from_the_cluster(run: Callable[[str], Recording], dev: Recording) -> None:
    assert dev.one("EndpointSlice").id == "default/kubernetes"
    assert not dev.one("EndpointSlice").created
    assert run("preview").one("EndpointSlice").id == "(unknown)"
    assert run("local").one("EndpointSlice").id == "default/kubernetes"


@pytest.mark.parametrize(
    ("url", "inside", "reached", "not_reached"),
    [
        ("http://logs:9000/", ["kong"], None, "203.0.113.7"),
        ("http://logs.tools:9000/", ["tools"], ("203.0.113.7", 9000), "169.254.169.254"),
        ("http://logs.tools.svc.cluster.local:9000/", ["tools"], None, "203.0.113.7"),
        ("https://logs.eu.example.com/in", [], ("203.0.113.7", 443), "10.245.0.1"),
        ("https://logs.1.example.com/in", [], ("203.0.113.7", 443), "10.245.0.1"),
        ("http://10.108.0.5:9000/", [], ("10.108.0.5", 9000), "10.108.0.6"),
    ],
)
def test_kong_connects_to_the_configured_collectors(
    run: Callable[[str], Recording], url: str, inside: list[str], reached: tuple[str, int] | None, not_reached: str
) -> None:
    _, *rules, _ = opened(run(f"logs to {url}"), "kong")
    assert namespaces(rules) == inside
    if reached:
        assert allows(rules, *reached)
        assert not allows(rules, reached[0], reached[1] + 1)
    assert not allows(rules, not_reached, 9000)
    assert not allows(rules, not_reached, 443)


@pytest.mark.parametrize("name", ["services", "kong"])
def test_the_stacks_own_cluster_enforces_the_restricted_standard(run: Callable[[str], Recording], name: str) -> None:
    labels = run("own namespace").one("Namespace", name).inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == RESTRICTED


def test_namespaces_of_charts_enforce_pod_security(run: Callable[[str], Recording]) -> None:
    for name, namespace in (("example monitoring", "monitoring"), ("domain", "cert-manager")):
        labels = run(name).one("Namespace", namespace).inputs["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == RESTRICTED


def test_namespace_default_is_labelled_in_the_stacks_own_cluster(dev: Recording) -> None:
    patch = dev.one("NamespacePatch")
    assert patch.inputs["metadata"]["name"] == "default"
    assert patch.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == RESTRICTED
    for name in ("foo", "bar"):
        assert "NamespacePatch services" in dev.before(dev.one("Deployment", name))


def test_in_an_existing_cluster_pod_security_is_not_enforced(run: Callable[[str], Recording]) -> None:
    local = run("local")
    assert local.of("NamespacePatch") == []
    assert local.one("Namespace", "kong").inputs["metadata"]["labels"] == {
        "pod-security.kubernetes.io/warn": RESTRICTED
    }


def test_network_policies_exist_before_the_pods_and_until_they_are_deleted(
    run: Callable[[str], Recording], dev: Recording
) -> None:
    for recording in (dev, run("local")):
        for name in ("foo", "bar"):
            needs = recording.before(recording.one("Deployment", name))
            assert f"NetworkPolicy {name}" in needs
            assert ("NetworkPolicy default.deny" in needs) == (recording is dev)
            # Whatever waits for every policy makes the state of N services grow with N squared.
            assert f"NetworkPolicy {'bar' if name == 'foo' else 'foo'}" not in needs
        assert "NetworkPolicy kong" in recording.before(recording.one("Release"))


@pytest.mark.parametrize(
    ("services", "said"),
    [
        (
            [FOO | {"egress": {"services": ["baz"]}}, BAR],
            'services[0].egress.services[0]: "baz" is not allowed; allowed: services, which are foo, bar; fix: ',
        ),
        (
            [FOO | {"egress": {"networks": ["10.0.0.0/33"]}}, BAR],
            'services[0].egress.networks[0]: "10.0.0.0/33" is not allowed; allowed: addresses and CIDR blocks',
        ),
        ([FOO | {"egress": {"internets": True}}, BAR], "services[0].egress.internets: is not a known key; allowed: "),
    ],
)
def test_an_error_is_one_line(services: list[dict[str, Any]], said: str) -> None:
    (line,) = refused({"services": services})
    assert said in line


@pytest.mark.parametrize(
    "url", ["http://", "http://logs:0/", "http://logs:99999/", "http://999.1.1.1/", "http://[::1/"]
)
def test_an_invalid_address_is_reported_in_one_line(url: str) -> None:
    (line,) = refused({"gateway": {"httpLog": {"url": url}}})
    assert "gateway.httpLog.url: " in line
    assert "allowed: a URL" in line
