"""The objects of services in the cluster, and their routes."""

import base64
import json
import re
from collections.abc import Callable, Mapping

import pytest

from infra.config.types import quantity
from tests.unit.configurations import ENV, FOO, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = {
    **shared(
        "blue-green",
        "example canary",
        "example everything",
        "example monitoring",
        "local",
        "several gateways",
        "third service",
    ),
    "env as written": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO | {"env": ENV}]},
    },
    "node pools, unknown price": {
        "stack": "dev",
        "config": {"kong-doks:nodePools": {"batch": {"size": "m-2vcpu-16gb"}}},
    },
    "node pools, protected": {
        "stack": "dev",
        "config": {
            "kong-doks:protect": True,
            "kong-doks:nodePools": {"batch": {"size": "s-2vcpu-4gb", "autoscale": {"min": 1, "max": 4}}},
        },
    },
    "private image": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                {"name": "web", "path": "/", "image": "ghcr.io/user/web:1"}
                | {"pull": {"server": "ghcr.io", "username": "user", "password": "planted-" + "word"}},
                FOO,
            ]
        },
        "secret_keys": ["kong-doks:services"],
    },
    "secret env": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO | {"env": {"API_KEY": "planted-" + "key", "DOLLARS": "a$$b"}}]},
        "secret_keys": ["kong-doks:services"],
    },
}

DIGEST = f"sha256:{'0' * 64}"
CONTENT = "content"


@pytest.mark.parametrize("name", ["foo", "bar"])
def test_names_are_the_tutorials(dev: Recording, name: str) -> None:
    deployment = dev.one("Deployment", name).inputs
    assert deployment["metadata"]["name"] == f"{name}-deployment"
    assert deployment["metadata"]["namespace"] == "default"
    assert deployment["spec"]["template"]["metadata"]["labels"] == {"app": name, "kong-doks/service": name}
    assert [container["name"] for container in dev.pod(name)["containers"]] == ["api"]
    service = dev.one("Service", name).inputs
    assert service["metadata"]["name"] == f"{name}-service"
    assert service["spec"] == {
        "selector": {"app": name},
        "ports": [{"name": "http", "port": 5000, "targetPort": "http"}],
    }
    ingress = dev.one("Ingress", name).inputs
    assert ingress["metadata"]["name"] == name
    assert ingress["spec"]["ingressClassName"] == "kong"
    backend = {"service": {"name": f"{name}-service", "port": {"name": "http"}}}
    assert ingress["spec"]["rules"] == [
        {"http": {"paths": [{"path": f"/{name}", "pathType": "Prefix", "backend": backend}]}}
    ]


def test_kongs_objects_have_their_usual_names(dev: Recording) -> None:
    release = dev.one("Release").inputs
    assert (release["name"], release["namespace"]) == ("kong", "kong")
    assert release["values"]["fullnameOverride"] == "kong"


def test_pods_use_images_by_digest(dev: Recording) -> None:
    (container,) = dev.pod("foo")["containers"]
    assert container["image"] == f"registry.digitalocean.com/kong-doks-1a2b3c4/microservices:foo@{DIGEST}"


@pytest.mark.parametrize("name", ["foo", "bar"])
def test_a_services_container_is_restricted(dev: Recording, name: str) -> None:
    spec = dev.pod(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108


def test_kongs_containers_are_restricted(dev: Recording) -> None:
    context = dev.one("Release").inputs["values"]["containerSecurityContext"]
    assert context["runAsNonRoot"] is True
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}


def test_kongs_admin_surfaces_stay_inside_the_pod(dev: Recording) -> None:
    values = dev.one("Release").inputs["values"]
    assert values["admin"] == {"enabled": False}
    assert values["manager"] == {"enabled": False}
    assert values["env"]["admin_gui_listen"] == "off"
    assert values["env"]["database"] == "off"
    assert values["ingressController"]["admissionWebhook"] == {"enabled": False}


