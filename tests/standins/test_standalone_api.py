"""The API alone, as its page shows it: with curl, with pydo, and with Pulumi's engine."""

import subprocess
import sys
from pathlib import Path

from sandbox.host.paths import PROJECT
from tests.e2e.pages import Guide
from tests.reliability.part import Part
from tests.support import free_port


def test_the_guide_to_the_api_works_as_typed_and_prints_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(PROJECT / ".venv")
    (tmp_path / "sandbox").symlink_to(PROJECT / "sandbox")
    (tmp_path / "infra").symlink_to(PROJECT / "infra")
    port = free_port()
    with Guide("how-to/test-against-the-api.md") as guide:
        start, first, bill, failures = (guide.commands() for _ in range(4))
        stop = guide.commands()
        (tmp_path / "script.py").write_text(guide.shown("python")[0].replace("7070", str(port)))
        script = f"{start}{first}\n.venv/bin/python script.py\n{bill}{failures}{stop}".replace("7070", str(port))
        shown = "".join(guide.shown("")).replace("7070", str(port)).splitlines()
    done = subprocess.run(
        ["bash", "-c", f"set -meo pipefail\n{script}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [*shown[:3], "mycluster provisioning", *shown[3:]]


def test_pulumi_deploys_to_and_destroys_on_the_standalone_api(tmp_path: Path) -> None:
    """Runs a program with the sandbox's provider, as a user would."""
    port = free_port()
    command = [sys.executable, "-m", "sandbox.digitalocean", "--port", str(port)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as api:
        assert api.stdout
        _, token = api.stdout.readline(), api.stdout.readline().partition(" ")[2].strip()
        part = Part(tmp_path)
        try:
            part.environment |= {"DIGITALOCEAN_API_URL": f"http://127.0.0.1:{port}", "DIGITALOCEAN_TOKEN": token}
            part.up()
            part.destroy()
            assert part.resources() == []
            assert list(part.account.cloud.calls) == []
        finally:
            part.stop()
            api.terminate()
