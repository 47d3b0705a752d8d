"""A Kubernetes API server over TLS that serves the objects it is given: discovery, lists, objects, logs, evictions."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from sandbox.host.certificate_authority import Authority
from tests.standins.account import FakeKubernetes

Document = dict[str, Any]
KINDS = {
    "v1": {
        "Event": "events",
        "Namespace": "namespaces",
        "Node": "nodes",
        "Pod": "pods",
        "Secret": "secrets",
        "Service": "services",
    },
    "apps/v1": {"Deployment": "deployments"},
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "configuration.konghq.com/v1": {"KongPlugin": "kongplugins"},
    "gateway.networking.k8s.io/v1": {"HTTPRoute": "httproutes"},
    "networking.k8s.io/v1": {
        "Ingress": "ingresses",
        "IngressClass": "ingressclasses",
        "NetworkPolicy": "networkpolicies",
    },
}
CLUSTER_WIDE = ("Namespace", "Node", "IngressClass")


class ApiServer:
    """Attributes: objects, with apiVersion, kind and metadata; logs by pod, container and whether of the one before.

    `kept` are names of pods that a disruption budget keeps. `refusal` is the status of every answer, if not 0; `hangs`
    leaves every request without an answer.
    """

    def __init__(self, folder: Path) -> None:
        self.objects: list[Document] = []
        self.logs: dict[tuple[str, str, bool], str] = {}
        self.kept: set[str] = set()
        self.refusal = 0
        self.hangs = False
        self._ended = threading.Event()
        authority = Authority(folder, "api-server")
        authority.server("api", ["127.0.0.1"])
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "api.crt", folder / "api.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True).start()
        self.kubernetes = FakeKubernetes(f"https://127.0.0.1:{self._server.server_port}", authority.pem)

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def wait_for_the_end(self) -> None:
        self._ended.wait()

    def answer(self, url: str) -> Document | str | None:
        """The document at a URL; None if there is none."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        api, _, rest = parts.path.removeprefix("/api/").removeprefix("/apis/").partition("/")
        if parts.path.startswith("/apis/"):
            version, _, rest = rest.partition("/")
            api = f"{api}/{version}"
        kinds = KINDS.get(api)
        if kinds is None:
            return None
        if not rest:
            resources = [
                {"kind": kind, "name": name, "namespaced": kind not in CLUSTER_WIDE} for kind, name in kinds.items()
            ]
            return {"resources": resources}
        segments = rest.split("/")
        namespace = segments[1] if segments[0] == "namespaces" and len(segments) > 2 else ""
        plural, *name = segments[2:] if namespace else segments
        matching = [
            document
            for document in self.objects
            if document["apiVersion"] == api
            and kinds[document["kind"]] == plural
            and namespace in ("", document["metadata"].get("namespace"))
            and _selected(document, query.get("labelSelector", ""))
            and all(
                _has_field(document, *pair.split("=")) for pair in query.get("fieldSelector", "").split(",") if pair
            )
        ]
        if not name:
            return {"items": matching or None}
        if name[1:] == ["log"]:
            return self.logs.get((name[0], query["container"], query["previous"] == "true"))
        return next((document for document in matching if document["metadata"]["name"] == name[0]), None)

    def change(self, url: str, change: Document) -> Document | None:
        """Changes fields of an object's `spec`."""
        document = self.answer(url)
        if not isinstance(document, dict):
            return None
        document["spec"] = document.get("spec", {}) | change["spec"]
        return document

    def evict(self, url: str, eviction: Document) -> tuple[Document | None, int]:
        """Ends a pod, unless a budget keeps it; the answer and its status."""
        assert eviction["kind"] == "Eviction"
        pod = self.answer(url.removesuffix("/eviction"))
        if not isinstance(pod, dict):
            return None, 404
        if {key: pod["metadata"][key] for key in ("name", "namespace")} != eviction["metadata"]:
            return {"kind": "Status", "message": "the name in the URL does not match the Eviction's"}, 400
        if pod["metadata"]["name"] in self.kept:
            return {"kind": "Status"}, 429
        self.objects.remove(pod)
        return pod, 201

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if server.hangs:
                    server.wait_for_the_end()
                self._send({"kind": "Status"} if server.refusal else server.answer(self.path), server.refusal or 200)

            def do_DELETE(self) -> None:
                document = server.answer(self.path)
                if isinstance(document, dict):
                    server.objects.remove(document)
                self._send(document)

            def do_PATCH(self) -> None:
                self._send(server.change(self.path, self._body()))

            def do_POST(self) -> None:
                self._send(*server.evict(self.path, self._body()))

            def _body(self) -> Document:
                body: Document = json.loads(self.rfile.read(int(self.headers["content-length"])))
                return body

            def _send(self, document: Document | str | None, status: int = 200) -> None:
                self.send_response(404 if document is None else status)
                self.end_headers()
                self.wfile.write((document if isinstance(document, str) else json.dumps(document)).encode())

            def log_message(self, *_: object) -> None:
                """Logs nothing."""

        return Handler


def _selected(item: Document, selector: str) -> bool:
    labels = item["metadata"].get("labels", {})
    return all(
        labels.get(pair.partition("=")[0]) == pair.partition("=")[2] for pair in filter(None, selector.split(","))
    )


def _has_field(item: Document, path: str, value: str) -> bool:
    field: Any = item
    for name in path.split("."):
        field = field.get(name, {})
    return bool(field == value)


def deployment(name: str, namespace: str = "default", **spec: Any) -> Document:  # noqa: ANN401 -- fields of Kubernetes
    """A Deployment of one ready replica, as Pulumi applied it."""
    containers = [{"name": "api", "image": f"user/{name}:1"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "managedFields": [{"manager": "pulumi-kubernetes-1", "operation": "Apply", "fieldsV1": {}}],
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"spec": {"containers": containers}},
        }
        | spec,
        "status": {"readyReplicas": 1},
    }


def pod(app: str, namespace: str = "default", container: str = "api", **status: Any) -> Document:  # noqa: ANN401
    """A pod of a Deployment; `status` are the fields of its one container's status."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{app}-1", "namespace": namespace, "uid": str(uuid4()), "labels": {"app": app}},
        "spec": {"containers": [{"name": container, "image": f"user/{app}:1"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": container, "image": f"user/{app}:1", "ready": False} | status],
        },
    }
