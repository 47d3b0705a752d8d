"""The Pulumi CLI."""

import json
import subprocess
from pathlib import Path
from typing import Any

from ops.digitalocean import one_line
from ops.errors import OpsError

_UNREADABLE = "failed to load checkpoint: EOF"


class PulumiError(OpsError):
    """A pulumi command failed."""


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
        try:
            done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise PulumiError("pulumi: not on PATH; fix: install it (https://www.pulumi.com/docs/install/)") from None
        except OSError as error:
            raise PulumiError(f"pulumi: {error.strerror}; fix: see what `command -v pulumi` finds") from None
        if done.returncode:
            problem = one_line(done.stderr or done.stdout)
            fix = "; fix: python -m ops doctor" if _UNREADABLE in problem else ""
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
