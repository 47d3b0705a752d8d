"""Runs the real program under mocks, as `pulumi up` would, and prints what it registered as JSON.

A process of its own, since Pulumi keeps its runtime in globals.
"""

# Pulumi's mocks have no annotations.
# mypy: disable-error-code="no-untyped-call"

import asyncio
import functools
import gc
import hashlib
import io
import json
import os
import runpy
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pulumi
import yaml
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.proto import resource_pb2 as messages
from pulumi.runtime.stack import run_in_stack

from infra.config import versions
from infra.config.stack_file import OPTION

PROJECT = Path(__file__).resolve().parents[2]
PROJECT_NAME = "kong-doks"
OFFERED = ["1.36.3-do.0", "1.35.7-do.1", "1.35.7-do.0", "1.34.10-do.0"]
DOCKER_CONFIG = '{"auths": {"registry.digitalocean.com": {"auth": "dXNlcjpwYXNzLXdvcmQ="}}}'  # user:pass-word
GATEWAY_API_RELEASES = "kubernetes-sigs/gateway-api/releases/download"
KONG_KINDS = tuple(f"kong{kind}.configuration.konghq.com" for kind in ("plugins", "clusterplugins", "consumers"))
GATEWAY_KINDS = ("gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io")
DIGEST = f"sha256:{'0' * 64}"


class Answers(mocks.Mocks):
    """The answers of DigitalOcean and of the cluster."""

    def __init__(self, *, preview: bool, outputs: Mapping[str, Any]) -> None:
        self.preview = preview
        self.outputs = outputs
        """Resources of the stack, as an earlier run left them."""
        self.name: str | None = None
        """Host name of the load balancer, from its annotation."""

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        if args.token.endswith(":readStackOutputs"):
            assert args.args["name"].startswith(f"organization/{PROJECT_NAME}/")
            return {"outputs": self.outputs}
        if args.token.endswith(":getKubernetesVersions"):
            versions = [version for version in OFFERED if version.startswith(args.args.get("versionPrefix") or "")]
            return {"id": "versions", "validVersions": versions, "latestVersion": versions[0] if versions else None}
        if args.token.endswith(":getDomains"):
            zones = ["example.com", "shop.example.com", "other.example"]
            return {"id": "domains", "domains": [{"name": name, "ttl": 1800, "urn": name} for name in zones]}
        if args.token.endswith(":getLoadBalancer"):
            return {"id": args.args["id"], "ip": "198.51.100.7"}
        raise NotImplementedError(args.token)

    def new_resource(  # noqa: C901 -- a case for each kind
        self, args: mocks.MockResourceArgs
    ) -> tuple[str | None, dict[str, Any]]:
        if args.typ.endswith(":ContainerRegistry") and args.resource_id:
            return args.resource_id, self._registry(args.resource_id, "basic")
        made: dict[str, Any] = {}
        if self.preview or args.custom is False:
            return None, args.inputs
        match args.typ.rpartition(":")[2]:
            case "KubernetesCluster":
                made = {"endpoint": "https://api.example", "kubeConfigs": [{"clusterCaCertificate": "Q0E="}]}
            case "ContainerRegistry":
                tier = args.inputs["subscriptionTierSlug"]
                made = self._registry(args.inputs.get("name", f"{args.name}-1a2b3c4"), tier)
            case "ContainerRegistryDockerCredentials":
                made = {"dockerCredentials": DOCKER_CONFIG}
            case "Image":
                made = {"ref": f"{args.inputs['tags'][0]}@{DIGEST}", "digest": DIGEST, "contextHash": "content"}
            case "Release":
                marks = args.inputs["values"].get("proxy", {}).get("annotations", {})
                self.name = self.name or marks.get("service.beta.kubernetes.io/do-loadbalancer-hostname")
                made = {"status": {"namespace": args.inputs["namespace"]}}
            case "EndpointSlice":
                made = {"ports": [{"name": "https", "port": 443, "protocol": "TCP"}]}
            case "Namespace":
                made = {"metadata": {**args.inputs["metadata"], "uid": "0b5c7e1a"}}
            case "Service" if args.resource_id:
                ingress = [
                    {"ip": "2604:a880::1"},
                    *([{"hostname": self.name}] if self.name else [{"ip": "203.0.113.10"}]),
                ]
                marks = {"kubernetes.digitalocean.com/load-balancer-id": "balancer"}
                made = {"status": {"loadBalancer": {"ingress": ingress}}, "metadata": {"annotations": marks}}
        return f"{args.name}-id", {**args.inputs, **made}

    @staticmethod
    def _registry(name: str, tier: str) -> dict[str, str]:
        endpoint = f"registry.digitalocean.com/{name}"
        server = "registry.digitalocean.com"
        return {"id": name, "name": name, "endpoint": endpoint, "serverUrl": server, "subscriptionTierSlug": tier}


