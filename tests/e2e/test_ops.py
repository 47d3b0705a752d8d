"""The commands of ops/, as a person runs them, against an account without a Kubernetes; pulumi answers from files."""

import io
import json
import threading
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from ops.cli import app
from ops.cli import terminal as screens
from ops.digitalocean import Api
from ops.preflight import scopes
from tests.e2e.terminal import CLUSTER, COMMANDS, NOTHING_IS_BILLED, SCOPES, WITH_TOKEN, Terminal
from tests.pictures.terminal import shown
from tests.standins.digitalocean_provider.engine import TOKEN, Account
from tests.support import answering, eventually

WITHOUT_ONE = "DIGITALOCEAN_TOKEN: is missing; allowed: one word; fix: export DIGITALOCEAN_TOKEN=dop_v1_..."


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    account = Account()
    yield Terminal(account, tmp_path)
    account.stop()


# bill


def test_an_empty_account_bills_nothing(terminal: Terminal) -> None:
    done = terminal.ops("bill", "--expect-zero")
    assert (done.returncode, done.stdout) == (0, NOTHING_IS_BILLED)


def test_the_bill_equals_the_accounts_ledger(terminal: Terminal) -> None:
    cluster = terminal.cluster()
    terminal.load_balancer(cluster)
    terminal.registry("kong-doks-1234567")
    terminal.remembers(CLUSTER=cluster, REGISTRY="kong-doks-1234567")
    bill = terminal.json("bill")
    ledger = terminal.account.cloud.ledger.document()
    assert bill["monthly"] == ledger["monthly"] == 29
    assert bill["hourly"] == ledger["hourly"]
    names = {(entry["kind"].removeprefix("kubernetes_"), entry["id"]) for entry in ledger["entries"]}
    assert {(thing["kind"], thing["id"]) for thing in bill["things"]} == names


def test_a_load_balancer_that_was_made_larger_is_on_the_bill(terminal: Terminal) -> None:
    balancer = terminal.load_balancer(terminal.own_cluster())
    terminal.api("PUT", f"/v2/load_balancers/{balancer}", {"size_unit": 3})
    assert terminal.json("bill")["monthly"] == terminal.account.cloud.ledger.document()["monthly"] == 12 + 3 * 12


def test_a_highly_available_control_plane_is_on_the_bill(terminal: Terminal) -> None:
    terminal.own_cluster(ha=True)
    assert terminal.json("bill")["monthly"] == 12 + 40


def test_expect_zero_fails_while_anything_is_billed(terminal: Terminal) -> None:
    terminal.own_cluster()
    assert terminal.ops("bill").returncode == 0
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 1
    assert "mycluster" in done.stdout


def test_wait_ends_as_soon_as_the_account_is_empty(terminal: Terminal) -> None:
    # As after a destroy: the state is empty, and the update that created the cluster is in the history.
    cluster = terminal.made_cluster("mycluster")
    terminal.updated("2020-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z", result="succeeded")
    terminal.checkpointed(cluster)
    timer = threading.Timer(1, terminal.api, ("DELETE", f"/v2/kubernetes/clusters/{cluster}"))
    timer.start()
    assert terminal.ops("bill", "--expect-zero", "--wait", "180").returncode == 0
    timer.join()
    assert terminal.account.cloud.ledger.hourly == 0


def test_a_load_balancer_that_outlived_its_cluster_is_on_the_bill_and_can_be_removed(terminal: Terminal) -> None:
    terminal.account.settings.load_balancer_delete = 0
    cluster = terminal.own_cluster()
    left = terminal.load_balancer(cluster)
    terminal.delete_cluster(cluster)
    (thing,) = terminal.json("bill")["things"]
    assert (thing["id"], thing["orphan"], thing["monthly"]) == (left, True, 12)
    assert f"remove load_balancer {left}" in terminal.ops("bill").stdout
    assert terminal.ops("remove", "load_balancer", left, "--yes").returncode == 0
    terminal.remembers()
    assert terminal.ops("bill", "--expect-zero").returncode == 0


def test_without_pulumi_ownership_is_unknown_and_the_bill_is_never_zero(terminal: Terminal) -> None:
    terminal.pulumi.unlink()
    done = terminal.ops("bill", "--expect-zero")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert "pulumi: not on PATH; fix: install it" in done.stderr


@pytest.mark.parametrize("command", ["bill", "cost", "doctor", "preflight"])
def test_a_stack_unknown_to_pulumi_exits_with_3(terminal: Terminal, command: str) -> None:
    terminal.made_cluster("mycluster")
    terminal.is_forgotten()
    terminal.answers("stack ls", [{"name": "prod"}, {"name": "local"}])
    done = terminal.ops(command)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "stack dev: Pulumi has no such stack; allowed: prod, local; "
        "fix: --stack with another name, or pulumi stack init dev\n"
    )


