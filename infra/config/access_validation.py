"""Checks between consumers, routes with authentication, and aggregates, which reach services past their routes."""

from collections import Counter
from collections.abc import Iterator

from infra.config.errors import ConfigError
from infra.config.settings import Settings


def check_aggregates(settings: Settings) -> Iterator[ConfigError]:
    services = {service.name: service for service in settings.services}
    for index, aggregate in enumerate(settings.aggregates):
        path = f"aggregates[{index}]"
        for name in aggregate.backends:
            service = services.get(name)
            if service is None or service.protocol == "grpc":
                names = ", ".join(sorted(other.name for other in settings.services if other.protocol == "http"))
                allowed = f"services that speak HTTP, which are {names or 'none'}"
                yield ConfigError(f"{path}.backends.{name}", None, allowed, f"remove {name}, or add it to services")
                continue
            # The aggregate calls its services inside the cluster, past the gateway that protects their routes.
            aggregate_access = aggregate.access_control(settings.gateway)
            for key, value in service.access_control(settings.gateway).items():
                if aggregate_access.get(key) != value:
                    allowed = f"the same as of {name}, or the aggregate would bypass that policy"
                    yield ConfigError(f"{path}.{key}", None, allowed, f"copy {key} from {name}")
            if service.allow and not (aggregate.allow and set(aggregate.allow) <= set(service.allow)):
                allowed = f"some of {name}'s, which are {', '.join(service.allow)}"
                yield ConfigError(f"{path}.allow", None, allowed, f"write allow: [{service.allow[0]}]")


def check_consumers(settings: Settings) -> Iterator[ConfigError]:
    unique: dict[str, list[str | None]] = {
        "name": [consumer.name for consumer in settings.consumers],
        "jwt.key": [consumer.issuer for consumer in settings.consumers],
        # Kong drops both of two consumers with the same key.
        "apiKey": [consumer.plain_api_key for consumer in settings.consumers],
    }
    for key, values in unique.items():
        count = Counter(values)
        for index, value in enumerate(values):
            if value is not None and count[value] > 1:
                shown = None if key == "apiKey" else value
                yield ConfigError(f"consumers[{index}].{key}", shown, "each once", f"give it another {key}")


def check_auth(settings: Settings) -> Iterator[ConfigError]:
    """Finds routes that no consumer could use: without a credential of that kind, or with unknown groups."""
    groups = sorted({group for consumer in settings.consumers for group in consumer.groups})
    for path, route in settings.workloads_by_path.items():
        if route.auth and not any(consumer.has_credential(route.auth) for consumer in settings.consumers):
            credential = "jwt" if route.auth == "jwt" else "apiKey"
            allowed = f"what a consumer has a credential for, and none has {credential}"
            fix = "add to consumers, for example {name: alice, jwt: {algorithm: RS256, publicKey: ...}}"
            yield ConfigError(f"{path}.auth", route.auth, allowed, fix)
        for position, group in enumerate(route.allow):
            if group not in groups:
                allowed = f"groups of consumers, which are {', '.join(groups) or 'none'}"
                fix = f"add groups: [{group}] to a consumer"
                yield ConfigError(f"{path}.allow[{position}]", group, allowed, fix)
