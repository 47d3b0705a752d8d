"""The policy pack by the real engine, with the commands that its guide shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pages import Guide
from tests.e2e.policy_pack import add_policy_pack
from tests.reliability.whole import Planned, Whole


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[Planned]:
    planned = Planned(tmp_path)
    add_policy_pack(planned)
    yield planned
    planned.stop()


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    whole = Whole(tmp_path)
    add_policy_pack(whole)
    yield whole
    whole.stop()


def violated(printed: str) -> set[tuple[str, str]]:
    """The rules that a command has named, each with its level."""
    return {(rule, level) for level, rule in re.findall(r"\[(advisory|mandatory)\]\s+([\w-]+)", printed)}


def test_the_guide_to_policies_works_as_typed(planned: Planned) -> None:
    with Guide("how-to/write-a-policy.md") as guide:
        planned.types(guide.commands())
        preview = guide.commands()
        by_tag = ("image-without-digest", "advisory")
        assert violated(planned.types(preview)) == {by_tag}

        (configuration,) = guide.shown("json")
        (planned.project / "policies.json").write_text(configuration)
        printed = planned.types(guide.commands(), status=1)
        assert violated(printed) == {by_tag, ("over-budget", "mandatory")}
        (shown,) = guide.shown("")
        assert all(line in printed for line in shown.splitlines())

        function, entry = guide.shown("python")
        rules, main = (planned.project / "policy" / name for name in ("rules.py", "__main__.py"))
        rules.write_text(f"{rules.read_text()}\n\n{function}")
        before = "\n        _whole_stack(\n"
        main.write_text(main.read_text().replace(before, f"\n{entry.rstrip()},{before}", 1))
        assert violated(planned.types(preview, status=1)) == {by_tag, ("single-node", "mandatory")}


@pytest.mark.soak
def test_an_update_that_would_replace_the_cluster_is_refused(whole: Whole) -> None:
    whole.types(Guide("how-to/write-a-policy.md").commands())
    update = "pulumi up --yes --skip-preview --policy-pack policy"
    whole.types(update)
    whole.configure(nodeSize="s-2vcpu-4gb", allowReplace=True)
    assert ("cluster-replacement", "mandatory") in violated(whole.types(update, status=1))
    assert whole.clusters_ever() == 1
    # Unchanged after the refusal: nothing is left to do.
    whole.configure()
    assert "39 unchanged" in whole.types(update)
