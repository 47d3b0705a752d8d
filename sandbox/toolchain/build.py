"""The sandbox's tools: the machine's own where they fit, else built once into the user cache."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from sandbox.host.progress import Report
from sandbox.toolchain import go_toolchain
from sandbox.toolchain.compilation import compile_modules
from sandbox.toolchain.machine import install_packages, installed
from sandbox.toolchain.modules import MODULES, Module


def tool(name: str) -> Path:
    """The path of `name`: in the folder KONG_DOKS_TOOLS, the machine's own, or the one that `provide` builds."""
    folder = os.environ.get("KONG_DOKS_TOOLS")
    return Path(folder) / name if folder else _own_or_built(name)


@cache
def _own_or_built(name: str) -> Path:
    if own := installed(name):
        return own
    return next(module.output / name for module in MODULES if name in module.commands)


def provide(report: Report) -> bool:
    """Installs and builds whatever is missing. Returns whether anything was compiled.

    Raises:
        ToolsError: something can't be had.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        packages = pool.submit(install_packages, report)
        compiled = _compile([module for module in MODULES if not module.on_demand], report)
        packages.result()
    return compiled


def demand(name: str, report: Report) -> None:
    """Builds the tool `name` that only some sandboxes need, and its module's others, unless they are there.

    Raises:
        ToolsError: it can't be had.
    """
    _compile([next(module for module in MODULES if name in module.commands)], report)


def _compile(modules: list[Module], report: Report) -> bool:
    """Compiles what the modules lack. Returns whether that was anything."""
    go_toolchain.install(report)
    missing = [(module, commands) for module in modules if (commands := _missing(module))]
    if missing:
        compile_modules(missing, report)
    return bool(missing)


def _missing(module: Module) -> dict[str, str]:
    """The commands of a module that neither the machine nor the cache has."""
    wanted = {name: package for name, package in module.commands.items() if not installed(name)}
    return wanted if any(not (module.output / name).exists() for name in wanted) else {}
