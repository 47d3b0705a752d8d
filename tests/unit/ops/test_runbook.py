"""The runbook has a section for each finding of the doctor, and the tests that it names exist."""

import re
from collections import Counter

import pytest

from ops.doctor.findings import FindingId
from tests.unit.configurations import PROJECT

RUNBOOK = (PROJECT / "docs" / "reference" / "failures.md").read_text()
FINDINGS, OTHERS = re.split(r"^## Failures without a finding$", RUNBOOK, flags=re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    sections = re.split(r"^### (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(sections[::2], sections[1::2], strict=True))


def test_findings_and_runbook_sections_match() -> None:
    assert list(sections(FINDINGS)) == [problem.value for problem in FindingId]


@pytest.mark.parametrize("finding", FindingId)
def test_a_section_has_symptom_cause_commands_and_tests(finding: FindingId) -> None:
    named = re.findall(r"^- \*\*(\w+)\*\*: \S", sections(FINDINGS)[finding.value], re.MULTILINE)
    assert named == ["Symptom", "Cause", "Type", "Tests"]


def test_every_test_that_the_runbook_names_exists_once() -> None:
    tests = [
        re.sub(r"`", "", name) for line in re.findall(r"\*\*Tests\*\*: (.+)", RUNBOOK) for name in line.split(", ")
    ]
    assert len(tests) > len(FindingId)
    sources = [path.read_text() for path in (PROJECT / "tests").rglob("test_*.py")]
    there = Counter(name for source in sources for name in re.findall(r"^def test_(\w+)\(", source, re.MULTILINE))
    assert {name: there[name] for name in tests if there[name] != 1} == {}


def test_every_finding_has_a_check() -> None:
    checks = "".join(path.read_text() for path in (PROJECT / "ops" / "doctor").glob("*checks.py"))
    assert [problem.name for problem in FindingId if f"FindingId.{problem.name}" not in checks] == []
