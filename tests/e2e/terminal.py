"""A shell in which the commands of ops/ run, beside an account without a Kubernetes; pulumi answers from files."""

import contextlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import yaml
from typer.testing import CliRunner

from infra.config.node_pools import DEFAULT_POOL_TAG
from ops.cli import app
from ops.preflight import scopes
from ops.pulumi import state as states
from sandbox.host.paths import PROJECT
from tests.standins.digitalocean_provider.engine import TOKEN, Account
from tests.support import PATIENCE, eventually

CLUSTER = {
    "name": "mycluster",
    "region": "nyc1",
    "version": "1.35.7-do.0",
    "ha": False,
    "node_pools": [{"name": "default", "size": "s-1vcpu-2gb", "count": 1}],
}
SCOPES = [*scopes.READING, *scopes.CLUSTER, *scopes.REGISTRY]
# Each try may be many calls, and the API allows 250 a minute.
_NO_STACK = "no stack named 'dev' found"
NOTHING_IS_BILLED = "stack dev: nothing is billed\n"


COMMANDS: dict[str, list[str]] = {
    "preflight": [],
    "cost": [],
    "timeline": [],
    "bill": [],
    "status": [],
    "doctor": [],
    "remove": ["volume", "1", "--yes"],
    "forget": ["cluster", "1", "--yes"],
    "wait": ["1"],
    "add-pool": ["1"],
    "resize-pool": ["--yes"],
    "renew-balancer": ["1"],
    "forget-release": ["1", "it"],
}
"""Every command of `ops`, with arguments that it takes."""
WITH_TOKEN = [[name, *arguments] for name, arguments in COMMANDS.items() if name not in ("timeline", "status")]
"""The commands that call DigitalOcean's API, whatever the state has."""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Terminal:
    """A shell in a folder with Pulumi.yaml; the stack `dev` is selected, and Pulumi has no other."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.folder = folder
        self.environment: dict[str, str | None] = {
            "PATH": str(folder),
            "PULUMI_STACK": None,
            "DIGITALOCEAN_ACCESS_TOKEN": None,
            "DIGITALOCEAN_TOKEN": TOKEN,
            "DIGITALOCEAN_API_URL": account.url,
            "DIGITALOCEAN_HTTP_RETRY_WAIT_MIN": "0.01",
        }
        (folder / "Pulumi.yaml").write_text((PROJECT / "Pulumi.yaml").read_text())
        self.pulumi = folder / "pulumi"
        # A command's answer is in a file named by its first words, and by its stack where a test says so.
        self.pulumi.write_text(
            "#!/bin/sh\n"
            f'echo "$*" >> "{folder}/pulumi.log"\n'
            f'for file in "{folder}/$1-$2-$4.answer" "{folder}/$1-$2.answer"; do\n'
            '  [ -f "$file" ] && exec /bin/cat "$file"\n'
            "done\n"
            f'echo "error: {_NO_STACK}" >&2\n'
            "exit 255\n"
        )
        self.pulumi.chmod(0o755)
        (folder / "stack---show-name.answer").write_text("dev\n")
        self.configure()
        self.answers("whoami --json", {"url": f"file://{folder}"})
        self.answers("stack history", [])
        self.answers("stack output", {})
        self.answers("stack ls", [{"name": "dev", "current": True}])
        self.remembers()

    def answers(self, command: str, document: object) -> None:
        """Sets what pulumi prints for a command's first two words, or for these and another stack."""
        (self.folder / f"{command.replace(' ', '-')}.answer").write_text(json.dumps(document))

    def fails(self, problem: str) -> None:
        """Sets the error of commands without an answer; by default there is no stack."""
        script = self.pulumi.read_text()
        assert _NO_STACK in script
        self.pulumi.write_text(script.replace(_NO_STACK, problem))

    def typed(self) -> list[str]:
        """The pulumi commands so far."""
        return (self.folder / "pulumi.log").read_text().splitlines()

    def remembers(self, stack: str = "", **resources: str) -> None:
        """The ids in the state, by their types as ops.pulumi.state calls them; inputs and outputs are empty."""
        self.state([self.resource(kind, identifier) for kind, identifier in resources.items()], stack)

    @staticmethod
    def resource(kind: str, identifier: str, **rest: object) -> dict[str, Any]:
        """A resource as the state has it; `kind` as ops.pulumi.state calls it."""
        kind = getattr(states, kind)
        urn = f"urn:pulumi:dev::kong-doks::{kind}::{identifier}"
        return {"type": kind, "id": identifier, "urn": urn, "inputs": {}, "outputs": {}} | rest

    def state(
        self, resources: list[dict[str, Any]], stack: str = "", pending: list[dict[str, Any]] | None = None
    ) -> None:
        deployment = {"resources": resources, "pending_operations": pending or []}
        self.answers(f"stack export {stack}".strip(), {"version": 3, "deployment": deployment})

    @staticmethod
    def pending(kind: str, name: str) -> dict[str, Any]:
        """An interrupted creation as the state has it."""
        kind = getattr(states, kind)
        urn = f"urn:pulumi:dev::kong-doks::{kind}::it"
        return {"type": "creating", "resource": {"urn": urn, "type": kind, "inputs": {"name": name}}}

    def updated(self, begin: str, end: str | None, result: str = "failed", **config: str) -> None:
        """The one update in the stack's history, in ISO 8601, with its configuration."""
        entries = {f"kong-doks:{key}": {"value": value, "secret": False} for key, value in config.items()}
        update = {"kind": "update", "startTime": begin, "result": result, "config": entries}
        self.answers("stack history", [update | ({"endTime": end} if end else {})])

    def checkpointed(self, identifier: str) -> None:
        """An id in the checkpoint of an earlier update."""
        history = self.folder / ".pulumi" / "history" / "kong-doks" / "dev"
        history.mkdir(parents=True)
        (history / "dev-1.checkpoint.json").write_text(json.dumps({"resources": [{"id": identifier}]}))

    def is_forgotten(self) -> None:
        """The stack was removed, and what it had was not."""
        for answer in ("stack-history", "stack-export", "config---json"):
            (self.folder / f"{answer}.answer").unlink()

    def configure(self, **values: object) -> None:
        """Sets the stack's configuration, as `pulumi config --json` prints it."""
        project = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
        defaults = {key: schema["default"] for key, schema in project.items() if "default" in schema}
        foo = {"services": [{"name": "foo", "path": "/foo", "build": "apps/foo"}]}
        entries = {f"kong-doks:{key}": _entry(value) for key, value in (defaults | foo | values).items()}
        self.answers("config --json", entries)

    def ops(self, *arguments: str, typing: str = "") -> Done:
        with contextlib.chdir(self.folder):
            result = CliRunner(env=self.environment).invoke(app, arguments, input=typing)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert TOKEN not in result.output
        return Done(result.exit_code, result.stdout, result.stderr)

    def json(self, *arguments: str) -> Any:  # noqa: ANN401 -- JSON
        done = self.ops(*arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def api(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 -- JSON
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.request(
            method, f"{self.account.url}{path}", json=body, headers=headers, trust_env=False, timeout=PATIENCE
        )
        return answer.raise_for_status().json() if answer.content else None

    def own_cluster(self, **changes: object) -> str:
        """A cluster that the state has, and nothing else."""
        identifier = self.cluster(**changes)
        self.remembers(CLUSTER=identifier)
        return identifier

    def made_cluster(self, name: str) -> str:
        """Creates a cluster as the program does, without an entry in the state."""
        pool = {"name": f"{name}-default-pool", "size": "s-1vcpu-2gb", "count": 1, "tags": [DEFAULT_POOL_TAG]}
        return self.cluster(name=name, node_pools=[pool])

    def cluster(self, **changes: object) -> str:
        """Creates a cluster of another owner."""
        identifier: str = self.api("POST", "/v2/kubernetes/clusters", CLUSTER | changes)["kubernetes_cluster"]["id"]
        eventually(lambda: self.account.cloud.clusters.records[identifier].state == "running")
        return identifier

    def delete_cluster(self, identifier: str) -> None:
        """Deletes a cluster as the panel does, which leaves load balancers and volumes."""
        self.api("DELETE", f"/v2/kubernetes/clusters/{identifier}")
        eventually(lambda: identifier not in self.account.cloud.clusters.records)

    def load_balancer(self, cluster: str) -> str:
        body = {"name": "a1", "region": "nyc1", "type": "REGIONAL", "tags": [f"k8s:{cluster}"]}
        identifier: str = self.api("POST", "/v2/load_balancers", body)["load_balancer"]["id"]
        return identifier

    def volume(self, cluster: str, name: str = "pvc-1") -> str:
        body = {"name": name, "size_gigabytes": 100, "region": "nyc1", "tags": [f"k8s:{cluster}"]}
        identifier: str = self.api("POST", "/v2/volumes", body)["volume"]["id"]
        return identifier

    def vpc(self, name: str) -> str:
        """Creates a VPC of another owner."""
        body = {"name": name, "region": "nyc1", "ip_range": "10.120.0.0/20"}
        identifier: str = self.api("POST", "/v2/vpcs", body)["vpc"]["id"]
        return identifier

    def registry(self, name: str, tier: str = "basic") -> None:
        self.api("POST", "/v2/registries", {"name": name, "subscription_tier_slug": tier, "region": "nyc3"})

    def failed(self) -> dict[str, dict[str, Any]]:
        """The checks of preflight that failed, by name."""
        return {check["name"]: check for check in self.json("preflight")["checks"] if not check["ok"]}

    def billed(self) -> set[tuple[str, str]]:
        return {(thing["kind"], thing["id"]) for thing in self.json("bill")["things"]}

    def findings(self) -> list[dict[str, Any]]:
        findings: list[dict[str, Any]] = self.json("doctor")["findings"]
        return findings


def _entry(value: object) -> dict[str, object]:
    if isinstance(value, dict | list):
        return {"value": json.dumps(value), "objectValue": value, "secret": False}
    return {"value": json.dumps(value) if isinstance(value, bool) else str(value), "secret": False}
