"""The tutorial of the sandbox, typed in a checkout of its own: `make up` to `make down`."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from sandbox.host.paths import PROJECT
from tests.e2e.pages import Guide
from tests.e2e.stack import copy_checkout, stack_file


class Checkout:
    """A copy of the checkout, in which a person types."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_checkout(folder)  # with the files' times: `make` installs nothing
        (folder / ".venv").symlink_to(PROJECT / ".venv")

    def types(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=os.environ | {"PULUMI_SKIP_CONFIRMATIONS": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.mark.soak
@pytest.mark.last(7)
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("sandbox")
def test_the_tutorial_of_the_sandbox_works_as_typed(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.types("make down")  # the sandbox of the tests before
    with Guide("tutorials/offline-in-the-sandbox.md") as guide:
        printed = checkout.types(guide.commands())
        (shown,) = guide.shown("")
        assert [line for line in shown.splitlines() if line not in printed.splitlines()] == []
        (source,) = re.findall(r"^source \S+$", printed, re.MULTILINE)[:1]
        assert "service/kong-proxy" in checkout.types(f"{source}\n{guide.commands()}")

        (entry,) = yaml.safe_load(guide.shown("yaml")[0])
        file = checkout.folder / "Pulumi.sandbox.yaml"
        document = stack_file(file)
        document["config"]["services"].append(entry)
        file.write_text(yaml.safe_dump(document))
        copy, _, rest = guide.commands().partition("\n")
        checkout.types(copy)
        app = checkout.folder / "apps" / "hello" / "app.py"
        app.write_text(app.read_text().replace('"/foo"', '"/hello"'))
        up, _, requests = rest.partition("\n")
        checkout.types(f"{source}\n{up}")
        # The requests belong into one window of the limit, after Kong has received the route.
        time.sleep(4 if time.time() % 60 < 40 else 64 - time.time() % 60)
        assert checkout.types(requests).split() == ["200"] * 5 + ["429"]

        checkout.types("make down")
        assert "Pulumi.sandbox-auth.yaml" in checkout.types(guide.commands())
        assert "billed now: 0.00000 USD an hour" in checkout.types(guide.commands())
