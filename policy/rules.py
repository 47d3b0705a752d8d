"""The rules as plain functions. Each takes a resource and the rule's configuration, and yields its violations.

A violation is one line: key, problem, what is allowed, the fix.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from infra.config import prices

CLUSTER = "digitalocean:index/kubernetesCluster:KubernetesCluster"
NODE_POOL = "digitalocean:index/kubernetesNodePool:KubernetesNodePool"
_REGISTRIES = (
    "digitalocean:index/containerRegistry:ContainerRegistry",
    "digitalocean:index/containerRegistries:ContainerRegistries",
)
_LOAD_BALANCER = "digitalocean:index/loadBalancer:LoadBalancer"
_SERVICE = "kubernetes:core/v1:Service"
_INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
_RELEASE = "kubernetes:helm.sh/v3:Release"

_ADMIN_PORTS = {8001, 8444, 8002, 8445}
"""Kong's defaults: the admin API and Kong Manager, each over HTTP and HTTPS."""
_REPLACING = ("region", "vpcUuid", "workerSubnetUuid", "clusterSubnet", "serviceSubnet", "isolatedWorkers")
"""Properties of a cluster that can't be changed in place, beside its default pool's size (the provider's ForceNew)."""
REGIONS = ("nyc1", "nyc2", "nyc3", "ams3", "atl1", "blr1", "fra1", "lon1", "sfo2", "sfo3", "sgp1", "syd1", "tor1")
"""DigitalOcean's regions, which the pack's configuration restricts."""


class Unknown(Enum):
    """A value that exists only after the update."""

    UNKNOWN = "unknown"


class Resource(NamedTuple):
    """A resource with its inputs; one that is read from the state has its outputs as well."""

    type: str
    urn: str
    props: Mapping[str, Any]


Config = Mapping[str, Any]


def accidental_high_availability(cluster: Resource, config: Config) -> Iterator[str]:
    """Finds clusters with the highly available control plane, which can't be switched off again."""
    if cluster.type != CLUSTER or config["allow"]:
        return
    fix = 'set ha: false, or {"allow": true} for this rule in the pack\'s configuration'
    if cluster.props.get("ha") is Unknown.UNKNOWN:
        yield f"ha: is not known yet; allowed: false; fix: {fix}"
    elif cluster.props.get("ha"):
        cost = f"${prices.HIGH_AVAILABILITY:.0f} a month"
        yield f"ha: true costs {cost} and can't be switched off; allowed: false; fix: {fix}"
    elif "ha" not in cluster.props and _is_highly_available_by_default(cluster.props.get("version")):
        first = ".".join(map(str, prices.HIGH_AVAILABILITY_FROM))
        yield f"ha: left out means true from Kubernetes {first} on; allowed: false; fix: {fix}"


def _is_highly_available_by_default(version: object) -> bool:
    if not isinstance(version, str) or not version[:1].isdigit():
        return True  # not known yet, or "latest"
    major, minor = version.split(".")[:2]
    return (int(major), int(minor)) >= prices.HIGH_AVAILABILITY_FROM


def cluster_replacement(cluster: Resource, config: Config, before: Sequence[Resource]) -> Iterator[str]:
    """Finds changes by which Pulumi would delete the cluster, with everything in it, and create another.

    Args:
        cluster: a resource.
        config: the rule's.
        before: the clusters that the stack has now.
    """
    if cluster.type != CLUSTER or config["allow"]:
        return
    fix = 'undo the change, or set {"allow": true} for this rule in the pack\'s configuration once'
    same = next((old for old in before if old.urn == cluster.urn), None)
    if same is None and before:
        yield f"cluster: a new one replaces the present one; allowed: the same resource name; fix: {fix}"
    if same is None:
        return
    for key in (*_REPLACING, "nodePool.size"):
        old, new = _value(same.props, key), _value(cluster.props, key)
        # A property that is left out keeps its value: DigitalOcean has chosen it.
        if new is not None and old is not None and new != old:
            yield f"{key}: {_shown(new)} replaces the cluster; allowed: {_shown(old)}; fix: {fix}"
    if same.props.get("ha") and cluster.props.get("ha") is False:
        yield f"ha: false after true is refused by DigitalOcean; allowed: true; fix: {fix}"


