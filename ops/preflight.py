"""Whether `pulumi up` can work, asked before it costs anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from ops.account.inventory import DEFAULT_POOL_TAG, registries
from ops.account.ownership import Past, elsewhere
from ops.digitalocean import Api, ApiError, OpsError
from ops.pulumi import state as states
from ops.pulumi.stack import Stack

SMALLEST_NODE_MIB = 2048
"""Below that DigitalOcean sells no Kubernetes nodes (Kubernetes limits page)."""
REGISTRIES = {"professional": 10}
"""How many an account may have, where that isn't one (Container Registry limits page)."""
_WHOSE = "whether it is this stack's can't be told:"
_NOWHERE = "00000000-0000-4000-8000-000000000000"
_CLUSTER = f"kubernetes/clusters/{_NOWHERE}"


class Probe(NamedTuple):
    """A call that changes nothing: it reads, or asks for what can't be, and is refused for that or for the scope."""

    method: str
    path: str
    body: dict[str, Any] | None = None


READING = {
    "account:read": Probe("GET", "account"),
    "regions:read": Probe("GET", "regions"),
    "sizes:read": Probe("GET", "sizes"),
    "tag:read": Probe("GET", "tags"),
    "kubernetes:read": Probe("GET", "kubernetes/options"),
    "droplet:read": Probe("GET", "droplets"),
    "load_balancer:read": Probe("GET", "load_balancers"),
    "block_storage:read": Probe("GET", "volumes"),
    "block_storage_snapshot:read": Probe("GET", "snapshots"),
    "snapshot:read": Probe("GET", "snapshots"),
}
"""What these commands ask of every stack."""
CLUSTER = {
    "kubernetes:create": Probe("POST", "kubernetes/clusters", {}),
    "kubernetes:update": Probe("PUT", _CLUSTER, {}),
    "kubernetes:delete": Probe("DELETE", _CLUSTER),
    "kubernetes:access_cluster": Probe("GET", f"{_CLUSTER}/credentials"),
}
REGISTRY = {
    "registry:read": Probe("GET", "registries"),
    "registry:create": Probe("POST", "registries", {}),
    "registry:update": Probe("POST", f"registries/{_NOWHERE}/garbage-collection", {}),
    "registry:delete": Probe("DELETE", f"registries/{_NOWHERE}"),
}

_RECORD = "domains/nowhere.invalid/records/0"
DOMAIN = {
    "domain:read": Probe("GET", "domains"),
    "domain:create": Probe("POST", "domains", {}),
    "domain:update": Probe("PUT", _RECORD, {}),
    "domain:delete": Probe("DELETE", _RECORD),
}


@dataclass(frozen=True)
class Check:
    """What was looked at, and if it isn't right the fix."""

    name: str
    ok: bool
    said: str
    fix: str = ""


def preflight(api: Api, stack: Stack) -> Iterator[Check]:
    """One check after the other; those that couldn't be asked without a failed one are left out."""
    settings = stack.settings
    if not settings.makes_cluster:
        yield Check("account", True, f"nothing is made on DigitalOcean beside kubeContext {settings.kube_context}")
        return
    try:
        account = api.get("account")["account"]
        yield Check("token", True, f"valid, of {account['email']}")
        yield Check("account", account["status"] == "active", account["status"], account.get("status_message") or "")
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            yield Check("token", False, str(error))
            return
    probes = READING | CLUSTER | (REGISTRY if settings.uses_registry else {}) | (DOMAIN if settings.domain else {})
    missing = [scope for scope, probe in probes.items() if not _allowed(api, probe)]
    yield Check(
        "scopes",
        not missing,
        f"missing: {', '.join(missing)}" if missing else f"all {len(probes)}",
        "a token with these scopes too" if missing else "",
    )
    if missing:
        return
    known, unread = _state(stack)
    clusters = {each["id"]: each for each in api.all("kubernetes/clusters", "kubernetes_clusters")}
    ours = next((clusters[each] for each in known.of(states.CLUSTER) if each in clusters), None)
    options = api.get("kubernetes/options")["options"]
    minors = list(dict.fromkeys(".".join(each["slug"].split(".")[:2]) for each in options["versions"]))
    # The program asks for the newest patch each time, though a cluster that is there keeps its own.
    yield _choice("kubernetesVersion", settings.kubernetes_version, minors)
    if ours is None:
        yield from _catalogue(api, stack, options)
        yield _name(stack, {each["name"]: each for each in clusters.values()}, unread)
    else:
        yield from _replaced(ours, stack)
    yield _quota(api, settings.node_count, _nodes(ours))
    if settings.uses_registry:
        yield _registry(api, stack, list(known.of(states.REGISTRY)), unread)


def _allowed(api: Api, probe: Probe) -> bool:
    try:
        api.call(probe.method, probe.path, probe.body)
    except ApiError as error:
        if error.status in (0, HTTPStatus.TOO_MANY_REQUESTS) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return error.status != HTTPStatus.FORBIDDEN
    return True


def _state(stack: Stack) -> tuple[states.State, str]:
    """The state; or none, and why it can't be read: then everything in the account counts as somebody else's."""
    try:
        return states.read(stack), ""
    except OpsError as error:
        return states.State([], []), str(error)


