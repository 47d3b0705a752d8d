"""The reach of a pod inside of the cluster, tried from real pods."""

from collections.abc import Iterator

import pytest

from sandbox.cluster.control_plane import KUBERNETES_SERVICE
from sandbox.host.addresses import NODE
from tests.e2e import inside
from tests.e2e.inside import FOO, METADATA, PRIVATE, PUBLIC, STRANGER, STRANGERS, address, pod, reached
from tests.e2e.stack import Stack

KONG = "system:serviceaccount:kong:kong"


@pytest.fixture(scope="module")
def beset(stack: Stack) -> Iterator[Stack]:
    """The tutorial's stack, with a foreign pod in the cluster and addresses outside of it."""
    with inside.stranger(stack), inside.addresses_behind_the_node():
        yield stack


def test_every_pod_reaches_kong_and_kong_reaches_the_services(beset: Stack) -> None:
    assert beset.get("/foo").status_code == beset.get("/bar").status_code == 200
    kong = address(beset, "-n", "kong")
    assert reached(beset, STRANGER, f"{kong}:8000", f"{kong}:8443") == {f"{kong}:8000", f"{kong}:8443"}


def test_no_other_pod_reaches_a_service(beset: Stack) -> None:
    service = beset.kubernetes("service", "foo-service")["spec"]["clusterIP"]
    pods = [f"{address(beset, '-l', f'app={name}')}:5000" for name in ("foo", "bar")]
    # The foreign pod's network is open.
    assert reached(beset, STRANGER, *pods, f"{service}:5000", f"{PUBLIC}:80") == {f"{PUBLIC}:80"}
    assert reached(beset, FOO, pods[1], f"{PUBLIC}:80") == {f"{PUBLIC}:80"}


def test_no_other_pod_reaches_kongs_admin_api_status_or_the_controllers_ports(beset: Stack) -> None:
    kong = address(beset, "-n", "kong")
    ports = (8001, 8002, 8100, 8444, 8445, 10254, 10255, 10256)
    assert reached(beset, STRANGER, *(f"{kong}:{port}" for port in ports)) == set()
    # Without any policy the admin API wouldn't answer either: from the node, where none applies, it is refused.
    assert "configuration_hash" in beset.kong(8100, "/status").stdout
    for port in (8001, 8444):
        assert "connection refused" in beset.kong(port, "/status", check=False).stderr


def test_a_service_reaches_the_internet_and_nothing_private(beset: Stack) -> None:
    inward = [f"{address(beset, '-n', STRANGERS)}:8080", f"{address(beset, '-n', 'kong')}:8000"]
    outward = [f"{METADATA}:80", f"{PRIVATE}:80", f"{KUBERNETES_SERVICE}:443", f"{NODE}:10250"]
    assert reached(beset, FOO, *inward, *outward, f"{PUBLIC}:80") == {f"{PUBLIC}:80"}
    assert reached(beset, STRANGER, *inward, *outward) == {*inward, *outward}


def test_a_service_resolves_names(beset: Stack) -> None:
    resolve = "import socket; print(socket.gethostbyname('bar-service'))"
    said = beset.run("kubectl", "exec", *FOO, "--", "python", "-c", resolve).stdout.strip()
    assert said == beset.kubernetes("service", "bar-service")["spec"]["clusterIP"]


@pytest.mark.parametrize("namespace", ["default", "kong"])
def test_a_pod_that_runs_as_root_is_refused(beset: Stack, namespace: str) -> None:
    refused = inside.create(beset, namespace, pod("root", "id", runAsUser=0, runAsNonRoot=False))
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr
    # It is the user, and nothing else about the pod.
    assert "runAsNonRoot" in refused.stderr
    assert "allowPrivilegeEscalation" not in refused.stderr


def test_services_have_no_api_token_and_kong_may_not_change_workloads(beset: Stack) -> None:
    look = "import pathlib; print(*pathlib.Path('/var/run/secrets').rglob('*'))"
    assert beset.run("kubectl", "exec", *FOO, "--", "python", "-c", look).stdout.split() == []

    def may(account: str, verb: str, kind: str) -> bool:
        asked = beset.run("kubectl", "auth", "can-i", verb, kind, "--as", account, "-n", "default", check=False)
        assert asked.stdout.strip() in {"yes", "no"}, asked.stderr
        return asked.stdout.strip() == "yes"

    assert not may("system:serviceaccount:default:default", "get", "pods")
    assert may(KONG, "watch", "ingresses")
    forbidden = ("create pods", "create pods/exec", "update deployments", "create secrets", "update ingresses")
    assert [request for request in forbidden if may(KONG, *request.split())] == []
