"""The Pulumi CLI."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ops.digitalocean import one_line
from ops.errors import OpsError

_FIXES = {
    "failed to load checkpoint: EOF": "python -m ops doctor",
    "invalid YAML file": "correct the stack's file, Pulumi.<stack>.yaml; git diff shows what changed",
    "organization name must be": "--stack with a name of `pulumi stack ls`",
    "unable to open bucket": "pulumi login with the backend that has the stack, or correct PULUMI_BACKEND_URL",
    "request send failed": "reach the state's backend from this machine; `pulumi whoami --verbose` shows which it is",
    "passphrase": "export PULUMI_CONFIG_PASSPHRASE=... with the stack's passphrase",
}
"""The fix, by a part of Pulumi's error."""


class PulumiError(OpsError):
    """A pulumi command failed."""


def project_folder() -> Path:
    """Returns the folder of the project as Pulumi finds it: this one, or the nearest above it with a Pulumi.yaml.

    PULUMI_OPTION_CWD is the variable of Pulumi's option --cwd, from where Pulumi then starts.
    """
    try:
        start = Path(os.environ.get("PULUMI_OPTION_CWD") or ".").resolve()
    except FileNotFoundError:  # the folder was deleted
        return Path()
    return next((folder for folder in (start, *start.parents) if (folder / "Pulumi.yaml").is_file()), start)


class Cli:
    """Runs pulumi commands in a project's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pulumi(self, *arguments: str) -> str:
        """Runs a pulumi command and returns what it prints.

        Raises:
            PulumiError: it failed, or isn't installed.
        """
        command = ["pulumi", *arguments, "--non-interactive"]
        # A relative folder would count from the project's folder.
        environment = {name: value for name, value in os.environ.items() if name != "PULUMI_OPTION_CWD"}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except FileNotFoundError:
            raise PulumiError("pulumi: not on PATH; fix: install it (https://www.pulumi.com/docs/install/)") from None
        except OSError as error:
            raise PulumiError(f"pulumi: {error.strerror}; fix: see what `command -v pulumi` finds") from None
        if done.returncode:
            problem = one_line(done.stderr or done.stdout)
            fix = next((f"; fix: {fix}" for part, fix in _FIXES.items() if part in problem), "")
            raise PulumiError(f"{' '.join(command)}: {problem}{fix}")
        return done.stdout

    def pulumi_json(self, *arguments: str) -> Any:  # noqa: ANN401 -- JSON
        """Runs a pulumi command that prints JSON.

        Raises:
            PulumiError: as for `pulumi`; also if the output isn't JSON.
        """
        printed = self.pulumi(*arguments)
        try:
            return json.loads(printed)
        except ValueError:
            raise PulumiError(f"pulumi {' '.join(arguments)}: prints no JSON; fix: see `pulumi version`") from None
