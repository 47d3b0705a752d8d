"""python -m tests.bench.checkpoints: what Pulumi's checkpoints cost, without a provider, a cluster or this stack.

A program of components that do nothing, with a state as large as that of as many objects of services: `up` and
`destroy` with the state written before and after each step, and only at the end (PULUMI_SKIP_CHECKPOINTS).
"""

import argparse
import tempfile
import time
from pathlib import Path

from tests.reliability.part import QUIET, Part

BYTES = 5_000
"""Bytes of the state of one resource of a service."""


class Components(Part):
    """A stack of components without children."""

    program = f"""
import pulumi
class Component(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("bench:index:Component", name, {{}}, None)
        self.register_outputs({{"text": "x" * {BYTES}}})
for number in range(pulumi.Config().require_int("nodeCount")):
    Component(f"component-{{number}}")
"""

    def seconds(self, command: str, *, checkpoints: bool) -> float:
        self.environment["PULUMI_SKIP_CHECKPOINTS"] = str(not checkpoints).lower()
        began = time.monotonic()
        self.run("pulumi", command, *QUIET)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resources", type=int, nargs="*", default=[100, 500], help="how many, one stack for each")
    chosen = parser.parse_args()
    print("| resources | command | seconds | without checkpoints |", "|---|---|---|---|", sep="\n")
    for resources in chosen.resources:
        with tempfile.TemporaryDirectory(prefix="kong-doks-bench-") as folder:
            stack = Components(Path(folder))
            stack.configure(nodeCount=resources)
            try:
                figures = {
                    checkpoints: {
                        command: stack.seconds(command, checkpoints=checkpoints) for command in ("up", "destroy")
                    }
                    for checkpoints in (True, False)
                }
            finally:
                stack.stop()
        for command, took in figures[True].items():
            print(f"| {resources} | `{command}` | {took:.1f} | {figures[False][command]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
