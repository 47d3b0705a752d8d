"""The way from the gateway to a service: an Ingress, or where requests are shared out by weight an HTTPRoute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes import meta, networking

from infra.gateway.gateway_api import API
from infra.kubernetes.raw_object import SKIP_AWAIT, KubernetesObject

PRECISION = 100
"""The controller divides a backend's weight by its pods, rounding down: in hundredths of a percent that is nothing."""

# Pulumi goes on, to delete an Ingress that this one replaces, when Kong has the route.
_PROGRAMMED = 'jsonpath={.status.parents[0].conditions[?(@.type=="Programmed")].status}=True'


@dataclass(frozen=True, kw_only=True)
class RouteArgs:
    """A route.

    Attributes:
        namespace: of the service.
        labels: of the object.
        annotations: what Kong is told of the route: the same for both kinds.
        path: what leads to the service, with everything below.
        port: of the backends.
        backends: Services, with how many of a hundred requests each gets.
        domain: what requests have to ask for; None: whatever they do.
        tls_secret: the Secret that has the domain's certificate; only an Ingress names it.
        awaited: whether there is that certificate, if it is to be; otherwise nobody waits for an Ingress.
        parent: the Gateway; only an HTTPRoute has one.
    """

    namespace: pulumi.Input[str]
    labels: Mapping[str, str]
    annotations: Mapping[str, pulumi.Input[str]]
    path: str
    port: int
    backends: Sequence[tuple[pulumi.Input[str], int]]
    domain: str | None
    tls_secret: pulumi.Input[str] | None
    awaited: bool
    parent: Mapping[str, str] | None


def route(name: str, args: RouteArgs, opts: pulumi.ResourceOptions) -> None:
    """Makes the route `name`.

    From one kind to the other and back both are there for a moment, with the same policies: the new one before the old
    one is gone.
    """
    if len(args.backends) == 1:
        _ingress(name, args, opts)
    else:
        _http_route(name, args, opts)


def ingress_paths(path: str) -> list[tuple[str, str]]:
    """Returns the paths of an Ingress with their types.

    Of a Prefix the controller makes a plain prefix with a slash and a regular expression for the path itself, in which
    it escapes nothing (KIC issue 7788). With a dot both are written here; "/~" marks a regular expression.
    """
    if "." not in path:
        return [(path, "Prefix")]
    return [(f"{path}/", "ImplementationSpecific"), (f"/~{_escaped(path)}$", "ImplementationSpecific")]


def http_route_path(path: str) -> tuple[str, str]:
    """Returns the type and value of an HTTPRoute's match; with a dot it is a regular expression for the same reason."""
    if "." not in path:
        return "PathPrefix", path
    return "RegularExpression", f"{_escaped(path)}(?:/|$)"


def _escaped(path: str) -> str:
    """Escapes the one character of paths (`UrlPath`) that has a meaning in regular expressions."""
    return path.replace(".", r"\.")


def _ingress(name: str, args: RouteArgs, opts: pulumi.ResourceOptions) -> None:
    ((service, _),) = args.backends
    # By name: an edit of the port changes the Service and the pods, and the route leads there all the time.
    backend = networking.v1.IngressBackendArgs(
        service=networking.v1.IngressServiceBackendArgs(
            name=service, port=networking.v1.ServiceBackendPortArgs(name="http")
        )
    )
    paths = networking.v1.HTTPIngressRuleValueArgs(
        paths=[
            networking.v1.HTTPIngressPathArgs(path=path, path_type=path_type, backend=backend)
            for path, path_type in ingress_paths(args.path)
        ]
    )
    networking.v1.Ingress(
        name,
        metadata=meta.v1.ObjectMetaArgs(
            name=name,
            namespace=args.namespace,
            labels=args.labels,
            # The controller writes no address of an Ingress whose certificate isn't there, and has the route.
            annotations={**args.annotations, **({} if args.awaited else SKIP_AWAIT)} or None,
        ),
        spec=networking.v1.IngressSpecArgs(
            ingress_class_name="kong",
            rules=[networking.v1.IngressRuleArgs(host=args.domain, http=paths)],
            tls=[networking.v1.IngressTLSArgs(hosts=[args.domain], secret_name=args.tls_secret)]
            if args.domain
            else None,
        ),
        # Pulumi waits until the controller has written the route's address: seconds. Before Kong mended its issue 7172,
        # it wrote none while a plugin of any route was refused.
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="3m", update="3m"))
        ),
    )


def _http_route(name: str, args: RouteArgs, opts: pulumi.ResourceOptions) -> None:
    annotations = {"konghq.com/protocols": "http,https", **args.annotations, "pulumi.com/waitFor": _PROGRAMMED}
    backends = [{"name": service, "port": args.port, "weight": share * PRECISION} for service, share in args.backends]
    path_type, path = http_route_path(args.path)
    matches = [{"path": {"type": path_type, "value": path}}]
    KubernetesObject(
        name,
        {
            "apiVersion": API,
            "kind": "HTTPRoute",
            "metadata": {
                "name": name,
                "namespace": args.namespace,
                "labels": args.labels,
                "annotations": annotations,
            },
            "spec": {
                "parentRefs": [args.parent],
                **({"hostnames": [args.domain]} if args.domain else {}),
                "rules": [{"matches": matches, "backendRefs": backends}],
            },
        },
        opts,
    )
