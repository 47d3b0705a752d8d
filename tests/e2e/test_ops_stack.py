"""The commands see the stack that Pulumi sees: which one, under which name, with which configuration."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.reliability.part import Part


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    part = Part(tmp_path_factory.mktemp("part"))
    yield part
    part.stop()


def write(part: Part, config: str, stack: str = "dev") -> None:
    """Replaces what a stack's file says beside its salt."""
    file = part.project / f"Pulumi.{stack}.yaml"
    salt = yaml.safe_load(file.read_text())["encryptionsalt"]
    file.write_text(f"encryptionsalt: {salt}\nconfig:\n{config}")


def ops(part: Part, *arguments: str) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(part.run("python", "-m", "ops", *arguments, "--json", check=False).stdout)


def checks(part: Part, *arguments: str) -> dict[str, str]:
    return {check["name"]: check["said"] for check in ops(part, "preflight", *arguments)["checks"]}


@pytest.mark.parametrize("prefix", ["", "kong-doks:"])
def test_keys_with_and_without_the_projects_name_are_the_same(part: Part, prefix: str) -> None:
    write(part, f"  {prefix}nodeCount: 3\n  {prefix}clusterName: other\n  {prefix}proxyServiceType: ClusterIP\n")
    assert ops(part, "cost")["monthly"] == 36
    assert checks(part)["clusterName"] == "other is free"


def test_an_unquoted_no_is_a_string_as_in_pulumi(part: Part) -> None:
    write(part, "  clusterName: no\n")
    assert checks(part)["clusterName"] == "no is free"


def test_a_duplicate_key_is_refused_as_by_pulumi(part: Part) -> None:
    write(part, "  nodeCount: 2\n  nodeCount: 3\n")
    done = part.run("python", "-m", "ops", "cost", check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert "nodeCount" in done.stderr


def test_an_invalid_value_has_the_programs_error_message(part: Part) -> None:
    write(part, "  nodeCount: -5\n  rateLimt: 1\n")
    preview = part.run("pulumi", "preview", "--non-interactive", check=False)
    done = part.run("python", "-m", "ops", "cost", check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 2)
    for line in done.stderr.splitlines():
        assert line in preview.stdout + preview.stderr


def test_configuration_secrets_are_never_printed(part: Part) -> None:
    write(part, "  nodeCount: 1\n")
    part.run("pulumi", "config", "set", "--secret", "digitalocean:token", part.environment["DIGITALOCEAN_TOKEN"])
    token = part.environment.pop("DIGITALOCEAN_TOKEN")
    try:
        done = part.run("python", "-m", "ops", "bill")
        assert token not in done.stdout + done.stderr
        part.environment["PULUMI_CONFIG_PASSPHRASE"] += " and more"
        done = part.run("python", "-m", "ops", "bill", check=False)
        assert (done.returncode, "incorrect passphrase" in done.stderr) == (3, True)
    finally:
        part.environment |= {"DIGITALOCEAN_TOKEN": token, "PULUMI_CONFIG_PASSPHRASE": "test"}


def test_commands_use_the_selected_stack_and_name_it(part: Part) -> None:
    write(part, "  nodeCount: 1\n")
    part.run("pulumi", "stack", "init", "prod.eu.west")
    write(part, "  nodeCount: 2\n  clusterName: prod\n  proxyServiceType: ClusterIP\n", "prod.eu.west")
    assert part.run("python", "-m", "ops", "bill").stdout == "stack prod.eu.west: nothing is billed\n"
    assert (ops(part, "cost")["stack"], ops(part, "cost")["monthly"]) == ("prod.eu.west", 24)
    assert ops(part, "cost", "--stack", "dev")["stack"] == "dev"
    part.environment["PULUMI_STACK"] = "dev"
    assert ops(part, "doctor")["stack"] == "dev"
    assert ops(part, "doctor", "--stack", "prod.eu.west")["stack"] == "prod.eu.west"
    del part.environment["PULUMI_STACK"]
    part.run("pulumi", "stack", "select", "dev")


def test_a_qualified_stack_name_is_accepted_as_by_pulumi(part: Part) -> None:
    write(part, "  nodeCount: 2\n  proxyServiceType: ClusterIP\n")
    name = "organization/kong-doks/dev"
    assert ops(part, "cost", "--stack", name)["monthly"] == 24
    assert ops(part, "doctor", "--stack", name) == {"stack": name, "findings": [], "notes": [], "not_read": []}


@pytest.mark.parametrize("name", ["prod", "organization/kong-doks/prod"])
def test_a_stack_unknown_to_pulumi_is_never_zero(part: Part, name: str) -> None:
    done = part.run("python", "-m", "ops", "bill", "--expect-zero", "--stack", name, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
    assert done.stderr.startswith(f"stack {name}: Pulumi has no such stack; allowed: dev")


def test_a_config_file_chosen_by_environment_is_read_as_by_pulumi(part: Part) -> None:
    write(part, "  clusterName: here\n  proxyServiceType: ClusterIP\n")
    text = (part.project / "Pulumi.dev.yaml").read_text()
    (part.project / "elsewhere.yaml").write_text(text.replace("clusterName: here", "clusterName: there"))
    part.environment["PULUMI_OPTION_CONFIG_FILE"] = "elsewhere.yaml"
    try:
        assert checks(part)["clusterName"] == "there is free"
    finally:
        del part.environment["PULUMI_OPTION_CONFIG_FILE"]
    assert checks(part)["clusterName"] == "here is free"


@pytest.mark.parametrize(
    ("folder", "option"),
    [("infra/config/..", ""), ("docs", ""), ("..", "project"), ("docs", "../examples")],
)
def test_the_project_is_found_from_where_pulumi_finds_it(part: Part, folder: str, option: str) -> None:
    write(part, "  nodeCount: 3\n")
    (part.project / "docs").mkdir(exist_ok=True)
    (part.project / "examples").mkdir(exist_ok=True)
    option = f"PULUMI_OPTION_CWD={option} " if option else ""
    pulumi = part.run("sh", "-c", f"cd {folder} && {option}pulumi config get nodeCount")
    # -P: a module of the folder hides none of Python's.
    done = part.run("sh", "-c", f"cd {folder} && {option}PYTHONPATH={part.project} python -P -m ops cost --json")
    assert (pulumi.stdout, json.loads(done.stdout)["monthly"]) == ("3\n", 48)


def test_a_folder_outside_of_the_project_is_named(part: Part) -> None:
    done = part.run("sh", "-c", f"cd / && PYTHONPATH={part.project} python -m ops cost", check=False)
    assert (done.returncode, done.stderr) == (
        3, "Pulumi.yaml: not in / nor above; fix: run this in the project's folder\n"
    )  # fmt: skip
