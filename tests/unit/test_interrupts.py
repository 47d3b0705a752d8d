"""How the program ends when Pulumi interrupts it."""

import subprocess
import sys

import pytest

from tests.unit.configurations import PROJECT


@pytest.mark.parametrize(("error", "expected"), [("KeyboardInterrupt", []), ("ValueError", ["ValueError: 1"])])
def test_only_an_interrupt_has_no_traceback(error: str, expected: list[str]) -> None:
    program = f"from infra.interrupts import hide_interrupts; hide_interrupts(); raise {error}(1)"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1:] == expected
