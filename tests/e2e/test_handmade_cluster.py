"""The tutorial that moves the hand-made cluster into a stack, typed as the page shows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.pages import Guide
from tests.reliability.part import until
from tests.reliability.whole import Whole
from tests.standins.digitalocean_provider.engine import TOKEN
from tests.support import PATIENCE

# As `doctl kubernetes cluster create mycluster --size s-1vcpu-2gb --count 1` requests it.
BY_HAND = {
    "name": "mycluster",
    "region": "nyc1",
    "version": "1.35.7-do.0",
    "ha": False,
    "auto_upgrade": False,
    "surge_upgrade": True,
    "node_pools": [{"name": "mycluster-default-pool", "size": "s-1vcpu-2gb", "count": 1}],
}
KONG = """\
apiVersion: v1
kind: Namespace
metadata: {name: kong}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: kong}
spec: {controller: ingress-controllers.konghq.com/kong}
---
apiVersion: v1
kind: Service
metadata: {name: kong-proxy, namespace: kong}
spec: {type: LoadBalancer, selector: {app: ingress-kong}, ports: [{name: proxy, port: 80, targetPort: 8000}]}
"""
SERVICE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}-deployment, labels: {{app: {name}}}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: api, image: "user/{name}-microservice:0.1", ports: [{{containerPort: 5000}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}-service}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 5000, targetPort: 5000}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}}}
spec:
  ingressClassName: kong
  rules:
    - http:
        paths:
          - {{path: /{name}, pathType: Prefix, backend: {{service: {{name: {name}-service, port: {{number: 5000}}}}}}}}
"""
"""The objects that the tutorial applies by hand."""


class HandMade(Whole):
    """An account after the manual tutorial, and a project without a stack."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.run("pulumi", "stack", "rm", "--yes", "dev")
        self.environment |= {"PULUMI_SKIP_CONFIRMATIONS": "true"}
        self.provide_kubectl()
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        self._api = httpx.Client(base_url=f"{self.account.url}/v2/", headers=bearer, timeout=PATIENCE)
        created = self._api.post("kubernetes/clusters", json=BY_HAND).raise_for_status()
        self.cluster = str(created.json()["kubernetes_cluster"]["id"])
        # The tutorial's `$id`.
        self.environment["id"] = self.cluster
        until(lambda: self.document["status"]["state"] == "running")
        (self.project / "kong.yaml").write_text(KONG)
        self.kubectl("apply", "-f", "kong.yaml")
        for name in ("foo", "bar"):
            (self.project / f"{name}.yaml").write_text(SERVICE.format(name=name))
            self.kubectl("apply", "-f", f"{name}.yaml")

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.get(f"kubernetes/clusters/{self.cluster}").json()["kubernetes_cluster"]
        return found

    def identity(self, kind: str, name: str) -> str:
        """The UID of an object in the namespace default."""
        return self.kubectl("get", kind, name, "-o", "jsonpath={.metadata.uid}")


@pytest.fixture
def handmade(tmp_path: Path) -> Iterator[HandMade]:
    handmade = HandMade(tmp_path)
    yield handmade
    handmade.stop()


@pytest.mark.soak
def test_the_tutorial_moves_the_hand_made_cluster_into_a_stack(handmade: HandMade) -> None:
    by_hand = ["deployment/foo-deployment", "deployment/bar-deployment", "service/foo-service", "ingress/foo"]
    before = {name: handmade.identity(*name.split("/")) for name in by_hand}
    with Guide("tutorials/from-the-handmade-cluster.md") as guide:
        handmade.types(guide.commands("pulumi install"))
        (shown,) = guide.shown("yaml")
        file = handmade.project / "Pulumi.dev.yaml"
        written = yaml.safe_load(shown)
        # On this machine the chart is elsewhere.
        written["config"]["chartRepository"] = handmade.config["chartRepository"]
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | written))

        handmade.types(guide.commands("doctl kubernetes"))
        assert "2 imported" in handmade.types(guide.commands())
        preview = handmade.types(guide.commands())
        (expected,) = guide.shown("")
        assert all(line in preview for line in expected.splitlines())
        assert "replace" not in preview

        handmade.types(guide.commands())
        assert handmade.types(guide.commands("curl")).startswith("http://")
    assert {name: handmade.identity(*name.split("/")) for name in by_hand} == before
    assert handmade.document["status"]["state"] == "running"
    assert handmade.clusters_ever() == 1
    # The defaults that kubectl owns are no additions.
    assert handmade.doctor() == []
    # The next `up` has nothing to do, and destroying ends the bill of what was made by hand, too.
    assert "36 unchanged" in handmade.types("pulumi up")
    assert handmade.ends_at_zero()
