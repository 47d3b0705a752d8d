"""Checks between sections of the configuration; each section validates its own keys."""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from infra.config import access_validation, cluster_validation, kong_plugins
from infra.config.errors import ConfigError
from infra.config.service_version import LONGEST_VARIABLE
from infra.config.settings import Settings
from infra.config.tls import LETS_ENCRYPT, TLS_SECRET, Acme

MAX_TRANSFORMED_BODY_MIB = 8
"""Kong buffers the body; its pod is limited to 512 MiB for all requests."""


def check(settings: Settings) -> Iterator[ConfigError]:
    """Yields every violation, with the key from the top level on."""
    yield from _check_unique_names_and_paths(settings)
    yield from _check_weighted_paths(settings)
    yield from cluster_validation.check_namespace(settings)
    yield from cluster_validation.check_cluster_and_registry(settings)
    yield from cluster_validation.check_node_pools(settings)
    yield from _check_plugins_set_once(settings)
    yield from _check_gateway_policies(settings)
    yield from cluster_validation.check_metrics_server(settings)
    yield from access_validation.check_aggregates(settings)
    yield from _check_page(settings)
    yield from access_validation.check_consumers(settings)
    yield from access_validation.check_auth(settings)
    yield from _check_egress_services(settings)
    yield from _check_collector(settings)
    yield from _check_body_limits(settings)
    yield from _check_tls(settings)


def secret_paths(settings: Settings) -> Iterator[str]:
    """Yields the paths of values that must be encrypted.

    Pulumi tells of a top-level key whether it was set with `--secret`, not of an entry in it.
    """
    for index, consumer in enumerate(settings.consumers):
        if consumer.jwt and consumer.jwt.secret:
            yield f"consumers[{index}].jwt.secret"
        if consumer.api_key:
            yield f"consumers[{index}].apiKey"
    for index, service in enumerate(settings.services):
        if service.pull:
            yield f"services[{index}].pull.password"
    if settings.registry.password:
        yield "registry.password"


def _check_unique_names_and_paths(settings: Settings) -> Iterator[ConfigError]:
    workloads = settings.workloads_by_path
    names = Counter(name for workload in workloads.values() for name in {workload.name, *workload.versions})
    # Two services may share a path if their whenHeaders differ: Kong prefers the route with header conditions.
    routes = Counter((workload.path, workload.required_headers) for workload in workloads.values())
    for path, workload in workloads.items():
        if any(names[name] > 1 for name in (workload.name, *workload.versions)):
            allowed = "a name that no other service or version has"
            yield ConfigError(f"{path}.name", workload.name, allowed, "give it another name")
        if settings.tls and workload.name == TLS_SECRET:
            allowed = f"any but {TLS_SECRET} with domain: the certificate's objects have that name"
            yield ConfigError(f"{path}.name", workload.name, allowed, "give it another name")
        if routes[workload.path, workload.required_headers] > 1:
            allowed = "a path that no other service with the same whenHeaders has"
            yield ConfigError(f"{path}.path", workload.path, allowed, "give it another path")
        # Services with the same path must have the same access control: a client chooses between them by header.
        first = next(other for other in workloads.values() if other.path == workload.path)
        access, first_access = (
            {**entry.access_control(settings.gateway), "allow": entry.allow} for entry in (workload, first)
        )
        for key in {**first_access, **access}:
            if access.get(key) != first_access.get(key):
                allowed = f"the same as of {first.name}, which has the same path"
                yield ConfigError(f"{path}.{key}", None, allowed, f"copy {key} from one to the other")


def _check_weighted_paths(settings: Settings) -> Iterator[ConfigError]:
    """Finds weighted routes that would get requests of longer paths.

    A weighted route whose path has a dot is a regular expression. Kong matches it before longer plain paths.
    """
    workloads = settings.workloads_by_path
    for path, workload in workloads.items():
        for other in workloads.values():
            if (
                "." in workload.path
                and len(workload.traffic_weights) > 1
                and other.path.startswith(f"{workload.path}/")
            ):
                allowed = f"a path without a dot with canary, since {other.name} is below it"
                yield ConfigError(f"{path}.path", workload.path, allowed, "give it another path, or use blueGreen")


def _check_plugins_set_once(settings: Settings) -> Iterator[ConfigError]:
    for path, policies in {"gateway": settings.gateway, **settings.workloads_by_path}.items():
        for name in policies.plugins.keys() & kong_plugins.managed_plugins(policies):
            key = f"{path}.plugins.{name}"
            yield ConfigError(key, None, f"{name} once, and another key sets it already", f"remove {key}")