def image_without_digest(workload: Resource, _config: Config) -> Iterator[str]:
    """Finds images that are referenced by a mutable tag."""
    for container in _containers(workload):
        image = container.get("image")
        if image is not Unknown.UNKNOWN and "@sha256:" not in str(image):
            name = container.get("name")
            yield f"{name}.image: {image} has no digest; allowed: name@sha256:...; fix: write the image with its digest"


def container_without_limits(workload: Resource, config: Config) -> Iterator[str]:
    """Finds containers without limits."""
    for container in _containers(workload):
        resources = container.get("resources") or {}
        limits = resources if resources is Unknown.UNKNOWN else resources.get("limits") or {}
        for kind in config["resources"]:
            if limits is not Unknown.UNKNOWN and kind not in limits:
                key = f"{container.get('name')}.resources.limits.{kind}"
                yield f"{key}: is not set; allowed: a quantity; fix: set resources.limits.{kind} of the service"


def public_admin_port(resource: Resource, config: Config) -> Iterator[str]:
    """Finds ways from outside of the cluster to Kong's admin API, by which anybody could change every route."""
    ports = _ADMIN_PORTS | set(config["ports"])
    if resource.type == _SERVICE:
        yield from _public_service_ports(_mapping(resource.props.get("spec")), ports)
    elif resource.type == _INGRESS:
        yield from _ingress_ports(_mapping(resource.props.get("spec")), ports)
    elif resource.type == _RELEASE and str(resource.props.get("chart")).rpartition("/")[2] == "kong":
        yield from _admin_values(resource.props.get("values") or {})


def _public_service_ports(spec: Mapping[str, Any], ports: set[int]) -> Iterator[str]:
    if spec.get("type") not in ("LoadBalancer", "NodePort"):
        return
    for port in _mappings(spec.get("ports")):
        for key in ("port", "targetPort"):
            if port.get(key) in ports:
                yield (
                    f"spec.ports.{key}: {port[key]} is Kong's admin port; allowed: any other in a Service of type "
                    f"{spec['type']}; fix: use kubectl port-forward"
                )


def _ingress_ports(spec: Mapping[str, Any], ports: set[int]) -> Iterator[str]:
    for rule in _mappings(spec.get("rules")):
        for path in _mappings(_value(rule, "http.paths")):
            number = _value(path, "backend.service.port.number")
            if number in ports:
                yield (
                    f"backend.service.port.number: {number} is Kong's admin port; allowed: any other; "
                    "fix: use kubectl port-forward"
                )


def _admin_values(values: Any) -> Iterator[str]:  # noqa: ANN401 -- a property of any type
    for name in ("admin", "manager"):
        section = values if values is Unknown.UNKNOWN else values.get(name) or {}
        # The chart enables both, as NodePorts, where its values say nothing.
        enabled, kind = (
            section if section is Unknown.UNKNOWN else section.get(key, default)
            for key, default in (("enabled", True), ("type", "NodePort"))
        )
        # The rule runs again, with the value, before the update reaches the resource.
        if enabled is Unknown.UNKNOWN or not enabled:
            continue
        fix = f"set {name}.enabled: false"
        if kind not in ("ClusterIP", Unknown.UNKNOWN):
            yield f"values.{name}.type: {kind} is reached from outside; allowed: ClusterIP; fix: {fix}"
        if _value(_mapping(section), "ingress.enabled"):
            yield f"values.{name}.ingress.enabled: true is reached from outside; allowed: false; fix: {fix}"


def region_not_allowed(resource: Resource, config: Config) -> Iterator[str]:
    """Finds resources of DigitalOcean outside of the allowed regions."""
    region = resource.props.get("region")
    regions = config["regions"]
    if resource.type.startswith("digitalocean:") and isinstance(region, str) and region not in regions:
        yield f"region: {region} is not allowed; allowed: {', '.join(regions)}; fix: write region: {regions[0]}"


