"""python -m tests.pictures: draws the pictures that need nothing running, or what a command prints in a terminal."""

import subprocess
import sys
from pathlib import Path

from tests.pictures import graph, terminal
from tests.unit.configurations import PROJECT, shared
from tests.unit.conftest import recorded

FOLDER = PROJECT / "docs" / "pictures"


def drawn() -> dict[Path, str]:
    """The pictures of the tutorial's stack, by file."""
    recording = recorded(shared("dev"))["dev"]
    return {
        FOLDER / "resource-graph.svg": graph.resource_graph(recording),
        FOLDER / "architecture.svg": graph.architecture(recording),
    }


def main(arguments: list[str]) -> None:
    """Without arguments, draws the graphs; with a name and a command, runs the command and draws what it prints."""
    FOLDER.mkdir(exist_ok=True)
    if not arguments:
        for path, svg in drawn().items():
            path.write_text(svg)
        return
    name, *command = arguments
    done = subprocess.run(
        command, cwd=PROJECT, env=terminal.environment(), check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    sys.stdout.buffer.write(done.stdout)
    (FOLDER / f"{name}.svg").write_text(terminal.picture(" ".join(command), done.stdout.decode()))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
