"""The checks in their order."""

from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus

from infra.config.settings import Settings
from ops.account.dns import ADDRESSES, domain_records
from ops.account.documents import Account, Cluster, Record, Registry, Vpc
from ops.account.inventory import registries
from ops.digitalocean import Api, ApiError
from ops.preflight import cluster, registry, scopes, vpc
from ops.preflight.check import Check
from ops.pulumi import state as states
from ops.pulumi.cli import PulumiError
from ops.pulumi.stack import Stack
from ops.pulumi.state import State


def preflight(api: Api, stack: Stack) -> Iterator[Check]:
    """Runs the checks one after the other; checks that need a failed one are left out.

    Raises:
        OpsError: DigitalOcean or Pulumi can't be reached.
    """
    settings = stack.settings
    if not settings.creates_cluster:
        yield Check("account", True, f"nothing is created on DigitalOcean with kubeContext {settings.kube_context}")
        return
    try:
        account = api.read("account", "account", Account)
    except ApiError as error:
        if error.status == HTTPStatus.UNAUTHORIZED:
            problem, _, fix = str(error).rpartition("; fix: ")
            yield Check("token", False, problem, fix)
            return
        if error.status != HTTPStatus.FORBIDDEN:
            raise
    else:
        yield Check("token", True, f"valid, of {account}")
        yield Check("account", account.status == "active", account.status, account.status_message)
    yield (allowed := scopes.check(api, settings))
    if not allowed.ok:
        return
    state = states.read(stack)
    yield from _check_stack(stack, state)
    clusters = {cluster.id: cluster for cluster in api.list("kubernetes/clusters", "kubernetes_clusters", Cluster)}
    existing = registries(api) if settings.uses_digitalocean_registry or state.of(states.REGISTRY) else []
    owned_vpcs = state.of(states.VPC)
    vpcs = list(api.list("vpcs", "vpcs", Vpc)) if settings.vpc or owned_vpcs else []
    yield from _check_state(state, clusters, existing, vpcs, str(account))
    catalogue = cluster.catalogue(api)
    yield cluster.check_room(settings, catalogue)
    yield from cluster.check_pools(settings, catalogue)
    own = next((clusters[identifier] for identifier in state.of(states.CLUSTER) if identifier in clusters), None)
    if own is None:
        yield from cluster.check_choices(settings, catalogue)
        yield cluster.check_name(stack, clusters.values())
        if settings.vpc:
            yield vpc.check(settings.vpc, settings.region, vpcs, owned_vpcs)
    else:
        live = cluster.live_cluster(own, vpcs, owned_vpcs)
        yield cluster.check_upgrade(api, own.id, live, settings, catalogue)
        yield from cluster.check_replacement(live, settings)
        yield from vpc.check_name(live, settings.vpc, {network.name for network in vpcs})
    yield from _check_domain(settings, domain_records(api, settings), state)
    yield cluster.check_quota(api, account, settings, sum(pool.count for pool in own.node_pools) if own else 0)
    if settings.uses_digitalocean_registry:
        yield registry.check(api, settings.registry, existing, state)


def _check_stack(stack: Stack, state: State) -> Iterator[Check]:
    """Checks that Pulumi can decrypt the state of a stack, and that its file is there."""
    if not state.resources:
        return
    try:
        stack.pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack.name)
    except PulumiError as error:
        problem, _, fix = str(error).partition("; fix: ")
        yield Check("secrets", False, problem, fix or f"see what pulumi stack output --stack {stack.name} prints")
    else:
        yield Check("secrets", True, "Pulumi can decrypt them")
    if stack.missing_file and not stack.settings.workloads and state.of(states.DEPLOYMENT):
        problem = f"{stack.missing_file} is missing: pulumi up would delete every service"
        fix = f"git checkout -- {stack.missing_file}, or pulumi config refresh --stack {stack.name}"
        yield Check("stack file", False, problem, fix)


def _check_state(
    state: State,
    clusters: Mapping[str, Cluster],
    existing: Collection[Registry],
    vpcs: Collection[Vpc],
    account: str,
) -> Iterator[Check]:
    """Checks that the account has the ids of the state; if not, the token is most often another team's.

    An `up` also needs a cluster whose API server answers.
    """
    names = {registry.name for registry in existing}
    missing = [f"cluster {identifier}" for identifier in state.of(states.CLUSTER) if identifier not in clusters]
    missing += [f"registry {name}" for name in state.of(states.REGISTRY) if name not in names]
    missing += [f"vpc {known}" for known in state.of(states.VPC) if known not in {network.id for network in vpcs}]
    if missing:
        detail = f"{', '.join(missing)} of the state is not in the account of {account}"
        fix = "a token of the team that has it; if it was deleted by hand, python -m ops doctor"
        yield Check("state", False, detail, fix)
    for identifier in state.of(states.CLUSTER):
        own = clusters.get(identifier)
        if own and not own.runs:
            yield Check("cluster", False, f"{own.name} is {own.status.state}", "python -m ops doctor")


def _check_domain(settings: Settings, records: Mapping[str, list[Record]], state: State) -> Iterator[Check]:
    """Checks that no other record leads clients elsewhere: DNS shares them out among all records of a name."""
    others = [
        f"{record.type} record to {record.data}"
        for named in records.values()
        for record in named
        if record.type in ADDRESSES and record.id not in state.of(states.RECORD)
    ]
    if others:
        detail = f"{settings.domain} has another {', another '.join(others)}, which gets a part of the requests"
        yield Check("domain", False, detail, "delete it in the control panel, or set another domain")
    elif records:
        yield Check("domain", True, f"{settings.domain} leads nowhere else")