def test_a_rollout_loses_no_request(dev: Recording) -> None:
    strategy = dev.one("Deployment", "foo").inputs["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    spec = dev.pod("foo")
    (container,) = spec["containers"]
    assert 0 < container["lifecycle"]["preStop"]["sleep"]["seconds"] < spec["terminationGracePeriodSeconds"]


def test_a_failed_rollout_reports_the_containers_last_log_lines(
    dev: Recording, run: Callable[[str], Recording]
) -> None:
    foo = dev.one("Deployment", "foo")
    assert (foo.create_timeout, foo.update_timeout) == ("180s", "180s")
    three_replicas = run("blue-green").one("Deployment", "foo-green")
    assert three_replicas.update_timeout == "240s"
    store = run("several gateways").one("Deployment", "rate-limits")
    assert (store.create_timeout, store.update_timeout) == ("180s", "180s")
    for deployment in (foo, three_replicas, store):
        (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_built_images_have_http_probes_and_others_tcp_probes(dev: Recording, run: Callable[[str], Recording]) -> None:
    (built,) = dev.pod("foo")["containers"]
    (ready,) = run("third service").pod("web")["containers"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert built[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
        assert ready[probe]["tcpSocket"] == {"port": "http"}


def test_an_image_entry_is_not_built(run: Callable[[str], Recording]) -> None:
    recording = run("third service")
    assert [image.name for image in recording.of("Image")] == ["foo"]
    (container,) = recording.pod("web")["containers"]
    assert container["image"] == "nginx:1.29.3"
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert {"name": "PORT", "value": "8080"} in container["env"]
    assert recording.outputs["web_url"] == "http://203.0.113.10/"


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Returns what the kubelet makes of a variable's value (Kubernetes' API reference, EnvVar)."""

    def replacement(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replacement, text)


def test_environment_variables_are_passed_unchanged(run: Callable[[str], Recording]) -> None:
    (container,) = run("env as written").pod("foo")["containers"]
    arrived: dict[str, str] = {}
    for variable in container["env"]:
        arrived[variable["name"]] = expanded(variable["value"], arrived)
    assert arrived == {"PORT": "5000", **ENV}
    (container,) = run("secret env").pod("foo")["containers"]
    assert {"name": "DOLLARS", "value": {"secret": "a$$$$b"}} in container["env"]


def test_a_private_image_is_pulled_with_its_registrys_credentials(run: Callable[[str], Recording]) -> None:
    recording = run("private image")
    assert recording.pod("web")["imagePullSecrets"] == [{"name": "kong-doks-registry"}, {"name": "web.pull"}]
    assert recording.pod("foo")["imagePullSecrets"] == [{"name": "kong-doks-registry"}]
    secret = recording.one("Secret", "web.pull").inputs
    assert (secret["type"], secret["metadata"]["namespace"]) == ("kubernetes.io/dockerconfigjson", "default")
    (docker_config,) = secret["stringData"]["secret"].values()
    (server, entry), *others = json.loads(docker_config)["auths"].items()
    assert (server, base64.b64decode(entry["auth"]), others) == ("ghcr.io", b"user:planted-word", [])
    assert "Secret web.pull" in recording.before(recording.one("Deployment", "web"))


def test_variables_set_as_secrets_stay_secret(run: Callable[[str], Recording]) -> None:
    (container,) = run("secret env").pod("foo")["containers"]
    assert {"name": "API_KEY", "value": {"secret": "planted-key"}} in container["env"]


def test_the_stack_and_a_third_service_fit_the_tutorials_node(dev: Recording) -> None:
    # kubectl describe node: 900m and 1574Mi, less cilium 310m/310Mi, CoreDNS 2 x 100m/150M, cpc-bridge-proxy 100m/75Mi,
    # do-node-agent 102m/80Mi.
    free = {"cpu": 0.900 - 0.712, "memory": 1574 * 2**20 - (465 * 2**20 + 2 * 150e6)}
    values = dev.one("Release").inputs["values"]
    kong = [values["resources"], values["ingressController"]["resources"]]
    pods = [dev.pod(name)["containers"][0]["resources"] for name in ("foo", "bar")]
    third = pods[0]
    for kind, available in free.items():
        # A rollout adds a pod, Kong's at the most, before it removes one.
        asked = sum(quantity(resources["requests"][kind]) for resources in [*kong, *kong, *pods, third])
        assert asked <= available
        assert all(resources["limits"][kind] for resources in [*kong, *pods])


def test_outputs_list_every_address(dev: Recording) -> None:
    assert dev.outputs["proxy_ip"] == "203.0.113.10"
    assert dev.outputs["proxy_url"] == "http://203.0.113.10"
    assert dev.outputs["foo_url"] == "http://203.0.113.10/foo"
    assert dev.outputs["bar_url"] == "http://203.0.113.10/bar"
    assert dev.outputs["cluster_id"] == "cluster-id"
    assert list(dev.outputs["kubeconfig"]) == ["secret"]
    readme = dev.outputs["readme"]
    assert "The gateway is at http://203.0.113.10 (address 203.0.113.10)." in readme
    assert "${" not in readme
    assert "\ncurl http://203.0.113.10/foo\ncurl http://203.0.113.10/bar\n" in readme
    # Nothing of what this stack doesn't have.
    assert re.findall("TOKEN|proxy_command|Dashboards|\n{3}", readme) == []
    assert "\n| 1 node s-1vcpu-2gb | 0.01786 | 12.00 |\n" in readme
    assert "\n| total | 0.03572 | 24.00 |\n" in readme
    assert readme.endswith("```sh\npulumi destroy\npython -m ops bill --expect-zero --wait 600\n```\n")


def test_a_request_in_the_readme_has_the_headers_that_its_route_requires(run: Callable[[str], Recording]) -> None:
    assert re.findall(r"curl .*-H 'X-Canary: always' http://\S+/foo\n", run("example canary").outputs["readme"])


def test_the_readme_output_has_the_prices_of_autoscaled_pools_and_the_end_of_protection(
    run: Callable[[str], Recording],
) -> None:
    readme = run("node pools, unknown price").outputs["readme"]
    unknown = "shows the price, with the API's price of `nodePools.batch.size: m-2vcpu-16gb`"
    assert f"`python -m ops cost` {unknown}" in readme
    pools = run("node pools, protected").outputs["readme"]
    assert "| 1 to 4 nodes s-2vcpu-4gb (batch) | 0.03571 to 0.14284 | 24.00 to 96.00 |" in pools
    assert "| total | 0.07143 to 0.17856 | 48.00 to 120.00 |" in pools
    assert "\npulumi config set protect false && pulumi up\npulumi destroy\n" in pools


def test_the_readme_output_shows_a_request_to_each_service(run: Callable[[str], Recording]) -> None:
    everything = run("example everything")
    readme = everything.outputs["readme"]
    requests = re.findall(r"^(?:curl (?!-i ).*|# gRPC .*)$", readme, re.MULTILINE)
    assert len(requests) == len([name for name in everything.outputs if name.endswith("_url") and name != "proxy_url"])
    assert any('-H "Authorization: Bearer $TOKEN" ' in line for line in requests)
    assert "`$TOKEN` and `$KEY` are a consumer's token and API key" in readme
    watched = run("example monitoring").outputs
    dashboards = re.findall(r'^eval "\$\(pulumi stack output (\w+)\)"$', watched["readme"], re.MULTILINE)
    assert dashboards == ["prometheus_command", "grafana_command", "grafana_password_command"]
    assert set(dashboards) < set(watched)
    local = run("local").outputs["readme"]
    assert 'while this command runs: `eval "$(pulumi stack output proxy_command)"`' in local
    assert "\nkubectl --context docker-desktop get all --all-namespaces\n" in local


def test_an_existing_cluster_needs_no_digitalocean(run: Callable[[str], Recording]) -> None:
    local = run("local")
    assert [resource.type for resource in local.resources if resource.type.startswith("digitalocean:")] == []
    assert local.invoked == []
    assert local.one("kubernetes").inputs["context"] == "docker-desktop"
    assert {resource.deleted_with for resource in local.resources} == {""}


def test_an_existing_cluster_can_have_a_gateway_without_a_load_balancer(run: Callable[[str], Recording]) -> None:
    local = run("local")
    assert local.outputs["proxy_ip"] == "127.0.0.1"
    assert local.outputs["foo_url"] == "http://127.0.0.1:8080/foo"
    values = local.one("Release").inputs["values"]
    assert values["proxy"] == {"type": "ClusterIP"}
    assert "real_ip_header" not in values["env"]
    assert local.outputs["proxy_command"] == (
        "kubectl --context docker-desktop --namespace kong port-forward service/kong-proxy 8080:80"
    )


def test_local_images_have_a_tag_and_roll_by_content(run: Callable[[str], Recording]) -> None:
    local = run("local")
    image = local.one("Image", "foo").inputs
    assert (image["load"], image["push"]) == (True, False)
    assert "platforms" not in image
    assert local.pod("foo")["containers"][0]["image"] == "foo-microservice:latest"
    template = local.one("Deployment", "foo").inputs["spec"]["template"]
    assert template["metadata"]["annotations"] == {"kong-doks/image-content": CONTENT}