@pytest.mark.parametrize("begun", [False, True])
def test_resources_of_another_stack_are_not_billed_but_conflict(terminal: Terminal, *, begun: bool) -> None:
    terminal.configure(registry={"kind": "digitalocean", "name": "shared"})
    cluster = terminal.made_cluster("mycluster")
    terminal.load_balancer(cluster)
    terminal.registry("shared")
    terminal.updated(
        "2020-01-01T00:00:00.000Z",
        "2100-01-01T00:00:00.000Z",
        clusterName="mycluster",
        registry='{"name": "shared"}',
        services='[{"build": "apps/foo"}]',
    )
    assert {kind for kind, _ in terminal.billed()} == {"cluster", "droplet", "load_balancer", "registry"}
    terminal.answers("stack ls", [{"name": "dev"}, {"name": "prod"}])
    terminal.remembers("prod", CLUSTER=cluster, REGISTRY="shared")
    if begun:
        terminal.state([], "prod", [terminal.pending("CLUSTER", "mycluster"), terminal.pending("REGISTRY", "shared")])
    done = terminal.ops("bill", "--expect-zero", "--wait", "60")
    assert (done.returncode, done.stdout, done.stderr) == (0, NOTHING_IS_BILLED, "")
    findings = [(finding["id"], finding["problem"], finding["fixes"]) for finding in terminal.findings()]
    assert findings == [
        (
            "name-taken",
            (
                f'cluster "mycluster" ({cluster}) is stack prod\'s, and this stack is configured to use the same name; '
                "fix: another name by pulumi config set clusterName"
            ),
            [],
        ),
        (
            "name-taken",
            (
                'registry "shared" (shared) is stack prod\'s, and this stack is configured to use the same name; '
                "fix: another name by pulumi config set --path registry.name, or registry.existing: true"
            ),
            [],
        ),
    ]
    failed = terminal.failed()["clusterName"]
    assert (failed["said"], failed["fix"]) == (
        'a cluster "mycluster" exists already, stack prod\'s',
        "pulumi config set clusterName with another name",
    )


def test_ownership_of_the_stacks_own_resources_reads_no_other_stack(terminal: Terminal) -> None:
    terminal.remembers(CLUSTER=terminal.cluster(), REGISTRY="kong-doks-1234567")
    terminal.registry("kong-doks-1234567", "professional")
    terminal.registry("kong-doks-7654321")
    (terminal.folder / "stack-ls.answer").write_text("no JSON")
    assert {kind for kind, _ in terminal.billed()} == {"cluster", "droplet", "registry"}


def test_resources_of_others_are_not_on_the_bill(terminal: Terminal) -> None:
    terminal.load_balancer(terminal.cluster(name="theirs"))
    terminal.registry("kong-doks-7654321")
    terminal.api("POST", "/v2/volumes", {"name": "data", "size_gigabytes": 10, "region": "nyc1"})
    bill = terminal.json("bill")
    assert (bill["things"], bill["blind"]) == ([], [])


def test_a_registry_that_was_there_before_the_stack_is_not_on_its_bill(terminal: Terminal) -> None:
    terminal.registry("mine")
    terminal.configure(registry={"kind": "digitalocean", "name": "mine", "existing": True})
    assert terminal.billed() == set()


def test_one_subscription_pays_for_all_registries(terminal: Terminal) -> None:
    terminal.registry("theirs", "professional")
    terminal.registry("kong-doks-1234567", "professional")
    terminal.remembers(REGISTRY="kong-doks-1234567")
    (thing,) = terminal.json("bill")["things"]
    assert (thing["id"], thing["monthly"]) == ("kong-doks-1234567", 0)


def test_every_page_of_a_list_is_read(terminal: Terminal) -> None:
    terminal.account.settings.droplet_limit = 1000
    pools = [{"name": "default", "size": "s-1vcpu-2gb", "count": 201}]
    terminal.own_cluster(node_pools=pools)
    assert sum(kind == "droplet" for kind, _ in terminal.billed()) == 201


def test_volumes_and_snapshots_of_the_cluster_are_on_the_bill(terminal: Terminal) -> None:
    tags = [f"k8s:{terminal.own_cluster()}"]
    volume = {"name": "data", "size_gigabytes": 10, "region": "nyc1", "tags": tags}
    identifier = terminal.api("POST", "/v2/volumes", volume)["volume"]["id"]
    terminal.api("POST", f"/v2/volumes/{identifier}/snapshots", {"name": "before", "tags": tags})
    prices = {thing["kind"]: thing["monthly"] for thing in terminal.json("bill")["things"]}
    assert (prices["volume"], prices["snapshot"]) == (1.0, 0.6)


