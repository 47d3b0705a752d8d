"""The reference page of the outputs lists what the program exports."""

import re

from tests.unit.configurations import PROJECT, shared
from tests.unit.conftest import Recording

CONFIGURATIONS = {
    **shared("policies", "local", "domain on an own cluster", "example monitoring"),
    "own VPC": {"stack": "dev", "config": {"kong-doks:vpc": {"name": "shop"}}},
}
PAGE = (PROJECT / "docs" / "reference" / "outputs.md").read_text()


def test_the_page_lists_every_output_and_no_other(recordings: dict[str, Recording]) -> None:
    first_cells = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| `")]
    listed = {name for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}
    exported = {name for recording in recordings.values() for name in recording.outputs}
    urls = {name for name in exported if name.endswith("_url") and name != "proxy_url"}
    assert listed == exported - urls | {"<service>_url"}


def test_the_page_says_which_outputs_are_secret(recordings: dict[str, Recording]) -> None:
    secret = {
        name
        for recording in recordings.values()
        for name, value in recording.outputs.items()
        if isinstance(value, dict) and "secret" in value
    }
    assert secret == set(re.findall(r"^\| `(\w+)` \(secret\)", PAGE, re.MULTILINE))
