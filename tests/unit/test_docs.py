"""The documentation: links resolve, named files and commands exist, generated pages are current."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from docs import generate
from docs.links import external
from infra.config import versions
from infra.config.settings import Settings
from ops.cli import app
from tests.unit.configurations import PROJECT
from tests.unit.record import STACKS, TUTORIAL

PAGES = sorted(
    path.relative_to(PROJECT) for path in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")] if path.is_file()
)
ROOMS = ("apps", "docs", "examples", "infra", "ops", "policy", "sandbox", "tests")
FILES_OF_A_READER = {"apps/hello"}
"""Named in guides, created by the reader."""
DONE_BY_A_READER = {"apps/hello": "apps/foo", "jwt: {}": f"jwt: {{secret: {'s' * 32}}}"}
"""Replacements in the configuration of a guide: the app that is copied, the secret that a command sets."""


def text_of(page: Path) -> str:
    return (PROJECT / page).read_text()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    """Links to other pages and files; those to the web are not tried."""
    links = re.findall(r"\]\(([^)\s]+)\)", text_of(page))
    return (link for link in links if not link.startswith(("http:", "https:")))


def test_make_links_checks_links_and_images_on_the_web_and_no_url_in_code() -> None:
    text = "[![badge](https://a.example/b.svg)](https://a.example/c) [page](../b.md) `http://d.example` <https://e.example>"
    block = "\n\n```sh\ncurl http://f.example\n```\n\n[g]\n\n[g]: http://g.example/#h\n"
    expected = {"https://a.example/b.svg", "https://a.example/c", "https://e.example", "http://g.example/#h"}
    assert external(text + block) == expected


def test_the_pages_are_found() -> None:
    assert {Path("README.md"), Path("docs/reference/policies.md"), Path("docs/adr/README.md")} <= {*PAGES}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (PROJECT / page.parent / file).resolve() if file else PROJECT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.relative_to(PROJECT)), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w./*-]*|\w+\.(?:md|py|in|toml|yaml))`", text_of(page))
    missing = [name for name in named if name not in FILES_OF_A_READER and not [*PROJECT.glob(name)]]
    files = {path.name for room in ROOMS for path in (PROJECT / room).rglob("*") if path.is_file()}
    assert [name for name in missing if name not in files] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", text_of(page), re.MULTILINE)) <= {*targets}
    names = {
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
        if command.callback
    }
    assert set(re.findall(r"python -m ops ([a-z-]+)", text_of(page))) <= names
    modules = re.findall(r"python -m ((?:tests|docs|sandbox)[\w.]*)", text_of(page))
    for module in modules:
        path = PROJECT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: page.name)
def test_a_generated_page_is_current(page: Path) -> None:
    assert page.read_text() == generate.pages()[page], "run `make docs`"


EXAMPLES = sorted(PROJECT.glob("examples/*.yaml"))
STACK_FILES_HERE = [PROJECT / f"Pulumi.{stack}.yaml" for stack in STACKS]


@pytest.mark.parametrize("file", [*EXAMPLES, *STACK_FILES_HERE], ids=lambda file: file.name)
def test_an_editor_finds_the_schema_of_a_stack_file(file: Path) -> None:
    (schema,) = re.findall(r"\A# yaml-language-server: \$schema=(\S+)\n", file.read_text())
    assert (file.parent / schema).resolve() == generate.SCHEMA


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_editor_accepts_every_example(file: Path) -> None:
    jsonschema.validate(yaml.safe_load(file.read_text()), json.loads(generate.SCHEMA.read_text()))


@pytest.mark.parametrize("stack", STACKS)
def test_an_editor_accepts_the_stacks_of_the_project(stack: str) -> None:
    jsonschema.validate({"config": STACKS[stack]}, generate.stack_file_schema())


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"nodeCuont": 2}, "nodeCuont"),
        ({"nodeCount": "many"}, "is not of type 'integer'"),
        ({"services": [{"name": "foo", "path": "foo"}]}, "does not match"),
        ({"services": [{"name": "foo", "path": "/foo", "env": {"THREADS": 4}}]}, "4 is not valid under any"),
        ({"services": [{"name": "foo", "path": "/foo", "auht": "jwt"}]}, "auht"),
        ({"consumers": [{"name": "alice", "apiKey": "short"}]}, "is too short"),
    ],
)
def test_an_editor_marks_an_error(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=problem):
        jsonschema.validate({"config": config}, generate.stack_file_schema())


def test_an_editor_accepts_encrypted_values_and_keys_of_other_namespaces() -> None:
    encrypted = {"secure": "v1:x"}
    service = {"name": "foo", "path": "/foo", "build": "apps/foo", "env": {"PASSWORD": encrypted, "THREADS": "4"}}
    consumer = {"name": "alice", "apiKey": encrypted, "jwt": {"secret": encrypted}}
    config = {"digitalocean:token": encrypted, "services": [service], "consumers": [consumer]}
    jsonschema.validate({"config": config, "encryptionsalt": "v1:x"}, generate.stack_file_schema())


def test_the_readme_fits_on_150_lines_and_its_badges_are_true() -> None:
    readme = text_of(Path("README.md"))
    assert len(readme.splitlines()) <= 150
    assert f"Kong-{versions.KONG.rpartition('.')[0]}_open_source" in readme
    assert f"DOKS-{versions.KUBERNETES}-" in readme


def test_the_documentation_map_links_every_page() -> None:
    linked = {(Path("docs") / link).as_posix() for link in links(Path("docs/README.md"))}
    pages = {page.as_posix() for page in PAGES if page.parts[0] == "docs" and page.parts[1] != "adr"}
    assert pages - linked == {"docs/README.md"}


@pytest.mark.parametrize("model", ["Service", "GatewayPolicies"])
def test_every_key_of_services_and_gateway_has_a_description(model: str) -> None:
    keys = Settings.model_json_schema(by_alias=True)["$defs"][model]["properties"]
    explained = text_of(Path("docs/reference/policies.md")) + text_of(Path("docs/reference/services.md"))
    assert [key for key in keys if not re.search(rf"`[^`]*\b{key}\b[^`]*`", explained)] == []


def test_a_default_that_depends_on_other_keys_stands_in_the_column_of_defaults() -> None:
    rows = re.findall(
        r"^\| `preStop` \| (.*?) \| (.*?) \|", text_of(Path("docs/reference/configuration.md")), re.MULTILINE
    )
    assert {*rows} == {("5, with several pods 10", "0 to 600 seconds that a pod serves on before SIGTERM")}


GUIDES = [page for page in PAGES if page.parts[:2] in {("docs", "tutorials"), ("docs", "how-to")}]


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_the_commands_of_every_guide_are_tested(page: Path) -> None:
    tests = "".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))
    is_typed = f'Guide("{page.relative_to("docs")}")' in tests
    assert is_typed == ("```sh\n" in text_of(page))


STACK_FILES = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"^```yaml\n(.*?)^```$", text_of(page), re.DOTALL | re.MULTILINE)
    if not block.startswith("apiVersion:")
]


def test_stack_files_are_found_in_the_pages() -> None:
    assert {Path("README.md"), Path("docs/how-to/add-a-service.md")} <= {page for page, _ in STACK_FILES}


@pytest.mark.parametrize(
    ("page", "block"), STACK_FILES, ids=lambda value: str(value) if isinstance(value, Path) else ""
)
def test_the_configuration_that_a_page_shows_is_accepted(page: Path, block: str) -> None:
    assert page in PAGES
    for shown, done in DONE_BY_A_READER.items():
        block = block.replace(shown, done)
    document = yaml.safe_load(block)
    if isinstance(document, list):
        document = {"kong-doks:services": document}
    config = {key.removeprefix("kong-doks:"): value for key, value in document.get("config", document).items()}
    Settings.model_validate(TUTORIAL | config)