def test_resources_without_tags_are_on_the_bill_of_their_cluster(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = terminal.own_cluster()
    made = {("load_balancer", terminal.load_balancer(cluster)), ("volume", terminal.volume(cluster))}
    before = terminal.billed()
    assert made < before
    read = Api.get

    def without_tags(self: Api, path: str, **query: object) -> dict[str, Any]:
        answer = read(self, path, **query)
        for document in (*answer.get("load_balancers", []), *answer.get("volumes", [])):
            document.pop("tags", None)
        return answer

    monkeypatch.setattr(Api, "get", without_tags)
    assert terminal.billed() == before
    for kind, identifier in made:
        assert terminal.ops("remove", kind, identifier, "--yes").returncode == 0


def test_an_unreadable_account_is_never_zero(terminal: Terminal) -> None:
    terminal.account.cloud.tokens = {TOKEN: [scope for scope in SCOPES if scope != "load_balancer:read"]}
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 3
    assert "GET /v2/load_balancers: 403" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_transient_api_errors_are_retried(terminal: Terminal, status: int) -> None:
    terminal.own_cluster()
    fault = {"path": "/v2/", "status": status, "times": 3}
    terminal.api("POST", "/_control/faults", fault)
    assert ("droplet", "400000001") in terminal.billed()


@pytest.mark.parametrize(("kind", "made"), [("drop_after", 1), ("refuse", 0)])
def test_a_node_pool_is_not_created_twice_after_a_lost_response(terminal: Terminal, kind: str, made: int) -> None:
    cluster = terminal.own_cluster()
    path = f"/v2/kubernetes/clusters/{cluster}/node_pools"
    before = len(terminal.api("GET", path)["node_pools"])
    terminal.api("POST", "/_control/faults", {"method": "POST", "path": path, "kind": kind, "times": 1})
    assert terminal.ops("add-pool", cluster).returncode == 3
    assert len(terminal.api("GET", path)["node_pools"]) == before + made


def test_a_running_or_killed_update_has_no_end_time_in_pulumi_cloud(terminal: Terminal) -> None:
    terminal.updated("2020-11-24T12:00:00.000Z", None, result="in-progress", clusterName="mycluster")
    assert terminal.ops("bill", "--expect-zero") == (0, NOTHING_IS_BILLED, "")
    cluster = terminal.made_cluster("mycluster")
    terminal.configure(clusterName="another")
    assert ("cluster", cluster) in terminal.billed()


def test_permanent_api_errors_are_reported_in_one_line(terminal: Terminal) -> None:
    terminal.api("POST", "/_control/faults", {"path": "/v2/", "status": 500, "times": None})
    done = terminal.ops("bill", "--expect-zero")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    terminal.environment["DIGITALOCEAN_API_URL"] = "http://127.0.0.1:9"
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 3
    assert "http://127.0.0.1:9 doesn't answer" in done.stderr


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (520, {}, "<html>", "520"),
        (
            429,
            {"Retry-After": "Mon, 23 Nov 2099 12:00:00 GMT"},
            '{"message": "slow down"}',
            "slow down; fix: try again",
        ),
        (429, {"Retry-After": "soon"}, "[]", "429"),
        (200, {}, "<html>", "without a JSON object; fix: check what answers at"),
        (200, {}, "[]", "without a JSON object"),
        (200, {}, "{}", "GET /v2/droplets: droplets is no list; fix: check what answers at"),
        (200, {"Content-Encoding": "gzip"}, "no gzip", "doesn't answer"),
    ],
)
def test_a_response_of_another_server_is_reported_in_one_line(
    terminal: Terminal, status: int, headers: dict[str, str], body: str, said: str
) -> None:
    with answering(status, body, **headers) as url:
        terminal.environment["DIGITALOCEAN_API_URL"] = url
        done = terminal.ops("bill", "--expect-zero")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert said in done.stderr


@pytest.mark.parametrize(("name", "value"), [("TOKEN", f"{TOKEN} {TOKEN}"), ("API_URL", "http://it:port")])
def test_an_invalid_token_or_endpoint_is_reported_in_one_line(terminal: Terminal, name: str, value: str) -> None:
    terminal.environment[f"DIGITALOCEAN_{name}"] = value
    done = terminal.ops("bill", "--expect-zero")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert f"fix: export DIGITALOCEAN_{name}=" in done.stderr


def test_the_list_of_commands_is_complete() -> None:
    assert set(COMMANDS) == set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", WITH_TOKEN, ids=itemgetter(0))
def test_every_command_prints_errors_as_json_with_json(terminal: Terminal, command: list[str]) -> None:
    terminal.environment["DIGITALOCEAN_TOKEN"] = None
    done = terminal.ops(*command, "--json")
    assert (done.returncode, done.stderr) == (3, "")
    assert json.loads(done.stdout) == {"error": WITHOUT_ONE}


def test_a_wrong_or_missing_token_is_reported_with_its_fix(terminal: Terminal) -> None:
    terminal.environment["DIGITALOCEAN_TOKEN"] = "dop_v1_" + "0" * 64
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 3
    assert "401" in done.stderr
    assert "export DIGITALOCEAN_TOKEN" in done.stderr
    terminal.environment["DIGITALOCEAN_TOKEN"] = None
    done = terminal.ops("bill", "--expect-zero")
    assert (done.returncode, done.stderr) == (3, f"{WITHOUT_ONE}\n")
    terminal.environment["DIGITALOCEAN_ACCESS_TOKEN"] = TOKEN
    assert terminal.ops("bill", "--expect-zero").returncode == 0


def test_preflight_shows_the_fix_of_a_refused_token_once(terminal: Terminal) -> None:
    terminal.environment["DIGITALOCEAN_TOKEN"] = "dop_v1_" + "0" * 64
    (line, _) = terminal.ops("preflight").stdout.splitlines()
    assert (line.count("fix: "), line.count("export DIGITALOCEAN_TOKEN")) == (1, 1)


def test_preflight_reports_an_account_that_digitalocean_has_locked(terminal: Terminal) -> None:
    settings = terminal.account.cloud.settings
    settings.account_status, settings.account_status_message = "locked", "verify your card"
    failed = terminal.failed()["account"]
    assert (failed["said"], failed["fix"]) == ("locked", "verify your card")


