"""Rules for the files of the repository. Rules for imports are in pyproject.toml (import-linter)."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.unit.configurations import PROJECT

PRODUCT = ["__main__.py", "infra", "apps", "ops", "policy"]


def sources(*places: str, suffix: str = "") -> Iterator[Path]:
    for place in places:
        root = PROJECT / place
        for path in [root] if root.is_file() else sorted(root.rglob(f"*{suffix}")):
            if path.is_file() and "cache" not in str(path.relative_to(PROJECT)):
                yield path


def test_layout_tests_find_the_product() -> None:
    assert {PROJECT / "__main__.py", PROJECT / "infra" / "config" / "settings.py"} <= set(sources(*PRODUCT))


def test_the_product_does_not_mention_the_sandbox() -> None:
    assert [str(path) for path in sources(*PRODUCT) if re.search("sandbox", path.read_text(), re.IGNORECASE)] == []


def test_only_the_loader_reads_pulumis_configuration() -> None:
    readers = [path.name for path in sources("__main__.py", "infra", suffix=".py") if "Config(" in path.read_text()]
    assert readers == ["loader.py"]


def imports(path: Path) -> set[str]:
    """Returns the packages that a file imports, by their first name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_the_credential_program_needs_a_bare_python() -> None:
    assert imports(PROJECT / "infra" / "cluster" / "exec_credential.py") <= set(sys.stdlib_module_names)


def test_apps_install_only_what_is_locked_by_hash() -> None:
    apps = [path.parent for path in (PROJECT / "apps").glob("*/Dockerfile")]
    assert {"foo", "bar", "aggregate", "greeter", "page"} <= {app.name for app in apps}
    for app in apps:
        locked = (app / "requirements.txt").read_text()
        pins = re.findall(r"^[a-z0-9-]+==\S+( ; [^\\]+)? \\\n    --hash=sha256:", locked, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[a-z]", locked, re.MULTILINE))
        assert "--require-hashes" in (app / "Dockerfile").read_text()


def test_a_copied_app_does_not_break_the_tests(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    for copy in ("bar", "bar2"):
        shutil.copytree(
            PROJECT / "apps" / "bar", tmp_path / "apps" / copy, ignore=shutil.ignore_patterns("__pycache__")
        )
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "apps"]
    collected = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert collected.returncode == 0, collected.stdout
    assert "apps/bar2/test_bar.py" in collected.stdout


def test_the_provider_stand_in_starts_without_the_api_stand_in() -> None:
    """Every `pulumi` command starts it: the API's modules would take longer than all of its own."""
    loaded = "import sys, sandbox.digitalocean.provider.__main__; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-c", loaded]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()
    assert "sandbox.digitalocean.provider.server" in modules
    assert {"flask", "httpx", "infra", "sandbox.digitalocean.app"} & set(modules) == set()