def over_budget(resources: Iterable[Resource], config: Config) -> Iterator[str]:
    """Finds stacks that cost more an hour than the budget, with every autoscaled pool at its maximum.

    At the end of an update, the resources exist already. So a value that is unknown in a preview is a violation.
    """
    node_sizes = {size: prices.hourly(monthly) for size, monthly in prices.NODE_SIZES.items()}
    node_sizes |= config["prices"]
    total = 0.0
    for resource in resources:
        unknown = list(_unknown_prices(resource))
        for key in unknown:
            fix = "write the value, or give this rule a lower enforcement level for one update"
            yield f"{key}: is not known yet, so neither is the price of {resource.urn}; allowed: a value; fix: {fix}"
        if unknown:
            continue
        for size, count in _nodes(resource):
            if size not in node_sizes:
                fix = f'add {{"prices": {{"{size}": ...}}}} for this rule, in dollars an hour'
                yield f"size: the pack has no price of {size}; allowed: {', '.join(node_sizes)}; fix: {fix}"
            total += node_sizes.get(size, 0) * count
        total += _other_price(resource)
    if total > config["maximum"]:
        yield (
            f"budget: the stack costs ${total:.5f} an hour; allowed: ${config['maximum']:.5f}; fix: fewer or smaller "
            "nodes, or a larger maximum for this rule in the pack's configuration"
        )


_PRICED = {
    CLUSTER: ("ha", "nodePool", *(f"nodePool.{key}" for key in ("size", "autoScale", "maxNodes", "nodeCount"))),
    NODE_POOL: ("size", "autoScale", "maxNodes", "nodeCount"),
    _SERVICE: ("spec", "spec.type"),
    _RELEASE: ("values", "values.proxy", "values.proxy.type"),
}
"""The properties that a price depends on, by the type of the resource."""


def _unknown_prices(resource: Resource) -> Iterator[str]:
    """Yields the unknown properties that the resource's price depends on."""
    for path in _PRICED.get(resource.type, ()):
        key, _, last = path.rpartition(".")
        parent = _value(resource.props, key) if key else resource.props
        if isinstance(parent, Mapping) and parent.get(last) is Unknown.UNKNOWN:
            yield path


def _nodes(resource: Resource) -> Iterator[tuple[str, int]]:
    """Yields size and largest number of a pool's nodes."""
    pool = {CLUSTER: resource.props.get("nodePool"), NODE_POOL: resource.props}.get(resource.type)
    if pool:
        counts = [pool.get("maxNodes") if pool.get("autoScale") else None, pool.get("nodeCount"), pool.get("minNodes")]
        yield pool["size"], next((int(count) for count in counts if isinstance(count, int | float)), 1)


def _other_price(resource: Resource) -> float:
    """The price of everything that isn't a node."""
    props = resource.props
    if resource.type == CLUSTER:
        return prices.hourly(prices.HIGH_AVAILABILITY) if props.get("ha") is True else 0
    if resource.type in _REGISTRIES:
        tiers = prices.REGISTRY_TIERS
        return prices.hourly(tiers.get(str(props.get("subscriptionTierSlug")), tiers["professional"]))
    kind = {_SERVICE: _value(props, "spec.type"), _RELEASE: _value(props, "values.proxy.type")}.get(resource.type)
    is_balancer = kind == "LoadBalancer" or resource.type == _LOAD_BALANCER
    return prices.hourly(prices.LOAD_BALANCER["REGIONAL"]) if is_balancer else 0


def _containers(workload: Resource) -> Iterator[Mapping[str, Any]]:
    """Yields the containers of a Pod, or of what has a pod template."""
    if not workload.type.startswith(("kubernetes:apps/", "kubernetes:batch/", "kubernetes:core/v1:Pod")):
        return
    spec = workload.props.get("spec")
    for key in ("jobTemplate", "template"):
        template = spec.get(key) if isinstance(spec, Mapping) else None
        spec = template.get("spec") if isinstance(template, Mapping) else spec
    if isinstance(spec, Mapping):
        for key in ("initContainers", "containers"):
            yield from _mappings(spec.get(key))


def _value(properties: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 -- a property of any type
    """The property at a path; None where there is none or it isn't known yet."""
    value: Any = properties
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is Unknown.UNKNOWN else value


def _mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 -- a property of any type
    """Returns a property's own properties; empty if it has none or is unknown."""
    return value if isinstance(value, Mapping) else {}


def _mappings(values: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 -- a property of any type
    """Yields the known items of a list; none if the list is unknown."""
    return (value for value in (values if isinstance(values, list) else []) if isinstance(value, Mapping))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