def test_preflight_reports_secrets_that_pulumi_cannot_decrypt(terminal: Terminal) -> None:
    (terminal.folder / "stack-output.answer").unlink()
    problem = "failed to decrypt: incorrect passphrase"
    terminal.fails(problem)
    assert terminal.failed() == {}  # nothing is in the state yet
    terminal.own_cluster()
    failed = terminal.failed()
    assert failed["secrets"]["said"].endswith(problem)
    assert failed["secrets"]["fix"] == "export PULUMI_CONFIG_PASSPHRASE=... with the stack's passphrase"


def test_a_missing_stack_file_that_would_delete_the_services_is_found(terminal: Terminal) -> None:
    foo = terminal.resource("DEPLOYMENT", "default/foo-deployment")
    terminal.state([terminal.resource("CLUSTER", terminal.cluster()), foo])
    terminal.configure(services=[])
    restore = "git checkout -- Pulumi.dev.yaml"
    assert terminal.failed()["stack file"]["fix"] == f"{restore}, or pulumi config refresh --stack dev"
    (finding,) = [finding for finding in terminal.findings() if finding["id"] == "stack-file-missing"]
    assert finding["fixes"] == [[restore], ["pulumi config refresh --stack dev"]]
    (terminal.folder / "Pulumi.dev.yaml").write_text("config: {}\n")
    assert "stack file" not in terminal.failed()
    (terminal.folder / "Pulumi.dev.yaml").unlink()
    terminal.configure()
    assert "stack file" not in terminal.failed()


