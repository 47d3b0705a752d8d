"""The route from the gateway to a service: an Ingress, or an HTTPRoute if versions have weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import meta, networking

from infra.config.bundled_app import AnyWorkload
from infra.gateway.certificate import Certificate
from infra.gateway.consumers import Consumer
from infra.gateway.gateway import Gateway
from infra.gateway.gateway_api import API, GatewayApi
from infra.gateway.kong_resources import INGRESS_CLASS
from infra.kubernetes.labels import app_labels
from infra.kubernetes.raw_object import SKIP_AWAIT, KubernetesObject
from infra.services.deployment import PORT_NAME

PRECISION = 100
"""Weights are in hundredths of a percent: the controller divides a backend's weight by its pods and rounds down."""

# Pulumi waits until Kong has the route, before it deletes an Ingress that this one replaces.
_PROGRAMMED = 'jsonpath={.status.parents[0].conditions[?(@.type=="Programmed")].status}=True'


@dataclass(frozen=True)
class RouteDependencies:
    """Components that a route depends on.

    Attributes:
        gateway: Kong.
        gateway_api: the Gateway that routes with weights are attached to, if there are any.
        certificate: the domain's certificate, if there is one.
        consumers: the consumers that routes with authentication admit.
    """

    gateway: Gateway
    gateway_api: GatewayApi | None
    certificate: Certificate | None
    consumers: Sequence[Consumer]

    def of(self, service: AnyWorkload) -> list[pulumi.Resource]:
        """Returns the resources that the route depends on and its plugins don't."""
        # If Kong served the route before its consumers exist, they would get 401.
        resources: list[pulumi.Resource] = [consumer.consumer for consumer in self.consumers] if service.auth else []
        if self.gateway_api and len(service.traffic_weights) > 1:
            resources += [self.gateway_api.gateway, *([self.certificate] if self.certificate else [])]
        return resources


@dataclass(frozen=True, kw_only=True)
class RouteArgs:
    """A route.

    Attributes:
        service: the service that the route leads to.
        namespace: the service's namespace.
        annotations: the annotations by which Kong's controller configures the route, the same for both kinds.
        backends: names of the Service objects, with their weights in percent.
        dependencies: the gateway and what is attached to it.
    """

    service: AnyWorkload
    namespace: pulumi.Input[str]
    annotations: Mapping[str, pulumi.Input[str]]
    backends: Sequence[tuple[pulumi.Input[str], int]]
    dependencies: RouteDependencies

    @property
    def domain(self) -> str | None:
        return self.dependencies.certificate.domain if self.dependencies.certificate else None


def route(args: RouteArgs, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """Creates the route of a service, which has the service's name.

    While a route changes from one kind to the other, both exist for a moment, with the same policies: Pulumi creates
    the new one before it deletes the old one.
    """
    return _ingress(args, opts) if len(args.backends) == 1 else _http_route(args, opts)


def ingress_paths(path: str, *, is_exact: bool = False) -> list[tuple[str, str]]:
    """Returns the paths of an Ingress with their types; with `is_exact`, subpaths aren't matched.

    The controller turns a Prefix into a plain prefix with a slash and a regular expression for the path itself. It
    doesn't escape that expression (KIC issue 7788). For a path with a dot, this function writes both matches itself;
    "/~" marks the regular expression.
    """
    itself = (f"/~{_escaped(path)}$", "ImplementationSpecific")
    if is_exact:
        return [itself]
    return [(f"{path}/", "ImplementationSpecific"), itself] if "." in path else [(path, "Prefix")]


def http_route_path(path: str) -> tuple[str, str]:
    """Returns the type and value of an HTTPRoute's match; with a dot it is a regular expression for the same reason."""
    if "." not in path:
        return "PathPrefix", path
    return "RegularExpression", f"{_escaped(path)}(?:/|$)"


def _escaped(path: str) -> str:
    """Escapes the one character of paths (`UrlPath`) that has a meaning in regular expressions."""
    return path.replace(".", r"\.")


def _ingress(args: RouteArgs, opts: pulumi.ResourceOptions) -> networking.v1.Ingress:
    name, certificate = args.service.name, args.dependencies.certificate
    ((backend_name, _),) = args.backends
    # The port by name, so that the route works while a change of the port reaches the Service object and the pods.
    backend = networking.v1.IngressBackendArgs(
        service=networking.v1.IngressServiceBackendArgs(
            name=backend_name, port=networking.v1.ServiceBackendPortArgs(name=PORT_NAME)
        )
    )
    paths = networking.v1.HTTPIngressRuleValueArgs(
        paths=[
            networking.v1.HTTPIngressPathArgs(path=path, path_type=path_type, backend=backend)
            for path, path_type in ingress_paths(args.service.path, is_exact=args.service.is_exact)
        ]
    )
    return networking.v1.Ingress(
        name,
        metadata=meta.v1.ObjectMetaArgs(
            name=name,
            namespace=args.namespace,
            labels=app_labels(name),
            # Until the certificate exists, the controller serves the Ingress without it and reports no address.
            annotations={
                **args.annotations,
                **({} if certificate is None or certificate.issued_on_create else SKIP_AWAIT),
            }
            or None,
        ),
        spec=networking.v1.IngressSpecArgs(
            ingress_class_name=INGRESS_CLASS,
            rules=[networking.v1.IngressRuleArgs(host=args.domain, http=paths)],
            tls=[networking.v1.IngressTLSArgs(hosts=[certificate.domain], secret_name=certificate.secret)]
            if certificate
            else None,
        ),
        # Pulumi waits until the controller has written the route's address, which takes seconds. While Kong refuses a
        # plugin of any route, controllers before 3.4.4 write none (Kong's pull request 7306). The pinned one is newer
        # (versions.py).
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="3m", update="3m"))
        ),
    )


def _http_route(args: RouteArgs, opts: pulumi.ResourceOptions) -> KubernetesObject:
    name, gateway_api = args.service.name, args.dependencies.gateway_api
    assert gateway_api  # noqa: S101 -- the program creates one if any route has weights
    annotations = {"konghq.com/protocols": "http,https", **args.annotations, "pulumi.com/waitFor": _PROGRAMMED}
    backends = [
        {"name": backend, "port": args.service.port, "weight": weight * PRECISION} for backend, weight in args.backends
    ]
    path_type, path = http_route_path(args.service.path)
    matches = [{"path": {"type": path_type, "value": path}}]
    return KubernetesObject(
        name,
        {
            "apiVersion": API,
            "kind": "HTTPRoute",
            "metadata": {
                "name": name,
                "namespace": args.namespace,
                "labels": app_labels(name),
                "annotations": annotations,
            },
            "spec": {
                "parentRefs": [gateway_api.parent],
                **({"hostnames": [args.domain]} if args.domain else {}),
                "rules": [{"matches": matches, "backendRefs": backends}],
            },
        },
        opts,
    )