def _check_gateway_policies(settings: Settings) -> Iterator[ConfigError]:
    """Finds gateway policies that a route can't disable, and limits that each replica of Kong would count alone."""
    for path, workload in settings.workloads_by_path.items():
        for error in kong_plugins.errors_for_undisablable_policies(workload, settings.gateway):
            yield error._replace(key=f"{path}.{error.key}")
    if settings.gateway.max_replicas == 1:
        return
    for path, policy in {"gateway": settings.gateway, **settings.workloads_by_path}.items():
        limit = policy.plugins.get("rate-limiting")
        if limit is not None and limit.get("policy") != "redis":
            key = f"{path}.plugins.rate-limiting.policy"
            allowed = "redis with several pods of Kong, or each pod would let as many pass"
            fix = "write rateLimit instead, which the pods count together"
            yield ConfigError(key, limit.get("policy", "local"), allowed, fix)


def _check_page(settings: Settings) -> Iterator[ConfigError]:
    page = settings.gateway.page
    if page is None:
        return
    environment = page.environment(page.versions[page.name], settings.workloads, settings.gateway)
    if any(len(f"{name}={value}".encode()) >= LONGEST_VARIABLE for name, value in environment.items()):
        allowed = (
            f"only if the services' names, paths and policies take less than {LONGEST_VARIABLE >> 10} KiB together"
        )
        yield ConfigError("gateway.page", None, allowed, "pulumi config rm --path gateway.page")


def _check_egress_services(settings: Settings) -> Iterator[ConfigError]:
    names = [service.name for service in settings.services]
    for path, workload in settings.workloads_by_path.items():
        for index, name in enumerate(workload.egress.services):
            if name not in names:
                key = f"{path}.egress.services[{index}]"
                yield ConfigError(key, name, f"services, which are {', '.join(names)}", f"remove {name}")


def _check_collector(settings: Settings) -> Iterator[ConfigError]:
    """Yields services that send traces to a public collector but have no internet egress."""
    tracing = settings.gateway.tracing
    host = (urlsplit(tracing.url).hostname or "").rstrip(".") if tracing else ""
    labels = host.split(".")
    # `name`, `name.namespace` and `name.namespace.svc...` are DNS names of Service objects.
    is_public = len(labels) > 2 and labels[2] != "svc" and not host.replace(".", "").isdecimal()  # noqa: PLR2004 -- see above
    for path, workload in settings.workloads_by_path.items():
        if is_public and workload.tracing and not workload.egress.internet:
            allowed = f"false with egress.internet: false, since {host} is outside of the cluster"
            yield ConfigError(f"{path}.tracing", True, allowed, "write tracing: false, or the collector's address")


def _check_body_limits(settings: Settings) -> Iterator[ConfigError]:
    """Kong transforms only a body that it holds in memory, and otherwise sends the added fields as the whole body."""
    for path, workload in settings.workloads_by_path.items():
        limit = settings.body_limit(workload)
        if settings.transforms_body(workload) and (limit is None or limit > MAX_TRANSFORMED_BODY_MIB):
            allowed = f"1 to {MAX_TRANSFORMED_BODY_MIB} (MiB) with requestBody: Kong transforms a body in memory"
            yield ConfigError(f"{path}.bodyLimit", limit, allowed, "write bodyLimit: 1")


def _check_tls(settings: Settings) -> Iterator[ConfigError]:
    if not settings.tls:
        if settings.email:
            yield ConfigError("email", settings.email, "only with domain", "set domain, or remove email")
        if settings.acme != Acme():
            yield ConfigError("acme", None, "only with domain", "set domain, or remove acme")
        return
    if not settings.email:
        yield ConfigError("email", None, "an address with domain", "pulumi config set email ops@example.com")
    if settings.proxy_service_type != "LoadBalancer":
        allowed = "LoadBalancer with domain: the ACME server connects to port 80"
        yield ConfigError("proxyServiceType", settings.proxy_service_type, allowed, "remove proxyServiceType")
    if settings.acme.ca and settings.acme.server in LETS_ENCRYPT:
        yield ConfigError("acme.ca", None, "only with the URL of a custom ACME server", "remove acme.ca")
    # These policies would answer the ACME server's challenge as well.
    if settings.gateway.allow_ips:
        allowed = "unset with domain: the ACME server's addresses are unknown"
        yield ConfigError("gateway.allowIps", None, allowed, "set allowIps on the services")
    answering = sorted({"request-termination", "redirect"} & settings.gateway.plugins.keys())
    allowed = "unset with domain: no certificate would be renewed"
    for name in answering:
        yield ConfigError(f"gateway.plugins.{name}", None, allowed, f"move {name} to the services")
    if settings.gateway.terminate:
        yield ConfigError("gateway.terminate", None, allowed, "set terminate on the services")
