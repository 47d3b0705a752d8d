"""The provider's gRPC service: the engine's requests, answered from the resources' declarations."""
# ruff: noqa: ARG002, N802 -- the methods' names and parameters are gRPC's

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.digitalocean.provider import cluster, domain, node_pool, registry, vpc
from sandbox.digitalocean.provider.client import Client, PanicError, ProviderError
from sandbox.digitalocean.provider.properties import Properties, decode, encode, secrets_in, unknown
from sandbox.digitalocean.provider.resource import DEFAULTS, PartlyCreatedError, Resource, automatic_name

RESOURCES: Mapping[str, Resource] = {
    "digitalocean:index/kubernetesCluster:KubernetesCluster": cluster.KubernetesCluster(),
    "digitalocean:index/kubernetesNodePool:KubernetesNodePool": node_pool.KubernetesNodePool(),
    "digitalocean:index/vpc:Vpc": vpc.Vpc(),
    "digitalocean:index/containerRegistry:ContainerRegistry": registry.ContainerRegistry(),
    "digitalocean:index/containerRegistryDockerCredentials:ContainerRegistryDockerCredentials": (
        registry.ContainerRegistryDockerCredentials()
    ),
    "digitalocean:index/dnsRecord:DnsRecord": domain.DnsRecord(),
}
FUNCTIONS: Mapping[str, Callable[[Client, Properties], Properties]] = {
    "digitalocean:index/getKubernetesVersions:getKubernetesVersions": cluster.get_kubernetes_versions,
    "digitalocean:index/getDomains:getDomains": domain.get_domains,
    "digitalocean:index/getLoadBalancer:getLoadBalancer": domain.get_load_balancer,
}
SETTINGS = {"apiEndpoint", "token", "httpRetryMax", "httpRetryWaitMin", "httpRetryWaitMax", "requestsPerSecond"} | {
    "spacesAccessId", "spacesEndpoint", "spacesSecretKey", "version", "pluginDownloadURL"
}  # fmt: skip


class _Status(NamedTuple):
    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


@contextmanager
def _reporting(context: grpc.ServicerContext) -> Iterator[None]:
    """Turns a failure into the status that the official provider answers. Any other exception is a bug in here."""
    try:
        yield
    except ProviderError as error:
        context.abort(grpc.StatusCode.UNKNOWN, _listed(str(error)))
    except PanicError as error:
        print(f"panic: {error}", file=sys.stderr, flush=True)
        os._exit(2)


def _listed(reason: str) -> str:
    return f"1 error occurred:\n\t* {reason}\n\n"


def _abort_partial(context: grpc.ServicerContext, identity: str, state: Struct, inputs: Struct, message: str) -> None:
    """Fails so that the engine stores the resource all the same, as one that needs another update."""
    details = Packed()
    details.Pack(provider_pb2.ErrorResourceInitFailed(id=identity, properties=state, inputs=inputs, reasons=[message]))
    code = grpc.StatusCode.UNKNOWN
    status = status_pb2.Status(code=code.value[0], message=message, details=[details])
    context.abort_with_status(_Status(code, message, (("grpc-status-details-bin", status.SerializeToString()),)))