def _nodes(cluster: dict[str, Any] | None) -> int:
    return sum(pool["count"] for pool in cluster["node_pools"]) if cluster else 0


def _catalogue(api: Api, stack: Stack, options: dict[str, Any]) -> Iterator[Check]:
    settings = stack.settings
    regions = [each["slug"] for each in options["regions"]]
    yield _choice("region", settings.region, regions)
    for_nodes = {each["slug"] for each in options["sizes"]}
    fitting = [
        size
        for size in sorted(api.all("sizes", "sizes"), key=lambda size: float(size["price_monthly"]))
        if size["slug"] in for_nodes and size["memory"] >= SMALLEST_NODE_MIB and size["available"]
    ]
    there = [size["slug"] for size in fitting if settings.region in size["regions"]]
    yield _choice("nodeSize", settings.node_size, there, f" in {settings.region}")


def _choice(key: str, value: str, choices: list[str], where: str = "") -> Check:
    if value in choices:
        return Check(key, True, f"{value}{where}")
    shown = ", ".join(choices[:13]) or "none"
    fix = f"pulumi config set {key} {choices[0]}" if choices else "choose another region"
    return Check(key, False, f'"{value}" is not on offer{where}; allowed: {shown}', fix)


def _name(stack: Stack, taken: dict[str, dict[str, Any]], unread: str) -> Check:
    name = stack.settings.cluster_name
    if name not in taken:
        return Check("clusterName", True, f"{name} is free")
    if unread:
        return Check("clusterName", False, f'a cluster "{name}" is there already; {_WHOSE} {unread}')
    said, fix = f'a cluster "{name}" is there already', "pulumi config set clusterName with another name"
    if other := Past(elsewhere=lambda: elsewhere(stack)).other_stack(states.CLUSTER, taken[name]):
        return Check("clusterName", False, f"{said}, stack {other}'s", fix)
    fix += f", or python -m ops doctor --stack {stack.name}"
    return Check("clusterName", False, f"{said}, and this stack's state has it not", fix)


def _replaced(cluster: dict[str, Any], stack: Stack) -> Iterator[Check]:
    """What is fixed when a cluster is made: to change it, `up` deletes the cluster and makes another."""
    sizes = [pool["size"] for pool in cluster["node_pools"] if DEFAULT_POOL_TAG in (pool.get("tags") or [])]
    for key, wanted, there in (
        ("region", stack.settings.region, [cluster["region"]]),
        ("nodeSize", stack.settings.node_size, sizes),
    ):
        if there and wanted not in there:
            said = (
                f'"{wanted}" instead of {there[0]}: pulumi up deletes cluster {cluster["name"]} with all that is in it'
            )
            yield Check(key, False, said, f"pulumi config set {key} {there[0]}; or go on, if that is what you want")


def _quota(api: Api, wanted: int, have: int) -> Check:
    limit = int(api.get("account")["account"]["droplet_limit"])
    used = int(api.get("droplets", per_page=1)["meta"]["total"])
    more, most = max(wanted - have, 0), have + limit - used
    said = f"{used} of {limit} Droplets in use, {more} more wanted"
    fewer = [f"pulumi config set nodeCount {most}"] if most > 0 else []
    fix = ", ".join([*fewer, "remove Droplets, or ask DigitalOcean for more"])
    enough = more <= max(limit - used, 0)
    return Check("quota", enough, said, "" if enough else fix)


def _registry(api: Api, stack: Stack, own: list[str], unread: str) -> Check:
    wanted, found = stack.settings.registry, registries(api)
    names = [each["name"] for each in found]
    if wanted.existing:
        said = f'registry "{wanted.name}" {"is there" if wanted.name in names else "is not there"}'
        return Check("registry", wanted.name in names, said, "" if wanted.name in names else _known(names))
    if any(name in own for name in names):
        return Check("registry", True, "is there, and this stack's")
    if found:
        # One subscription is for all of an account's registries: a new one doesn't change it.
        tier = found[0]["subscription"]["tier"]["slug"]
        there = f"the account has {', '.join(names)}, and its tier {tier} allows"
        if len(found) >= REGISTRIES.get(tier, 1):
            doubt = f"; {_WHOSE} {unread}" if unread else ""
            return Check("registry", False, f"{there} no more{doubt}", _known(names))
        if wanted.tier != tier:
            fix = f"pulumi config set --path registry.tier {tier}"
            return Check("registry", False, f"{there} another, but not of tier {wanted.tier}", fix)
    if wanted.name:
        try:
            api.call("POST", "registry/validate-name", {"name": wanted.name})
        except ApiError as error:
            if error.status not in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise
            return Check("registry", False, f'the name "{wanted.name}" is taken or bad', "set another registry.name")
    regions = api.get("registries/options")["options"]["available_regions"]
    return _choice("registry.region", wanted.region, regions)


def _known(names: list[str]) -> str:
    if not names:
        return "remove existing: true, and the stack makes one"
    return f"write registry: {{kind: digitalocean, name: {names[0]}, existing: true}}"
