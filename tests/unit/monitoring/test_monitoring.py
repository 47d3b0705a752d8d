"""The resources of `monitoring`: two charts, the files that they mount, and the commands to look at them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.monitoring.dashboard import dashboard
from tests.unit.configurations import shared
from tests.unit.conftest import Recording
from tests.unit.loading import refused

CONFIGURATIONS = {
    **shared("example monitoring"),
}


@pytest.fixture(scope="session")
def watched(run: Callable[[str], Recording]) -> Recording:
    return run("example monitoring")


def values(recording: Recording, release: str) -> dict[str, Any]:
    values: dict[str, Any] = recording.one("Release", release).inputs["values"]
    return values


def test_without_monitoring_nothing_of_it_is_created(dev: Recording) -> None:
    assert [resource.name for resource in dev.of("Release")] == ["kong"]
    assert dev.of("ConfigMap") == []


def test_the_community_charts_are_pinned(watched: Recording) -> None:
    for name, community in (("prometheus", "prometheus-community"), ("grafana", "grafana-community")):
        release = watched.one("Release", name).inputs
        assert (release["name"], release["chart"], release["namespace"]) == (name, name, "monitoring")
        assert release["repositoryOpts"] == {"repo": f"https://{community}.github.io/helm-charts"}
        assert release["atomic"] is True
        # A new load balancer, or an image on a new node, takes minutes; without a limit each `up` leaves a revision.
        assert (release["timeout"], release["maxHistory"]) == (600, 10)
        assert release["version"].count(".") == 2


def test_charts_depend_on_their_mounts_and_are_deleted_with_the_cluster(watched: Recording) -> None:
    assert "ConfigMap prometheus-config" in watched.before(watched.one("Release", "prometheus"))
    assert "ConfigMap gateway-dashboard" in watched.before(watched.one("Release", "grafana"))
    cluster = watched.one("KubernetesCluster").urn
    for kind, name in (("Release", "prometheus"), ("Release", "grafana"), ("ConfigMap", "prometheus-config")):
        assert watched.one(kind, name).deleted_with == cluster


def test_the_monitoring_namespace_is_isolated_before_its_pods_start(run: Callable[[str], Recording]) -> None:
    watched = run("example monitoring")
    for name in ("prometheus", "grafana"):
        assert "NetworkPolicy monitoring" in watched.before(watched.one("Release", name))
    everyone: dict[str, Any] = {"podSelector": {}}
    policy = watched.one("NetworkPolicy", "monitoring").inputs["spec"]
    assert policy["ingress"] == [{"from": [everyone]}]
    assert policy["podSelector"] == {}


def test_routes_do_not_depend_on_monitoring(watched: Recording) -> None:
    assert "Release prometheus" not in watched.before(watched.one("Ingress", "foo"))


def test_prometheus_is_a_single_server_without_a_volume(watched: Recording) -> None:
    chart = values(watched, "prometheus")
    parts = ("alertmanager", "kube-state-metrics", "prometheus-node-exporter", "prometheus-pushgateway")
    assert [chart[part] for part in parts] == [{"enabled": False}] * 4
    server = chart["server"]
    assert server["persistentVolume"] == {"enabled": False}
    assert server["retention"] == "2w"
    assert "persistence" not in values(watched, "grafana")


def test_prometheus_finds_every_pod_of_kong(watched: Recording) -> None:
    files = watched.one("ConfigMap", "prometheus-config").inputs["data"]
    (job,) = json.loads(files["prometheus.yml"])["scrape_configs"]
    assert job["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["kong"]}}]
    assert values(watched, "prometheus")["server"]["configMapOverrideName"] == "config"
    rules = [rule["alert"] for group in json.loads(files["alerts.yml"])["groups"] for rule in group["rules"]]
    assert rules == ["GatewayDown", "GatewayErrors", "GatewaySlow"]


def test_prometheus_may_read_only_kongs_pods(watched: Recording) -> None:
    role = watched.one("Role", "prometheus")
    assert role.inputs["metadata"]["namespace"] == "kong"
    assert role.inputs["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    assert "Namespace kong" in watched.before(role)
    (who,) = watched.one("RoleBinding", "prometheus").inputs["subjects"]
    assert who == {"kind": "ServiceAccount", "name": "prometheus-server", "namespace": "monitoring"}
    assert values(watched, "prometheus")["rbac"] == {"create": False}


def test_changed_files_replace_the_pods() -> None:
    from infra.monitoring.prometheus import prometheus_files, prometheus_values  # noqa: PLC0415 -- it takes a second

    one, other = (prometheus_values("7d", prometheus_files(place))["server"] for place in ("kong", "elsewhere"))
    assert one["podAnnotations"] != other["podAnnotations"]


def test_grafana_has_the_dashboard_and_its_data_source(watched: Recording) -> None:
    chart = values(watched, "grafana")
    (source,) = chart["datasources"]["datasources.yaml"]["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus-server")
    (provider,) = chart["dashboardProviders"]["dashboardproviders.yaml"]["providers"]
    # The chart mounts <folder>/<provider> from dashboardsConfigMaps.<provider>.
    assert provider["options"]["path"] == f"/var/lib/grafana/dashboards/{provider['name']}"
    assert chart["dashboardsConfigMaps"] == {provider["name"]: "gateway-dashboard"}
    shown = json.loads(watched.one("ConfigMap", "gateway-dashboard").inputs["data"]["gateway.json"])
    assert shown == dashboard("default", ["foo", "bar"])


def test_grafanas_password_is_only_in_the_cluster(watched: Recording) -> None:
    assert not {"adminPassword", "admin"} & set(values(watched, "grafana"))
    assert watched.outputs["grafana_password_command"].startswith("kubectl --namespace monitoring get secret grafana ")
    assert watched.outputs["grafana_command"] == "kubectl --namespace monitoring port-forward service/grafana 3000:80"


def test_the_dashboard_has_a_row_for_each_service() -> None:
    assert json.dumps(dashboard("a", ["b", "c"])) == json.dumps(dashboard("a", ["b", "c"]))
    rows = [panel["title"] for panel in dashboard("a", ["b", "c"])["panels"] if panel["type"] == "row"]
    assert rows == ["Gateway", "b", "c"]


def test_a_service_has_its_rate_errors_and_duration() -> None:
    panels = dashboard("shop", ["foo"])["panels"]
    own = panels[[panel["title"] for panel in panels].index("foo") + 1 :]
    assert [panel["title"] for panel in own] == ["Rate", "Errors", "Duration"]
    for panel in own:
        for target in panel["targets"]:
            assert 'route=~"(httproute[.])?shop[.]foo[.].+"' in target["expr"]


def test_the_dashboard_is_valid_for_grafana() -> None:
    document = dashboard("default", ["foo", "bar"])
    panels = document["panels"]
    assert document["uid"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel["title"]
        taken |= cells
        references = [target["refId"] for target in panel.get("targets", [])]
        assert len(set(references)) == len(references)
        for target in panel.get("targets", []):
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"gateway": {"monitoring": {"retention": "a week"}}},
            'gateway.monitoring.retention: "a week" is not allowed; allowed: hours, days or weeks',
        ),
        (
            {"gateway": {"monitoring": {"grafna": False}}},
            "gateway.monitoring.grafna: is not a known key; allowed: retention, grafana; fix: write grafana",
        ),
        ({"gateway": {"monitoring": "on"}}, 'gateway.monitoring: "on" is not allowed; allowed: true, false, or '),
        (
            {"gateway": {"monitoring": True, "plugins": {"prometheus": {}}}},
            "gateway.plugins.prometheus: is not allowed; allowed: prometheus once",
        ),
        (
            {"namespace": "monitoring"},
            'namespace: "monitoring" is not allowed; allowed: any namespace except kong, monitoring, ',
        ),
    ],
)
def test_an_error_is_one_line(config: dict[str, Any], expected: str) -> None:
    (line,) = refused(config)
    assert expected in line