def definition(plural: str) -> str:
    """A custom resource definition as their authors write them, with what a cluster fills in itself."""
    field = {"type": "string", "description": "A field of this name.", "default": {"description": "a value"}}
    schema = {"description": "A kind.", "properties": {"description": field}}
    spec = {
        "group": plural.partition(".")[2],
        "names": {"plural": plural.partition(".")[0]},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}],
    }
    metadata = {"name": plural, "creationTimestamp": None, "annotations": {"from": "the author"}}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata}
    return yaml.safe_dump(crd | {"spec": spec, "status": {"conditions": []}})


@functools.cache
def published() -> dict[str, bytes]:
    """Answers by the end of a path: the chart repository, and the releases of the Gateway API."""
    archive = f"/archives/kong-{versions.KONG_CHART}.tgz"
    return {
        "/index.yaml": yaml.safe_dump(
            {
                "entries": {
                    "kong": [
                        {"version": "3.0.0", "urls": ["archives/kong-3.0.0.tgz"]},
                        {"version": versions.KONG_CHART, "urls": [archive.removeprefix("/")]},
                    ]
                }
            }
        ).encode(),
        archive: packed(
            {
                "kong/crds/all.yaml": "---\n".join(map(definition, KONG_KINDS)),
                "kong/charts/other/crds/other.yaml": definition("others.example.com"),
                "kong/templates/service.yaml": "{{ .Values.no }}",
            }
        ),
        f"{GATEWAY_API_RELEASES}/v{versions.GATEWAY_API}/standard-install.yaml": "---\n".join(
            [*map(definition, GATEWAY_KINDS), "kind: ValidatingAdmissionPolicy\n"]
        ).encode(),
    }


def internet(live: Mapping[str, Any], request: httpx.Request) -> httpx.Response:
    """Answers as the chart repositories do, and as DigitalOcean does about the cluster and the upgrades in `live`."""
    if request.url.host == "api.digitalocean.com":
        if request.url.path.endswith("/upgrades"):
            return httpx.Response(200, json={"available_upgrade_versions": [{"slug": s} for s in live["upgrades"]]})
        if "/vpcs/" in request.url.path:
            return httpx.Response(200, json={"vpc": live["vpc"]}) if "vpc" in live else httpx.Response(404)
        cluster = live.get("cluster")
        if request.url.path.endswith("/clusters"):
            return httpx.Response(200, json={"kubernetes_clusters": [cluster] if cluster else []})
        return httpx.Response(200, json={"kubernetes_cluster": cluster}) if cluster else httpx.Response(404)
    others = {
        "missing.example": httpx.Response(404),
        "empty.example": httpx.Response(200, text="entries: {}"),
        "old.example": httpx.Response(200, text="entries: {kong: [{version: 3.0.0, urls: [kong-3.0.0.tgz]}]}"),
        "portal.example": httpx.Response(200, text="<html>Log in</html>"),
    }
    if answer := others.get(request.url.host):
        return answer
    content = next((body for end, body in published().items() if request.url.path.endswith(end)), None)
    return httpx.Response(200, content=content) if content else httpx.Response(404)


