"""The timeline of an `up`, from the engine's events or the state."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from ops.cli import app, command
from ops.errors import UNCHECKED, OpsError
from ops.pulumi import state
from ops.pulumi.state import State
from ops.timeline import Step, critical_path, draw, last_update, longest, steps_of_events, steps_of_state

SVG = "{http://www.w3.org/2000/svg}"
BEGAN = datetime(2026, 11, 27, 8, 0, 0, tzinfo=UTC)


def urn(name: str) -> str:
    return f"urn:pulumi:dev::shop::kong-doks:a:B$x:y/z:Kind::{name}"


def resource(name: str, *needs: str, parent: str = "", custom: bool = True) -> dict[str, Any]:
    return {
        "urn": urn(name),
        "custom": custom,
        "dependencies": [urn(need) for need in needs],
        "parent": urn(parent) if parent else None,
    }


# The route needs the release by a component, and the image is beside everything.
RESOURCES = [
    resource("cluster"),
    resource("image"),
    resource("namespace", "cluster"),
    resource("gateway", "namespace", custom=False),
    resource("release", parent="gateway"),
    resource("route", "release", "image"),
]
TIMES = {
    "cluster": (0, 5),
    "image": (0, 7),
    "namespace": (5, 6),
    "gateway": (6, 6),
    "release": (9, 20),
    "route": (20, 22),
}


def events(operation: str = "create", *, planning: bool = False) -> Iterator[str]:
    moments = [(at, end, name) for name, span in TIMES.items() for end, at in enumerate(span)]
    yield json.dumps({"timestamp": 1000, "preludeEvent": {}})
    for at, end, name in sorted(moments):
        metadata = {"op": operation, "urn": urn(name), "new": {"custom": name != "gateway"}}
        kind = "resOutputsEvent" if end else "resourcePreEvent"
        yield json.dumps({"timestamp": 1000 + at, kind: {"metadata": metadata, "planning": planning}})


@pytest.fixture
def steps() -> dict[str, Step]:
    return steps_of_events(events(), RESOURCES)


def test_the_critical_path_is_the_chain_with_the_latest_end(steps: dict[str, Step]) -> None:
    assert [step.name for step in critical_path(steps)] == [
        "Kind cluster",
        "Kind namespace",
        "Kind release",
        "Kind route",
    ]


def test_dependencies_are_distinguished_from_other_waits(steps: dict[str, Step]) -> None:
    release = steps[urn("release")]
    assert release.needs == {urn("namespace")}
    assert (release.ready, release.start, release.end) == (6, 9, 20)


def test_the_longest_steps_are_listed_first(steps: dict[str, Step]) -> None:
    assert [step.name for step in longest(steps, 3)] == ["Kind release", "Kind image", "Kind cluster"]


def test_a_destroy_reverses_the_order() -> None:
    names = {step.urn: step.previous for step in steps_of_events(events("delete"), RESOURCES).values()}
    assert names[urn("route")] == ""
    assert names[urn("release")] == urn("route")


def test_the_state_alone_provides_the_end_times() -> None:
    resources = [
        resource | {"modified": f"2026-11-27T08:00:{TIMES[name][1]:02}.123456789Z"}
        for name, resource in zip(TIMES, RESOURCES, strict=True)
    ]
    resources.append(resource("older") | {"modified": "2026-11-27T07:00:00Z"})
    steps = steps_of_state(resources, BEGAN)
    assert [step.name for step in critical_path(steps)][-2:] == ["Kind release", "Kind route"]
    assert urn("older") not in steps
    assert (round(steps[urn("route")].start), round(steps[urn("route")].end)) == (20, 22)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["nonsense"], "not an event log: "),
        (['{"other": 1}'], "not an event log: "),
        (list(events(planning=True)), "no resource was changed; fix: "),
        (list(events("same")), "no resource was changed; fix: "),
    ],
)
def test_an_invalid_log_is_reported_in_one_line(lines: list[str], message: str) -> None:
    with pytest.raises(OpsError, match=message) as error:
        steps_of_events(lines, RESOURCES)
    assert "fix: " in str(error.value)


def picture(steps: dict[str, Step], title: str) -> ET.Element:
    return ET.fromstring(draw(steps, title))  # noqa: S314 -- drawn here


def test_the_picture_has_a_bar_for_each_steps_duration(steps: dict[str, Step]) -> None:
    groups = picture(steps, "dev").findall(f"{SVG}g")
    widths = {group.get("data-step"): float(group.findall(f"{SVG}rect")[1].get("width", "")) for group in groups}
    assert list(widths) == [step.name for step in steps.values()]
    second = widths["Kind route"] / 2
    for step in steps.values():
        assert widths[step.name] == pytest.approx(second * (step.end - step.start), abs=0.2)
    critical = [group.get("data-step") for group in groups if group.get("class") == "critical"]
    assert critical == [step.name for step in critical_path(steps)]


def test_the_picture_shows_what_each_step_waited_for(steps: dict[str, Step]) -> None:
    svg = picture(steps, "dev <&>")
    titles = [title.text for title in svg.iter(f"{SVG}title")]
    assert "create Kind route: 2.0 s after Kind release" in titles
    assert "dev <&>" in [text.text for text in svg.iter(f"{SVG}text")]


class Stack:
    """A stack whose last complete `up` is older than ten other updates."""

    name = "dev"

    def __init__(self, *_: object) -> None:
        self.updates = [{"kind": "refresh", "result": "succeeded", "startTime": "2026-11-28T00:00:00Z"}] * 10
        self.updates += [{"kind": "update", "result": "succeeded", "startTime": BEGAN.isoformat()}]

    def pulumi(self, *arguments: str) -> str:
        """Prints as many updates as Pulumi does: ten, unless it is told how many."""
        sizes = [argument.removeprefix("--page-size=") for argument in arguments if argument.startswith("--page-size=")]
        return json.dumps(self.updates[: int(*sizes or (10,))])

    def pulumi_json(self, *arguments: str) -> Any:  # noqa: ANN401 -- JSON
        return json.loads(self.pulumi(*arguments))


def test_the_last_up_is_found_behind_many_other_updates() -> None:
    assert last_update(Stack()) == BEGAN  # type: ignore[arg-type]


def test_a_picture_or_a_log_that_is_no_file_is_reported_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "Stack", Stack)
    monkeypatch.setattr(state, "read", lambda _: State(RESOURCES, []))
    log, picture = tmp_path / "events", tmp_path / "nowhere" / "timeline.svg"
    log.write_text("\n".join(events()))
    done = CliRunner().invoke(app, ["timeline", str(log), "--output", str(picture)])
    assert (done.exit_code, done.stderr) == (
        UNCHECKED,
        f"{picture}: No such file or directory; fix: --output with a file that can be written\n",
    )
    assert CliRunner().invoke(app, ["timeline", str(tmp_path)]).exit_code == 2