def _kind(urn: str) -> Resource:
    """The kind of resource that a URN names."""
    token = urn.split("::")[2].rpartition("$")[2]
    if token not in RESOURCES:
        raise ProviderError(f"not in the stand-in: {token}")
    return RESOURCES[token]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self) -> None:
        self._api = Client({})

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        # The engine expects the plugin of the SDK's version.
        return plugin_pb2.PluginInfo(version=version("pulumi-digitalocean"))

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        news = decode(request.news)
        failures = [
            provider_pb2.CheckFailure(
                property=key, reason=f"Invalid or unknown key. Check `pulumi config get digitalocean:{key}`."
            )
            for key in sorted(news.keys() - SETTINGS)
        ]
        # The token isn't marked as a secret: only what is a secret in the stack's configuration stays one.
        return provider_pb2.CheckResponse(inputs=encode(news, secrets_in(request.news)), failures=failures)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        olds, news = decode(request.old_inputs) or decode(request.olds), decode(request.news)
        diffs = sorted(key for key in olds.keys() | news.keys() if olds.get(key) != news.get(key))
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some if diffs else none, diffs=diffs)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        config = {key.rpartition(":")[2]: value for key, value in request.variables.items()} | decode(request.args)
        # Other values than text arrive as JSON text or as themselves.
        self._api = Client({key: str(value) for key, value in config.items() if not unknown(value)})
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        with _reporting(context):
            shape = _kind(request.urn).shape
        olds, news = decode(request.olds), decode(request.news)
        named = "name" not in shape.inputs or "name" in news
        if not named:
            kept = olds.get("name") if "name" in olds.get(DEFAULTS, []) else None
            news["name"] = kept or automatic_name(_name(request.urn), request.randomSeed)
        inputs, failures = shape.check(news)
        if not named:
            inputs[DEFAULTS].append("name")
        return provider_pb2.CheckResponse(
            inputs=encode(inputs, secrets_in(request.news)),
            failures=[
                provider_pb2.CheckFailure(
                    property=path, reason=f"{reason}. Examine values at '{_name(request.urn)}.{path}'."
                )
                for path, reason in failures
            ],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        with _reporting(context):
            shape = _kind(request.urn).shape
        news = decode(request.news)
        ignored = tuple(request.ignoreChanges)
        answer = provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE, hasDetailedDiff=True)
        olds = decode(request.olds)
        changes = [
            change
            for change in shape.differences(olds, news)
            if not any(f"{change[0]}.".startswith(f"{prefix}.") for prefix in ignored)
        ]
        for path, kind, replaces in (*changes, *shape.defaults_beside(changes, olds)):
            answer.changes = provider_pb2.DiffResponse.DIFF_SOME
            answer.diffs.append(path.partition(".")[0])
            answer.replaces.extend([path] if replaces else [])
            named = f"{kind}_REPLACE" if replaces else kind
            answer.detailedDiff[path].kind = provider_pb2.PropertyDiff.Kind.Value(named)
        # Two resources can't have the name that the program chose, so the old one is deleted first.
        chosen = "name" in shape.inputs and "name" not in news.get(DEFAULTS, [])
        answer.deleteBeforeReplace = bool(answer.replaces) and chosen
        return answer

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        inputs = decode(request.properties)
        with _reporting(context):
            kind = _kind(request.urn)
            secrets = secrets_in(request.properties) | kind.shape.secrets
            if request.preview:
                return provider_pb2.CreateResponse(properties=encode(kind.shape.planned(inputs, None), secrets))
            try:
                config = kind.shape.settled(inputs, {})
                identity, state = kind.create(self._api, config, request.timeout or kind.create_seconds)
            except PartlyCreatedError as error:
                message = f"creating {request.urn}: {_listed(str(error))}"
                _abort_partial(context, error.identity, encode(error.state, secrets), request.properties, message)
            if not state:
                raise ProviderError(f"expected non-nil error with nil state during Create of {request.urn}")
            return provider_pb2.CreateResponse(id=identity, properties=encode(state, secrets))

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        olds, old_inputs = decode(request.properties), decode(request.inputs)
        with _reporting(context):
            kind = _kind(request.urn)
            state = kind.read(self._api, request.id, olds)
            if state is None:
                return provider_pb2.ReadResponse()
            secrets = secrets_in(request.inputs) | kind.shape.secrets
            inputs = encode(kind.shape.inputs_of(state, old_inputs), secrets)
            return provider_pb2.ReadResponse(id=request.id, properties=encode(state, secrets), inputs=inputs)

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        olds, news = decode(request.olds), decode(request.news)
        with _reporting(context):
            kind = _kind(request.urn)
            secrets = secrets_in(request.news) | kind.shape.secrets
            config = kind.shape.settled(news, olds)
            planned = encode(kind.shape.planned(config, olds), secrets)
            if request.preview:
                return provider_pb2.UpdateResponse(properties=planned)
            try:
                state = kind.update(self._api, request.id, olds, config)
            except ProviderError as error:
                # The state gets the new inputs, applied or not: a second `up` sees no difference and repeats nothing.
                message = f"updating {request.urn}: {_listed(str(error))}"
                _abort_partial(context, request.id, planned, request.news, message)
            if state is None:
                raise ProviderError(f"expected non-empty ID for new state during Update of {request.urn}")
            return provider_pb2.UpdateResponse(properties=encode(state, secrets))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> Empty:
        with _reporting(context):
            kind = _kind(request.urn)
            kind.delete(self._api, request.id, decode(request.properties), request.timeout or kind.delete_seconds)
        return Empty()

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        with _reporting(context):
            if request.tok not in FUNCTIONS:
                raise ProviderError(f"not in the stand-in: {request.tok}")
            # Nothing in the answer is marked as secret, credentials included.
            return provider_pb2.InvokeResponse(
                **{"return": encode(FUNCTIONS[request.tok](self._api, decode(request.args)))}
            )

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        """Does nothing: the official provider cancels no wait, so an interrupted `up` lasts until they end."""
        return Empty()
