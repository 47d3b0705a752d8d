"""All of the stack by the real engine, in an account whose cluster is a control plane without nodes."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import yaml

from sandbox.charts import repository as charts
from sandbox.host.paths import PROJECT
from sandbox.toolchain.build import tool
from tests.reliability.nodeless import Nodeless
from tests.reliability.part import Part
from tests.standins.digitalocean_provider.engine import Account


class _Repository(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Logs nothing."""


class Planned(Part):
    """The stack `dev` with a service, a policy and a consumer, for previews: its cluster would have no API server."""

    program = (PROJECT / "__main__.py").read_text()

    def __init__(self, folder: Path, account: Account | None = None) -> None:
        repository = charts.package(lambda _: None, folder / "charts")
        # Beside the index, wherever that is served.
        subprocess.run([tool("helm"), "repo", "index", repository], check=True)
        handler = functools.partial(_Repository, directory=str(repository))
        self._charts = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._charts.serve_forever, daemon=True).start()
        super().__init__(folder, account=account)
        shutil.copy(PROJECT / "Pulumi.README.md", self.project)

    @property
    def config(self) -> dict[str, Any]:
        example = yaml.safe_load((PROJECT / "examples" / "everything.yaml").read_text())["config"]
        foo = {"name": "foo", "path": "/foo", "image": "user/foo:0.1", "auth": "jwt", "allow": ["team-a"]}
        return {
            "namespace": "services",
            "services": [foo],
            "consumers": example["consumers"],
            "chartRepository": f"http://127.0.0.1:{self._charts.server_port}",
        }

    def stop(self) -> None:
        super().stop()
        self._charts.shutdown()


class Whole(Planned):
    """The stack on a cluster that has a control plane; `relay` is the way to it."""

    def __init__(self, folder: Path) -> None:
        self._nodeless = Nodeless(folder / "kubernetes", self._admits)
        self.relay = self._nodeless.relay
        account = Account(self._nodeless)
        # Beside a sandbox that runs, and another of these.
        account.cloud.load_balancers.addresses = [f"127.78.{os.getpid() % 250}.{host}" for host in range(10, 20)]
        account.settings.load_balancer_create = account.settings.load_balancer_delete = 0.5
        super().__init__(folder, account)

    def _admits(self, token: str) -> bool:
        return self.account.cloud.clusters.authenticate(token) is not None

    def kubectl(self, *arguments: str) -> str:
        """Calls the API server as its administrator, past the relay's cuts."""
        return self.run(str(tool("kubectl")), f"--kubeconfig={self._nodeless.kubeconfig}", *arguments).stdout

    def provide_kubectl(self) -> None:
        """Puts kubectl on the PATH of typed commands, with the administrator's kubeconfig, which they may change."""
        commands = self.project.parent / "commands"
        commands.mkdir()
        (commands / "kubectl").symlink_to(tool("kubectl"))
        kubeconfig = commands / "kubeconfig"
        kubeconfig.write_text(self._nodeless.kubeconfig.read_text())
        self.environment |= {
            "PATH": f"{commands}{os.pathsep}{self.environment['PATH']}",
            "KUBECONFIG": str(kubeconfig),
        }

    def stop(self) -> None:
        super().stop()
        self._nodeless.end()
