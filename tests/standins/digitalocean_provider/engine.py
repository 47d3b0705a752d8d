"""The provider's service, called as by Pulumi's engine, with a DigitalOcean account without Kubernetes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from flask import Flask, request
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2
from werkzeug.serving import make_server

from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.app import create_app
from sandbox.digitalocean.kubernetes.records import ClusterRecord, KubernetesLike
from sandbox.digitalocean.provider.properties import Properties, decode, encode, secrets_in
from sandbox.digitalocean.settings import Settings
from tests.standins.account import FakeKubernetes

TOKEN = "dop_v1_" + "5" * 64


class Refused(Exception):  # noqa: N818 -- what the engine reports
    """An RPC failed; `partial` holds id and state if the engine would store the resource all the same."""

    def __init__(self, error: Any) -> None:  # noqa: ANN401 -- gRPC has no types
        super().__init__(error.details())
        self.partial: tuple[str, Properties] | None = None
        packed = dict(error.trailing_metadata()).get("grpc-status-details-bin")
        if packed:
            detail = provider_pb2.ErrorResourceInitFailed()
            status_pb2.Status.FromString(packed).details[0].Unpack(detail)
            self.partial = detail.id, decode(detail.properties)


class Stored(NamedTuple):
    """A resource as the engine stores it."""

    urn: str
    id: str
    inputs: Properties
    state: Properties
    secrets: set[str]


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise Refused(error) from None


class Engine:
    def __init__(self, channel: grpc.Channel) -> None:
        self.rpc: Any = provider_pb2_grpc.ResourceProviderStub(channel)

    def configure(self, **config: str) -> None:
        self.rpc.Configure(provider_pb2.ConfigureRequest(args=encode(config), acceptSecrets=True))

    def check(self, kind: str, inputs: Properties, olds: Properties | None = None, seed: bytes = b"1") -> Properties:
        """The checked inputs; what is wrong with them as `failures`."""
        module = f"{kind[0].lower()}{kind[1:]}"
        urn = f"urn:pulumi:dev::kong-doks::kong-doks:cluster:Cluster$digitalocean:index/{module}:{kind}::gateway"
        with _refusing():
            answer = self.rpc.Check(
                provider_pb2.CheckRequest(urn=urn, olds=encode(olds or {}), news=encode(inputs), randomSeed=seed)
            )
        failures = {failure.property: failure.reason for failure in answer.failures}
        return {"urn": urn, "inputs": decode(answer.inputs), "failures": failures}

    def plan(self, kind: str, inputs: Properties) -> Any:  # noqa: ANN401 -- a message
        """The state that a preview shows of a create."""
        checked = self.check(kind, inputs)
        properties = encode(checked["inputs"])
        return self.rpc.Create(provider_pb2.CreateRequest(urn=checked["urn"], properties=properties, preview=True))

    def create(self, kind: str, inputs: Properties, seconds: float = 0) -> Stored:
        checked = self.check(kind, inputs)
        assert not checked["failures"]
        urn, properties = checked["urn"], encode(checked["inputs"])
        with _refusing():
            answer = self.rpc.Create(provider_pb2.CreateRequest(urn=urn, properties=properties, timeout=seconds))
        return Stored(urn, answer.id, checked["inputs"], decode(answer.properties), secrets_in(answer.properties))

    def diff(self, stored: Stored, inputs: Properties) -> Any:  # noqa: ANN401 -- a message
        kind = stored.urn.split("::")[2].rpartition(":")[2]
        news = encode(self.check(kind, inputs, stored.inputs)["inputs"])
        olds, old_inputs = encode(stored.state), encode(stored.inputs)
        return self.rpc.Diff(
            provider_pb2.DiffRequest(id=stored.id, urn=stored.urn, olds=olds, news=news, old_inputs=old_inputs)
        )

    def update(self, stored: Stored, inputs: Properties) -> Stored:
        kind = stored.urn.split("::")[2].rpartition(":")[2]
        news = self.check(kind, inputs, stored.inputs)["inputs"]
        with _refusing():
            answer = self.rpc.Update(
                provider_pb2.UpdateRequest(id=stored.id, urn=stored.urn, olds=encode(stored.state), news=encode(news))
            )
        return Stored(stored.urn, stored.id, news, decode(answer.properties), secrets_in(answer.properties))

    def refresh(self, stored: Stored) -> Stored | None:
        with _refusing():
            answer = self.rpc.Read(
                provider_pb2.ReadRequest(
                    id=stored.id, urn=stored.urn, properties=encode(stored.state), inputs=encode(stored.inputs)
                )
            )
        properties = answer.properties
        return (
            Stored(stored.urn, answer.id, decode(answer.inputs), decode(properties), secrets_in(properties))
            if answer.id
            else None
        )

    def delete(self, stored: Stored) -> None:
        with _refusing():
            self.rpc.Delete(provider_pb2.DeleteRequest(id=stored.id, urn=stored.urn, properties=encode(stored.state)))

    def invoke(self, function: str, **args: object) -> Any:  # noqa: ANN401 -- a message
        token = f"digitalocean:index/{function}:{function}"
        with _refusing():
            return getattr(self.rpc.Invoke(provider_pb2.InvokeRequest(tok=token, args=encode(args))), "return")

    def cancel(self) -> None:
        self.rpc.Cancel(Empty())


class Account:
    """A DigitalOcean account that notes the calls with their bodies; `url` is its API.

    Args:
        kubernetes: what its clusters are; without one they are empty names.
    """

    def __init__(self, kubernetes: KubernetesLike | None = None) -> None:
        self.settings = Settings(cluster_delete=0.5, node_create=0, node_delete=0, cluster_upgrade=0.5)
        self.cloud = Cloud(TOKEN, self._start, self.settings, real_kubernetes=bool(kubernetes))
        self._kubernetes = kubernetes or FakeKubernetes()
        self.calls: list[tuple[str, str, Any]] = []
        self.broken = ""
        app = create_app(self.cloud)
        self._note_calls_of(app)
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _start(self, _record: ClusterRecord) -> KubernetesLike:
        if self.broken:
            raise RuntimeError(self.broken)
        return self._kubernetes

    def _note_calls_of(self, app: Flask) -> None:
        def note() -> None:
            path = request.full_path.removeprefix("/v2/").rstrip("?")
            self.calls.append((request.method, path, request.get_json(silent=True)))

        app.before_request_funcs.setdefault(None, []).insert(0, note)

    def calls_of(self, action: Any, *arguments: object) -> list[str]:  # noqa: ANN401 -- any callable
        """Returns the calls of an action as "METHOD path", with ids replaced."""
        self.calls.clear()
        action(*arguments)
        told = (f"{method} {path}" for method, path, _ in self.calls)
        for identifier in self.cloud.clusters.records:
            told = (line.replace(identifier, "ID") for line in told)
        return list(told)

    def stop(self) -> None:
        self._server.shutdown()
        self.cloud.stop()