@pytest.mark.parametrize(
    ("problem", "fix"),
    [
        ("invalid YAML file: yaml: line 2", "correct the stack's file"),
        ("unable to open bucket file:///gone", "pulumi login"),
        ("blob (key ...): request send failed, connection refused", "reach the state's backend"),
        ("incorrect passphrase", "export PULUMI_CONFIG_PASSPHRASE="),
    ],
)
def test_an_error_of_pulumi_ends_with_its_fix(terminal: Terminal, problem: str, fix: str) -> None:
    terminal.fails(problem)
    (terminal.folder / "config---json.answer").unlink()
    done = terminal.ops("doctor")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert f"{problem}; fix: {fix}" in done.stderr


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f" {TOKEN}", "plänted"])
@pytest.mark.parametrize("name", ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", "digitalocean:token"])
def test_a_token_that_cannot_be_sent_is_refused_by_its_name(terminal: Terminal, name: str, token: str) -> None:
    terminal.environment["DIGITALOCEAN_TOKEN"] = None
    if name.isupper():
        terminal.environment[name] = token
    else:
        terminal.answers("config --json", {name: {"secret": True}})
        (terminal.folder / "config-get.answer").write_text(f"{token}\n")
    done = terminal.ops("bill", "--expect-zero")
    assert done.returncode == 3
    assert done.stderr.startswith(f"{name}: has a blank, ")
    assert token.strip() not in done.stderr
    assert terminal.account.calls == []


# cost


def test_the_estimated_cost_equals_the_bill(terminal: Terminal) -> None:
    terminal.configure(registry={"kind": "digitalocean", "tier": "basic"}, nodeCount=2, nodeSize="s-2vcpu-4gb")
    cost = terminal.json("cost")
    pools = [{"name": "default", "size": "s-2vcpu-4gb", "count": 2}]
    terminal.load_balancer(terminal.cluster(node_pools=pools))
    terminal.registry("kong-doks-1234567")
    ledger = terminal.account.cloud.ledger.document()
    assert cost["monthly"] == ledger["monthly"] == 65
    assert cost["hourly"] == pytest.approx(ledger["hourly"], abs=0.0001)


@pytest.mark.parametrize(
    ("config", "monthly"),
    [
        ({}, 24),
        ({"ha": True}, 64),
        ({"proxyServiceType": "ClusterIP"}, 12),
        ({"registry": {"kind": "digitalocean", "tier": "professional"}}, 44),
        ({"registry": {"kind": "digitalocean", "tier": "professional"}, "services": []}, 24),
        ({"registry": '{"kind": "digitalocean", "tier": "basic"}'}, 29),
        ({"registry": {"kind": "digitalocean", "name": "mine", "existing": True}}, 24),
        ({"kubeContext": "kind-kind", "registry": {"kind": "none"}}, 0),
    ],
)
def test_every_option_has_a_price(terminal: Terminal, config: dict[str, object], monthly: float) -> None:
    terminal.configure(**config)
    assert terminal.json("cost")["monthly"] == monthly


def test_an_unavailable_size_has_no_cost(terminal: Terminal) -> None:
    terminal.configure(nodeSize="s-9vcpu-9gb")
    done = terminal.ops("cost")
    assert (done.returncode, done.stdout) == (3, "")
    assert 'nodeSize: "s-9vcpu-9gb" is not on offer' in done.stderr


# preflight


def test_preflight_passes_and_changes_nothing(terminal: Terminal) -> None:
    done = terminal.ops("preflight")
    assert done.returncode == 0, done.stdout
    assert terminal.account.cloud.ledger.entries == []


def test_preflight_prints_each_check_on_its_own_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    for name in ("_console", "_errors"):
        monkeypatch.setattr(screens, name, Console(file=screen, force_terminal=True, highlight=False, soft_wrap=True))
    terminal.ops("preflight")
    lines = [line.plain for line in shown(screen.getvalue())]
    assert [line for line in lines if not line.startswith(("ok ", "FAIL ", "stack dev: "))] == []
    assert len(lines) > 5


def test_preflight_needs_exactly_the_scopes_that_it_lists(terminal: Terminal) -> None:
    terminal.account.cloud.tokens = {TOKEN: SCOPES}
    assert terminal.failed() == {}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_missing_scope_is_named(terminal: Terminal, scope: str) -> None:
    terminal.account.cloud.tokens = {TOKEN: [granted for granted in SCOPES if granted != scope]}
    # Scopes that one request needs together can't be distinguished.
    said = terminal.failed()["scopes"]["said"].removeprefix("missing: ").split(", ")
    together = {"regions:read": {"sizes:read"}, "snapshot:read": {"block_storage_snapshot:read"}}
    together["block_storage_snapshot:read"] = {"snapshot:read"}
    assert set(said) == {scope} | together.get(scope, set())
    assert terminal.account.cloud.ledger.entries == []


def test_a_stack_without_a_registry_needs_no_scope_of_registries(terminal: Terminal) -> None:
    terminal.configure(services=[])
    terminal.account.cloud.tokens = {TOKEN: [scope for scope in SCOPES if not scope.startswith("registry:")]}
    assert terminal.failed() == {}
    done = terminal.ops("bill", "--expect-zero")
    assert (done.returncode, done.stderr) == (0, "")
    assert terminal.ops("doctor").returncode == 0


def test_a_domain_takes_the_scopes_for_its_record_as_well(terminal: Terminal) -> None:
    terminal.configure(domain="api.example.com", email="ops@example.com")
    terminal.account.cloud.tokens = {TOKEN: SCOPES}
    assert terminal.failed()["scopes"]["said"] == f"missing: {', '.join(scopes.DOMAIN)}"
    terminal.account.cloud.tokens = {TOKEN: [*SCOPES, *scopes.DOMAIN]}
    assert terminal.failed() == {}


@pytest.mark.parametrize(
    ("config", "name", "choice"),
    [
        ({"region": "nyc2"}, "region", "nyc1, nyc3"),
        ({"nodeSize": "s-1vcpu-1gb"}, "nodeSize", "s-1vcpu-2gb"),
        ({"nodeSize": "c-2", "region": "syd1"}, "nodeSize", "s-1vcpu-2gb"),
        ({"kubernetesVersion": "1.30"}, "kubernetesVersion", "1.36, 1.35, 1.34"),
        ({"nodeCount": 11}, "quota", "0 of 10"),
        ({"registry": {"kind": "digitalocean", "name": "taken"}}, "registry", "taken"),
        ({"registry": {"kind": "digitalocean", "name": "mine", "existing": True}}, "registry", "is not there"),
    ],
)
def test_an_unavailable_choice_is_reported_with_an_available_one(
    terminal: Terminal, config: dict[str, object], name: str, choice: str
) -> None:
    terminal.account.settings.registry_names_taken = ("taken",)
    terminal.configure(**config)
    failed = terminal.failed()
    assert set(failed) == {name}
    assert choice in failed[name]["said"]
    assert failed[name]["fix"]
    assert terminal.ops("preflight").returncode == 1


@pytest.mark.parametrize("status", [409, 422])
def test_a_name_that_the_registry_api_refuses_is_reported(terminal: Terminal, status: int) -> None:
    terminal.api("POST", "/_control/faults", {"path": "registry/validate-name", "status": status})
    terminal.configure(registry={"kind": "digitalocean", "name": "mine"})
    assert terminal.failed()["registry"]["said"] == 'the name "mine" is taken or bad'


def test_a_registry_beyond_the_tier_is_reported_with_the_way_to_use_the_first(terminal: Terminal) -> None:
    terminal.registry("theirs")
    assert "{kind: digitalocean, name: theirs, existing: true}" in terminal.failed()["registry"]["fix"]
    terminal.configure(registry={"kind": "digitalocean", "name": "theirs", "existing": True})
    assert terminal.failed() == {}


def test_the_stacks_own_registry_causes_no_conflict(terminal: Terminal) -> None:
    terminal.registry("mine")
    terminal.remembers(REGISTRY="mine")
    terminal.configure(registry={"kind": "digitalocean", "name": "mine", "existing": True})
    assert "pulumi up deletes it with its images" in terminal.failed()["registry"]["said"]
    # As the state has one that the program only reads.
    terminal.state([terminal.resource("REGISTRY", "mine", external=True)])
    assert terminal.failed() == {}
    assert terminal.billed() == set()
    assert terminal.ops("remove", "registry", "mine", "--yes").returncode == 1


def test_a_second_registry_is_refused_by_the_accounts_tier(terminal: Terminal) -> None:
    terminal.registry("theirs", "basic")
    terminal.configure(registry={"kind": "digitalocean", "tier": "professional"})
    assert "its tier basic allows no more" in terminal.failed()["registry"]["said"]


@pytest.mark.parametrize(("tier", "fails"), [("professional", False), ("starter", True)])
def test_a_second_registry_has_the_accounts_tier(terminal: Terminal, tier: str, *, fails: bool) -> None:
    terminal.registry("theirs", "professional")
    terminal.configure(registry={"kind": "digitalocean", "tier": tier})
    failed = terminal.failed()
    assert ("registry" in failed) == fails
    assert not fails or failed["registry"]["fix"] == "pulumi config set --path registry.tier professional"


def test_a_name_conflict_is_reported_before_anything_is_billed(terminal: Terminal) -> None:
    terminal.cluster()
    assert "and the state of this stack doesn't have it" in terminal.failed()["clusterName"]["said"]


@pytest.mark.parametrize(("key", "value", "before"), [("region", "sfo3", "nyc1"), ("nodeSize", "c-2", "s-1vcpu-2gb")])
def test_preflight_reports_changes_that_would_replace_the_cluster(
    terminal: Terminal, key: str, value: str, before: str
) -> None:
    pool: dict[str, object] = {"name": "it", "size": "s-1vcpu-2gb", "count": 1, "tags": ["terraform:default-node-pool"]}
    terminal.remembers(CLUSTER=terminal.cluster(node_pools=[pool]))
    assert terminal.failed() == {}
    terminal.configure(**{key: value})
    failed = terminal.failed()
    assert set(failed) == {key}
    assert failed[key]["said"] == f'"{value}" would replace cluster mycluster; allowed: {before}'
    assert failed[key]["fix"].endswith("or allowReplace true, which deletes the cluster with all that is in it")
    terminal.configure(**{key: value}, allowReplace=True)
    assert terminal.failed() == {}
    said = {check["name"]: check["said"] for check in terminal.json("preflight")["checks"]}
    assert said[key] == f"{before} becomes {value}: pulumi up deletes cluster mycluster with all in it"


@pytest.mark.parametrize(
    ("key", "value", "before"), [("region", "fra1", "nyc3"), ("name", "other", "kong-doks-1234567")]
)
def test_preflight_reports_a_replacement_of_the_registry(terminal: Terminal, key: str, value: str, before: str) -> None:
    terminal.registry("kong-doks-1234567")
    terminal.remembers(REGISTRY="kong-doks-1234567")
    assert terminal.failed() == {}
    terminal.configure(registry={"kind": "digitalocean", key: value})
    failed = terminal.failed()
    assert set(failed) == {"registry"}
    assert "pulumi up deletes registry kong-doks-1234567 with its images" in failed["registry"]["said"]
    assert failed["registry"]["fix"].startswith(f"pulumi config set --path registry.{key} {before};")


@pytest.mark.parametrize(
    ("version", "wanted", "said", "fix"),
    [
        ("1.34.10-do.0", "1.30", "", ""),
        ("1.34.10-do.0", "1.34", "", ""),
        ("1.34.10-do.0", "1.35", "", ""),
        ("1.34.10-do.0", "1.36", "skips a minor version of cluster mycluster", "kubernetesVersion 1.35, pulumi up"),
        ("1.35.7-do.0", "1.34", "is lower than the version of cluster mycluster", "kubernetesVersion 1.35"),
        ("1.35.7-do.0", "1.36", "is tested up to Kubernetes 1.35", "kubernetesVersion 1.35"),
        ("1.36.3-do.0", "1.37", "is not on offer", "kubernetesVersion 1.36"),
    ],
)
def test_an_upgrade_is_checked_against_the_version_that_the_cluster_has(
    terminal: Terminal, version: str, wanted: str, said: str, fix: str
) -> None:
    """A minor that DigitalOcean no longer offers is one that it has upgraded by itself."""
    terminal.remembers(CLUSTER=terminal.cluster(version=version, ha=False))
    terminal.configure(kubernetesVersion=wanted)
    failed = terminal.failed()
    assert set(failed) == ({"kubernetesVersion"} if said else set())
    if said:
        assert said in failed["kubernetesVersion"]["said"]
        assert fix in failed["kubernetesVersion"]["fix"]


def test_an_intermediate_patch_of_an_upgrade_is_reported(terminal: Terminal) -> None:
    terminal.account.settings.versions = ("1.35.7-do.0", "1.34.10-do.0", "1.34.9-do.0")
    terminal.remembers(CLUSTER=terminal.cluster(version="1.34.9-do.0"))
    terminal.configure(kubernetesVersion="1.35")
    checks = {check["name"]: check for check in terminal.json("preflight")["checks"]}
    assert checks["kubernetesVersion"]["ok"]
    assert checks["kubernetesVersion"]["said"] == (
        "pulumi up upgrades cluster mycluster from 1.34.9-do.0 to 1.34.10-do.0 first, the newest patch of 1.34; "
        "its nodes are replaced one by one; pulumi up again for 1.35, when the cluster runs again"
    )


def test_a_quota_that_is_just_enough_is_no_problem(terminal: Terminal) -> None:
    terminal.account.settings.droplet_limit = 3
    terminal.configure(nodeCount=3)
    assert "quota" not in terminal.failed()


def test_a_quota_that_was_lowered_is_no_problem_without_new_nodes(terminal: Terminal) -> None:
    terminal.own_cluster()
    terminal.account.settings.droplet_limit = 0
    assert "quota" not in terminal.failed()


def test_preflight_reports_a_cluster_that_does_not_run(terminal: Terminal) -> None:
    cluster = terminal.account.cloud.clusters.records[terminal.own_cluster()]
    cluster.set_state("degraded")
    assert "cluster" not in terminal.failed()
    cluster.set_state("error")
    assert terminal.failed()["cluster"]["said"] == "mycluster is error"


def test_other_droplets_count_towards_the_quota(terminal: Terminal) -> None:
    terminal.account.settings.droplet_limit = 1
    terminal.cluster(name="theirs")
    failed = terminal.failed()["quota"]
    assert failed["said"] == "1 of 1 Droplets in use, 1 more wanted"
    assert failed["fix"] == "remove Droplets, or ask DigitalOcean for more"
    terminal.account.settings.droplet_limit = 3
    terminal.configure(nodeCount=5)
    assert "nodeCount 2," in terminal.failed()["quota"]["fix"]
    terminal.account.settings.droplet_limit = 2
    assert "nodeCount 1," in terminal.failed()["quota"]["fix"]
    terminal.account.settings.droplet_limit = 3
    # What the stack has already counts for it.
    terminal.remembers(CLUSTER=next(iter(terminal.account.cloud.clusters.records)))
    assert "nodeCount 3," in terminal.failed()["quota"]["fix"]


def test_a_stack_on_your_own_cluster_passes_preflight(terminal: Terminal) -> None:
    terminal.configure(kubeContext="kind-kind", registry={"kind": "none"})
    assert terminal.failed() == {}


# remove


def test_remove_asks_for_confirmation_with_name_kind_and_price(terminal: Terminal) -> None:
    cluster = terminal.own_cluster(ha=True)
    asked = terminal.ops("remove", "cluster", cluster, typing="n\n")
    assert asked.returncode == 1
    assert f'Delete cluster "mycluster" ({cluster}), $52.00 a month for good?' in asked.stderr
    assert terminal.billed() >= {("cluster", cluster)}
    assert terminal.ops("remove", "cluster", cluster, typing="y\n").returncode == 0


def test_removing_a_cluster_removes_its_load_balancers(terminal: Terminal) -> None:
    terminal.account.settings.load_balancer_delete = 0
    cluster = terminal.own_cluster()
    terminal.load_balancer(cluster)
    assert terminal.ops("remove", "cluster", cluster, "--yes").returncode == 0
    assert terminal.ops("bill", "--wait", "180").stdout.startswith("stack dev: nothing is billed")
    assert "gone already" in terminal.ops("remove", "cluster", cluster, "--yes").stdout


def test_actions_are_printed_as_json_with_json(terminal: Terminal) -> None:
    cluster = terminal.own_cluster()
    assert terminal.json("add-pool", cluster)["what"] == "node pool mycluster-default-pool"
    removed = ("remove", "cluster", cluster, "--yes")
    assert terminal.json(*removed)["said"].startswith("being deleted")
    eventually(lambda: not terminal.account.cloud.clusters.records)
    # Or the token is another team's, since the account has nothing that the state has.
    said = "gone already, as far as can be seen"
    assert terminal.json(*removed) == {"stack": "dev", "what": f"cluster {cluster}", "said": said}
    assert terminal.ops(*removed).returncode == 3


@pytest.mark.parametrize("identifier", ["", ".", "..", "1/../2"])
def test_an_invalid_id_is_refused_before_any_call(terminal: Terminal, identifier: str) -> None:
    terminal.account.calls.clear()
    done = terminal.ops("remove", "droplet", identifier, "--yes")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert not [call for call in terminal.account.calls if call[0] == "DELETE"]


def test_waiting_for_a_cluster_ends_when_it_runs_or_is_gone(terminal: Terminal) -> None:
    terminal.account.settings.cluster_create = 3600
    made = terminal.api("POST", "/v2/kubernetes/clusters", CLUSTER)["kubernetes_cluster"]["id"]
    assert terminal.ops("wait", made, "--seconds", "0").returncode == 1
    threading.Timer(1, setattr, (terminal.account.settings, "cluster_create", 0)).start()
    assert terminal.ops("wait", made) == (0, f"stack dev: cluster {made}: running\n", "")
    assert terminal.ops("wait", "another") == (1, "stack dev: cluster another: gone\n", "")


# doctor


def test_doctor_reports_a_missing_pulumi(terminal: Terminal) -> None:
    terminal.pulumi.unlink()
    done = terminal.ops("doctor")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert done.stderr.startswith("pulumi: not on PATH")


def test_doctor_reports_other_findings_if_the_cluster_is_unreachable(terminal: Terminal) -> None:
    terminal.account.settings.load_balancer_delete = 0
    gone, there = terminal.cluster(), terminal.cluster(name="other")
    terminal.load_balancer(gone)
    terminal.state([terminal.resource("CLUSTER", cluster) for cluster in (gone, there)])
    terminal.delete_cluster(gone)
    document = terminal.json("doctor")
    assert [finding["id"] for finding in document["findings"]][:2] == ["orphan", "not-in-account"]
    (unread,) = document["not_read"]
    assert unread.startswith("the inside of the cluster: the API server of cluster")


def test_preflight_reports_another_a_record_of_the_domain(terminal: Terminal) -> None:
    terminal.configure(domain="api.example.com", email="ops@example.com")
    assert "domain" not in {check["name"] for check in terminal.json("preflight")["checks"]}
    terminal.api("POST", "/v2/domains", {"name": "example.com"})
    for name, data in (("www", "203.0.113.9"), ("api", "203.0.113.7")):
        body = {"type": "A", "name": name, "data": data}
        made = terminal.api("POST", "/v2/domains/example.com/records", body)["domain_record"]
    checks = {check["name"]: check for check in terminal.json("preflight")["checks"]}
    assert checks["domain"]["ok"] is False
    assert checks["domain"]["said"].startswith("api.example.com has another A record to 203.0.113.7, which gets a part")
    terminal.remembers(RECORD=str(made["id"]))
    checks = {check["name"]: check for check in terminal.json("preflight")["checks"]}
    assert checks["domain"] == {"name": "domain", "ok": True, "said": "api.example.com leads nowhere else", "fix": ""}


def test_an_a_record_of_an_interrupted_up_is_found_and_others_are_left_alone(terminal: Terminal) -> None:
    terminal.configure(domain="api.example.com", email="ops@example.com")
    terminal.api("POST", "/v2/domains", {"name": "example.com"})

    def record(name: str, data: str) -> str:
        asked = {"type": "A", "name": name, "data": data}
        return str(terminal.api("POST", "/v2/domains/example.com/records", asked)["domain_record"]["id"])

    record("www", "203.0.113.9")
    first, ours = record("api", "203.0.113.7"), record("api", "203.0.113.7")
    terminal.state([terminal.resource("RECORD", ours, inputs={"domain": "example.com", "name": "api"})])
    (finding,) = terminal.findings()
    assert f"({first}, 203.0.113.7) that is not in the state: an up that was interrupted left it" in finding["problem"]
    remove = f"python -m ops remove dns_record example.com/records/{first} --stack dev"
    assert finding["fixes"] == [[remove]]
    assert terminal.ops(*remove.split()[3:], "--yes").returncode == 0
    assert terminal.findings() == []
    record("api", "203.0.113.8")
    (finding,) = terminal.findings()
    assert "or another owner's" in finding["problem"]
    assert "remove" not in json.dumps(finding)


def test_an_a_record_edited_or_deleted_by_hand_is_drift(terminal: Terminal) -> None:
    terminal.configure(domain="api.example.com", email="ops@example.com")
    terminal.api("POST", "/v2/domains", {"name": "example.com"})
    asked = {"type": "A", "name": "api", "data": "203.0.113.7"}
    record = str(terminal.api("POST", "/v2/domains/example.com/records", asked)["domain_record"]["id"])
    inputs = {"domain": "example.com", "name": "api"}
    terminal.state([terminal.resource("RECORD", record, inputs=inputs, outputs={"value": "203.0.113.7"})])
    assert terminal.findings() == []
    # Another domain in the configuration is no change of the record.
    for domain in ("www.example.com", "api.example.org"):
        terminal.configure(domain=domain, email="ops@example.com")
        assert terminal.findings() == []
    terminal.api("PUT", f"/v2/domains/example.com/records/{record}", {"type": "A", "data": "203.0.113.9"})
    (finding,) = terminal.findings()
    assert finding["problem"] == "A record of api.example.com: 203.0.113.7 in the state, 203.0.113.9 in the account"
    assert (finding["id"], finding["fixes"]) == ("drift", [["pulumi up --refresh --stack dev"]])
    terminal.api("DELETE", f"/v2/domains/example.com/records/{record}")
    problem = "A record of api.example.com: 203.0.113.7 in the state, deleted in the account"
    assert [finding["problem"] for finding in terminal.findings()] == [problem]
    del terminal.account.cloud.domains["example.com"]
    assert [finding["problem"] for finding in terminal.findings()] == [problem]


_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 -- Pulumi's mark of an encrypted value
_ENCRYPTED = {_SECRET: "1b47061264138c4ac30d75fd1eb44270"}


@pytest.mark.parametrize(
    ("outputs", "is_empty"),
    [
        ({}, True),
        ({"dockerCredentials": None}, True),
        ({"dockerCredentials": ""}, True),
        # "null", and a Docker config of one registry.
        ({"dockerCredentials": _ENCRYPTED | {"ciphertext": "v1:dC0bSx4RQrN2nvpl:7Fk4mRBQz2dvVZbDJ5dzZtB4hB0="}}, True),
        ({"dockerCredentials": _ENCRYPTED | {"ciphertext": f"v1:dC0bSx4RQrN2nvpl:{'A' * 300}"}}, False),
    ],
)
def test_registry_credentials_without_a_value_are_found(
    terminal: Terminal, outputs: dict[str, object], *, is_empty: bool
) -> None:
    terminal.registry("kong-doks-1234567")
    credentials = terminal.resource("DOCKER_CREDENTIALS", "push", outputs=outputs)
    terminal.state([terminal.resource("REGISTRY", "kong-doks-1234567"), credentials])
    findings = terminal.findings()
    assert [finding["id"] for finding in findings] == (["docker-credentials-empty"] if is_empty else [])
    fix = f"pulumi state delete '{credentials['urn']}' --force --yes --stack dev"
    assert not is_empty or findings[0]["fixes"] == [[fix]]
