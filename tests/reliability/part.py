"""The DigitalOcean part of the stack, by the real engine, beside an account without a Kubernetes: seconds an `up`."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.app import FAMILIES, create_app
from sandbox.digitalocean.faults import Fault
from sandbox.digitalocean.kubernetes.records import ClusterRecord
from sandbox.environment import install_plugins
from sandbox.host.paths import PROJECT
from sandbox.toolchain.build import tool
from tests.standins.digitalocean_provider.engine import TOKEN, Account
from tests.support import PATIENCE, eventually, run

# What __main__.py does until it needs a cluster that answers.
_PROGRAM = """
import pulumi
from infra.cluster.doks import DoksCluster
from infra.images.registry import DigitalOceanRegistry
from infra.loader import load_account, load_config
from infra.lookups import existing_registry, plan_cluster
config, account = load_config(), load_account()
registry = config.registry
existing = existing_registry(registry.name) if registry.existing else None
cluster = DoksCluster("cluster", config, account, plan_cluster(config, account))
DigitalOceanRegistry("registry", registry, existing)
pulumi.export("cluster_id", cluster.id)
pulumi.export("vpc_id", cluster.vpc_id)
pulumi.export("kubeconfig", cluster.kubeconfig)
"""
until = partial(eventually, pause=0.05)
QUIET = ("--yes", "--skip-preview", "--non-interactive")


class Part:
    """A stack `dev` in a folder of its own; `account` is all of its DigitalOcean, `backend` has its state (files)."""

    program = _PROGRAM

    def __init__(self, folder: Path, backend: str | None = None, account: Account | None = None) -> None:
        self.account = account or Account()
        self._cut: list[int] = []
        self.project = folder / "project"
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.project.mkdir()
        for name in ("infra", "ops", "apps"):
            # With bytecode, but for files of it that another process is writing.
            shutil.copytree(PROJECT / name, self.project / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        # The packages are this interpreter's, found on PATH.
        project = (PROJECT / "Pulumi.yaml").read_text()
        self.project.joinpath("Pulumi.yaml").write_text(project.replace("    virtualenv: .venv\n", ""))
        self.project.joinpath("__main__.py").write_text(self.program)
        home = folder / "home"
        install_plugins(home)
        path = [Path(sys.executable).parent, tool("pulumi").parent, tool("pulumi-language-python").parent]
        self.environment = {
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "HOME": str(folder),
            # Pulumi's Helm code leaves a kubeconfig there at each `up`.
            "TMPDIR": str(folder),
            "PULUMI_HOME": str(home),
            # Without metadata: a file of attributes is not written atomically, and a kill may leave it empty.
            "PULUMI_BACKEND_URL": backend or f"file://{self.state}?metadata=skip",
            # Needed where the backend is a bucket.
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The language host runs `pip list`, which looks for a newer pip in the package index.
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "DIGITALOCEAN_API_URL": self.account.url,
            "DIGITALOCEAN_TOKEN": TOKEN,
            "DIGITALOCEAN_HTTP_RETRY_WAIT_MIN": "0.05",
            "DIGITALOCEAN_HTTP_RETRY_WAIT_MAX": "0.1",
            "KONG_DOKS_SANDBOX_POLL_SECONDS": "0.1",
        }
        self.run("pulumi", "stack", "init", "dev")
        self.configure()

    def stop(self) -> None:
        # A provider doesn't notice that its command was killed.
        for group in self._cut:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.account.stop()

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(command, self.project, self.environment, check=check)

    def types(self, commands: str, *, answer: str = "", status: int = 0) -> str:
        """Runs commands in a shell as a person types them, who answers questions with `answer`; returns the output."""
        script = f"exec < <(printf %s '{answer}')\n{commands}" if answer else commands
        done = self.run("bash", "-euo", "pipefail", "-c", script, check=False)
        assert done.returncode == status, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("pulumi", "up", *QUIET, check=check)

    def destroy(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("pulumi", "destroy", *QUIET, check=check)

    def cut(
        self, command: str, number: int, when: Callable[[], bool], times: int = 1
    ) -> subprocess.CompletedProcess[str]:
        """Sends a signal to `pulumi up` or `destroy` as soon as something is true, and waits for its end."""
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                ["pulumi", command, *QUIET],
                cwd=self.project,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                # A terminal's Ctrl-C reaches the providers too; here only the command is cut.
                start_new_session=True,
            )
            self._cut.append(process.pid)
            until(lambda: when() or process.poll() is not None, seconds=300)
            for _ in range(times):
                process.send_signal(number)
                time.sleep(0.5)
            process.wait(300)
            said.seek(0)
            return subprocess.CompletedProcess(process.args, process.returncode, said.read())

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 -- JSON
        """Makes a call to the API beside Pulumi, as somebody does in DigitalOcean's panel."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.request(
            method, f"{self.account.url}/v2/{path}", json=body, headers=headers, trust_env=False, timeout=PATIENCE
        )
        return answer.raise_for_status().json() if answer.content else None

    def fault(self, **keys: Any) -> None:  # noqa: ANN401 -- a fault's own keys
        """Plants trouble for calls to come (see sandbox.digitalocean.faults)."""
        self.account.cloud.faults.append(Fault(**keys))

    @property
    def config(self) -> dict[str, Any]:
        """The stack file's configuration unless a test changes it."""
        return {"services": [{"name": "foo", "path": "/foo", "build": "apps/foo"}]}

    def configure(self, stack: str = "dev", **values: object) -> None:
        config = {f"kong-doks:{key}": value for key, value in (self.config | values).items()}
        file = self.project / f"Pulumi.{stack}.yaml"
        salt = yaml.safe_load(file.read_text())["encryptionsalt"]
        file.write_text(yaml.safe_dump({"encryptionsalt": salt, "config": config}))

    def scopes_used(self) -> set[str]:
        """The scopes that the calls so far needed."""
        needed = {
            f"{family.name}.{name.rpartition('.')[2]}": scopes
            for family in FAMILIES
            for name, scopes in family.scopes.items()
        }
        routes = create_app(self.account.cloud).url_map.bind("localhost")
        calls = [call for call in self.account.cloud.calls if call.path.startswith("/v2/")]
        return {scope for call in calls for scope in needed[routes.match(call.path, call.method)[0]]}

    def doctor(self) -> list[dict[str, Any]]:
        done = self.run("python", "-m", "ops", "doctor", "--json", check=False)
        # What ends Python ends with 1, too. 3: clusters here have no inside to look into.
        assert done.returncode in (0, 1, 3), done.stdout + done.stderr
        assert done.stdout, done.stderr
        findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        return findings

    def mend(self, until_typing: str = "") -> list[str]:
        """Runs the commands of `ops doctor` until it has no findings, or suggests only `until_typing`.

        Returns:
            What was typed.
        """
        typed: list[str] = []
        while findings := self.doctor():
            assert len(typed) < 10, f"no end of it: {typed} {findings}"
            # A finding without a command, such as a namespace that is being deleted, ends with another one.
            fixes = ([c for c in finding["fixes"][0] if c != until_typing] for finding in findings if finding["fixes"])
            commands = next(filter(None, fixes), None)
            if not commands:
                break
            for command in commands:
                typed.append(command)
                # Confirms questions.
                asks = {"pulumi up": " --yes --skip-preview"}
                asks |= {f"python -m ops {word} ": " --yes" for word in ("remove", "forget")}
                yes = next((words for start, words in asks.items() if command.startswith(start)), "")
                self.run("sh", "-c", command if "--yes" in command else command + yes)
        return typed

    def is_valid(self) -> bool:
        """True if each resource of the state comes after those that it names, and no two have one name."""
        seen: set[str] = set()
        for resource in self.resources():
            named = {resource.get("parent"), resource.get("deletedWith"), *(resource.get("dependencies") or [])}
            named |= {urn for group in (resource.get("propertyDependencies") or {}).values() for urn in group}
            named.add(resource.get("provider", "").rpartition("::")[0])
            if not named - {None, ""} <= seen or (resource["urn"] in seen and not resource.get("delete")):
                return False
            seen.add(resource["urn"])
        return True

    def resources(self) -> list[dict[str, Any]]:
        exported = json.loads(self.run("pulumi", "stack", "export").stdout)
        resources: list[dict[str, Any]] = exported["deployment"].get("resources") or []
        return resources

    def has(self, method: str, path: str) -> bool:
        """True if such a call has arrived."""
        return any(call.method == method and path in call.path for call in list(self.account.cloud.calls))

    def ends_at_zero(self) -> bool:
        """Destroys; returns whether state and account are empty, and `ops` agrees."""
        self.destroy()
        bill = self.run("python", "-m", "ops", "bill", "--expect-zero", "--wait", str(PATIENCE), check=False)
        cloud = self.account.cloud
        nothing = not cloud.clusters.records and not cloud.registries.documents and not cloud.droplets
        return bill.returncode == 0 and nothing and cloud.ledger.hourly == 0 and self.resources() == []

    def clusters_ever(self) -> int:
        return len({e.id for e in self.account.cloud.ledger.entries if e.kind == "kubernetes_cluster"})


def delete_default_pool(cloud: Cloud, record: ClusterRecord) -> None:
    """Deletes the cluster's own node pool by hand. DigitalOcean keeps the last one, so another one comes first."""
    (own,) = record.document["node_pools"]
    cloud.clusters.pools.add(record, {"name": "other", "size": "s-1vcpu-2gb", "count": 1})
    cloud.clusters.pools.delete(record, own)
    until(lambda: own not in record.document["node_pools"])
