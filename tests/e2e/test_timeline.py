"""The timeline of a real `up`, as a browser shows it."""

import json
from pathlib import Path

import pytest

from tests.pictures.browser import evaluated
from tests.reliability.part import QUIET
from tests.reliability.whole import Whole

pytestmark = pytest.mark.soak

# For each step its name, its place and whether it is critical, in pixels as they are shown.
_STEPS = """[...document.querySelectorAll("g")].map(group => {
  const bar = group.querySelectorAll("rect")[1].getBoundingClientRect();
  return [group.dataset.step, bar.left, bar.right, group.classList.contains("critical")];
})"""


def shown(picture: str) -> list[tuple[str, float, float, bool]]:
    return [tuple(step) for step in evaluated(f"<!doctype html><title></title><body>{picture}", _STEPS)]


def test_the_timeline_renders_in_a_browser(tmp_path: Path) -> None:
    whole = Whole(tmp_path)
    try:
        whole.environment["PULUMI_DEBUG_COMMANDS"] = "true"
        whole.run("pulumi", "up", *QUIET, "--event-log", "events.json")
        said = whole.run("python", "-m", "ops", "timeline", "events.json", "--json").stdout
        picture = (whole.project / "timeline.svg").read_text()
        # The same from the state alone.
        whole.run("python", "-m", "ops", "timeline", "--output", "state.svg")
    finally:
        whole.stop()
    steps = {name: (left, right) for name, left, right, _ in shown(picture)}
    assert {"KubernetesCluster cluster", "Release kong", "Ingress foo"} <= steps.keys()
    # Kong waits for the cluster, and the route for Kong.
    assert steps["KubernetesCluster cluster"][1] <= steps["Release kong"][0] + 2
    assert steps["Release kong"][1] <= steps["Ingress foo"][0] + 2
    critical = [name for name, _, _, is_critical in shown(picture) if is_critical]
    assert critical == [step["name"] for step in json.loads(said)["critical_path"]]
    assert len(json.loads(said)["longest"]) == 10
    assert shown((whole.project / "state.svg").read_text())