def packed(files: Mapping[str, str]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return target.getvalue()


class Refused(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    """A provider's error as the engine hands it on."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self)


class Recorder(mocks.MockMonitor):
    """Keeps every registration, with what Pulumi's mocks leave out: dependencies, parents, deletedWith, timeouts."""

    def __init__(self, answers: Answers, refusal: str) -> None:
        super().__init__(answers)
        self.refusal = refusal
        self.registered: list[dict[str, Any]] = []
        self.deleted_with: dict[str, str] = {}
        self.invoked: list[str] = []
        self.outputs: dict[str, Any] = {}
        self.finished: list[str] = []

    def RegisterResource(self, request: messages.RegisterResourceRequest) -> object:  # noqa: N802 -- the engine's name
        response = super().RegisterResource(request)
        # The engine hands this down from parent to child; the mocks' doesn't.
        self.deleted_with[response.urn] = request.deletedWith or self.deleted_with.get(request.parent, "")
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(
                described(request, response.urn, request.object)
                | {
                    "created": True,
                    "deleted_with": self.deleted_with[response.urn],
                    "retained": request.retainOnDelete,
                    "ignore_changes": list(request.ignoreChanges),
                    "create_timeout": request.customTimeouts.create,
                    "update_timeout": request.customTimeouts.update,
                    "options": options(request),
                }
            )
        return response

    def ReadResource(self, request: messages.ReadResourceRequest) -> object:  # noqa: N802
        response = super().ReadResource(request)
        self.registered.append(
            described(request, response.urn, request.properties) | {"created": False, "id": plain(request.id)}
        )
        return response

    def RegisterResourceOutputs(self, request: messages.RegisterResourceOutputsRequest) -> object:  # noqa: N802
        self.finished.append(request.urn)
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = plain(MessageToDict(request.outputs))
        return super().RegisterResourceOutputs(request)

    def Invoke(self, request: messages.ResourceInvokeRequest) -> object:  # noqa: N802
        self.invoked.append(request.tok)
        if self.refusal and request.tok.startswith("digitalocean:"):
            raise Refused(self.refusal)
        return super().Invoke(request)


class Engine(mocks.MockEngine):
    """Keeps the errors that people would see."""

    def __init__(self) -> None:
        super().__init__(None)
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def Log(self, request: engine_pb2.LogRequest) -> object:  # noqa: N802
        if request.severity == engine_pb2.ERROR:
            self.errors.append(request.message)
        elif request.severity == engine_pb2.WARNING:
            self.warnings.append(request.message)
        return empty_pb2.Empty()


def described(
    request: messages.RegisterResourceRequest | messages.ReadResourceRequest, urn: str, properties: Message
) -> dict[str, Any]:
    return {
        "urn": urn,
        "type": request.type,
        "name": request.name,
        "parent": request.parent,
        "inputs": plain(MessageToDict(properties)),
        "needs": [*request.dependencies, request.parent, request.provider.rpartition("::")[0]],
        "frames": [frame.pc.uri for frame in request.stackTrace.frames],
    }


_NOT_AN_OPTION = ("type", "name", "object", "parent", "dependencies", "provider", "sourcePosition", "stackTrace")


def options(request: messages.RegisterResourceRequest) -> dict[str, Any]:
    """Returns the options of a registration, in the engine's terms."""
    said = {key: value for key, value in MessageToDict(request).items() if key not in _NOT_AN_OPTION}
    needs = {key: sorted(value.urns) for key, value in request.propertyDependencies.items()}  # a set, in any order
    return said | {"propertyDependencies": {key: urns for key, urns in needs.items() if urns}}


def plain(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """The wire's form as plain data: a secret is {"secret": value}, what isn't known yet is "(unknown)"."""
    if isinstance(value, dict):
        if value.get(rpc._special_sig_key) == rpc._special_secret_sig:  # noqa: SLF001 -- the wire has no public names
            return {"secret": plain(value["value"])}
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return "(unknown)" if value == rpc.UNKNOWN else value


TUTORIAL = {"services": [{"name": name, "path": f"/{name}", "build": f"apps/{name}"} for name in ("foo", "bar")]}
STACKS: dict[str, dict[str, Any]] = {
    "dev": TUTORIAL,
    "local": TUTORIAL
    | {"kubeContext": "docker-desktop", "registry": {"kind": "none"}, "proxyServiceType": "ClusterIP"},
    "sandbox": TUTORIAL
    | {
        "protect": False,
        "digitalocean:apiEndpoint": "http://127.0.0.1:7070",
        "gatewayApiReleases": "http://127.0.0.1:7071/gateway-api",
    }
    | {
        f"{chart}hartRepository": "http://127.0.0.1:7071"
        for chart in ("c", "prometheusC", "certManagerC", "metricsServerC")
    },
}
"""The stack files as they come with the project. The files themselves are the user's to edit, so no test reads them."""


def configuration(stack: str, overrides: Mapping[str, Any]) -> dict[str, str]:
    """The program's configuration: Pulumi.yaml's defaults, the stack's file, `overrides`; objects as JSON."""
    declared = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    values = {f"{PROJECT_NAME}:{key}": field["default"] for key, field in declared.items()}
    for written_keys in (STACKS.get(stack, TUTORIAL), overrides):
        # As Pulumi has it, a key without a namespace is in the project's.
        values |= {key if ":" in key else f"{PROJECT_NAME}:{key}": value for key, value in written_keys.items()}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def record(run: Mapping[str, Any]) -> dict[str, Any]:
    """One run: {"stack": name, "config": overrides, "secret_keys": [...], "preview": bool, "refusal": text}.

    `outputs` are those of an earlier run, `live` is the cluster that it has made.
    """
    answers = functools.partial(internet, run.get("live", {}))
    client = functools.partial(httpx.Client, transport=httpx.MockTransport(answers))
    httpx.Client = client  # type: ignore[assignment, misc]
    config = json.dumps(configuration(run["stack"], run.get("config", {})))
    # The stack files are the user's to edit.
    os.environ.update({"DIGITALOCEAN_TOKEN": "dop_v1_test", "PULUMI_CONFIG": config, OPTION: os.devnull})
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), run.get("secret_keys", []))
    preview = run.get("preview", False)
    recorder, engine = (
        Recorder(
            Answers(preview=preview, outputs=run.get("outputs", {})),
            run.get("refusal", ""),
        ),
        Engine(),
    )
    settings.configure(
        mocks.MockSettings(
            monitor=recorder,
            monitor_features=set(recorder.GetDeploymentInfo(None).supportedFeatures),
            engine=engine,
            project=PROJECT_NAME,
            stack=run["stack"],
            organization="organization",
            dry_run=preview,
        )
    )
    status = 0
    try:
        asyncio.run(run_in_stack(program))
    except SystemExit as ended:
        status = int(ended.code or 0)
    return {
        "resources": recorder.registered,
        "outputs": recorder.outputs,
        "finished": recorder.finished,
        "invoked": recorder.invoked,
        "errors": engine.errors,
        "warnings": engine.warnings,
        "status": status,
    }


def program() -> None:
    """Runs the program as the language host does: the project's directory is the program."""
    runpy.run_path(".", run_name="__main__")


if __name__ == "__main__":
    # It takes a fourth of the time, and memory ends with the process.
    gc.disable()
    archive = published()[f"/archives/kong-{versions.KONG_CHART}.tgz"]
    versions.KONG_CHART_SHA256[versions.KONG_CHART] = hashlib.sha256(archive).hexdigest()
    cache = tempfile.TemporaryDirectory()
    os.environ["XDG_CACHE_HOME"] = cache.name
    runs = json.load(sys.stdin)
    json.dump({name: record(run) for name, run in runs.items()}, sys.stdout)
