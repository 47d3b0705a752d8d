"""The resource graph and the architecture, from a run of the program under mocks."""

from operator import attrgetter

from infra.config import versions
from tests.pictures.drawing import Box, draw
from tests.unit.conftest import Recording, Resource

_COLORS = {"digitalocean": "#dbeafe", "docker-build": "#ffedd5", "pulumi": "#ede9fe", "kubernetes": "#dcfce7"}


def _is_drawn(resource: Resource) -> bool:
    return not resource.type.startswith("kong-doks:") and resource.created


def resource_graph(recording: Recording) -> str:
    """Everything that the stack creates, with what each waits for; objects of one kind in one component are one box."""
    components = {resource.urn: resource for resource in recording.resources if resource.type.startswith("kong-doks:")}
    resources = sorted((resource for resource in recording.resources if _is_drawn(resource)), key=attrgetter("urn"))
    groups: dict[str, list[Resource]] = {}
    group_of: dict[str, str] = {}
    for resource in resources:
        key = f"{resource.parent} {resource.type}"
        groups.setdefault(key, []).append(resource)
        group_of[resource.urn] = key
    boxes = {}
    for key, members in groups.items():
        kind, component = members[0].type.rpartition(":")[2], components.get(members[0].parent)
        title = members[0].name if len(members) == 1 else f"{component.name if component else ''}"
        subtitle = "provider" if members[0].type.startswith("pulumi:") else kind if len(members) == 1 else _plural(kind)
        boxes[key] = Box(title, subtitle, _COLORS[members[0].type.partition(":")[0]])
    edges = {
        key: {group_of[urn] for member in members for urn in member.needs if urn in group_of} - {key}
        for key, members in groups.items()
    }
    return draw(boxes, edges, "What the stack creates; an arrow leads from what has to be there first")


def _plural(kind: str) -> str:
    return kind if kind.endswith("s") else f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def architecture(recording: Recording) -> str:
    """The way of a request and of an image, with the names that the stack gives them."""
    cluster = recording.one("KubernetesCluster").inputs
    kong = recording.one("Release", "kong").inputs["values"]
    registry = recording.one("ContainerRegistry").inputs
    blue, green, orange = _COLORS["digitalocean"], _COLORS["kubernetes"], _COLORS["docker-build"]
    pool = cluster["nodePool"]
    boxes = {
        "client": Box("client"),
        "balancer": Box("load balancer", f"of type {kong['proxy']['type']}", blue),
        "kong": Box(f"Kong {versions.KONG}", f"in {cluster['name']}, {pool['nodeCount']:.0f} x {pool['size']}", green),
        "registry": Box("registry", f"{registry['subscriptionTierSlug']}, {registry['region']}", blue),
    }
    edges: dict[str, list[str]] = {"balancer": ["client"], "kong": ["balancer"]}
    for ingress in sorted(recording.of("Ingress"), key=attrgetter("name")):
        (path,) = ingress.inputs["spec"]["rules"][0]["http"]["paths"]
        service = path["backend"]["service"]["name"]
        deployment = recording.one("Deployment", ingress.name).inputs
        folder = recording.one("Image", ingress.name).inputs["context"]["location"]
        boxes |= {
            f"route {ingress.name}": Box(path["path"], f"Ingress {ingress.inputs['metadata']['name']}", green),
            f"pods {ingress.name}": Box(f"{ingress.name} x {deployment['spec']['replicas']:.0f}", service, green),
            f"image {ingress.name}": Box(folder, "Dockerfile", orange),
        }
        edges[f"route {ingress.name}"] = ["kong"]
        edges[f"pods {ingress.name}"] = [f"route {ingress.name}", "registry"]
        edges.setdefault("registry", []).append(f"image {ingress.name}")
    return draw(boxes, edges, "A request goes from the client to a service, an image from a folder to its pods")
