"""The sandbox's tools: what the machine has in a fitting version is used, the rest is built once into the user cache.

A Go module of its own for each set of commands that can share dependencies (compiling shared packages once is what
keeps a cold start short). A build is keyed by its module's files and by the toolchain: an edit rebuilds that module.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from infra.config import versions
from sandbox.host.paths import CACHE, PROJECT
from sandbox.host.progress import Report

PULUMI = "3.215.0"
KUBERNETES_PROVIDER = metadata.version("pulumi-kubernetes")
DOCKER_BUILD_PROVIDER = metadata.version("pulumi-docker-build")
DIGITALOCEAN_PROVIDER = metadata.version("pulumi-digitalocean")
_KUBERNETES_GO_SDK = "v4.24.0"  # what the provider's go.mod names

_DOCKER_BUILD = "github.com/pulumi/pulumi-docker-build"
_GO = PROJECT / "sandbox" / "toolchain" / "go"
# Without optimisation and debug data these programs compile in half the time; none of them is short of speed here.
_FLAGS = ("-gcflags=all=-N -l -dwarf=false",)
_ENVIRONMENT = {
    "GOTOOLCHAIN": "local",
    "GOFLAGS": "-mod=readonly",
    "CGO_ENABLED": "0",
    "GONOSUMDB": "*",  # the checksum database lacks some of these versions; the committed go.sum files pin them all
    "GOGC": "800",
}


class ToolsError(Exception):
    """A tool can't be had; the message says why and what to do."""


@dataclass(frozen=True)
class Module:
    """One Go module under sandbox/toolchain/go and the commands that are built from it."""

    name: str
    commands: dict[str, str]
    """Binary -> package."""
    version_flags: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = field(default=lambda _: None)
    tags: str = ""
    on_demand: bool = False
    """Built where `demand` asks for it, not for every sandbox."""

    @property
    def folder(self) -> Path:
        return PROJECT / "sandbox" / "kong" if self.name == "kong" else _GO / self.name

    @property
    def output(self) -> Path:
        digest = hashlib.sha256("\n".join((_go_version(), *_FLAGS, *self.version_flags, *self.tags.split())).encode())
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in {".go", ".mod", ".sum"}:
                digest.update(str(path.relative_to(self.folder)).encode() + path.read_bytes())
        return CACHE / "tools" / f"{self.name}-{digest.hexdigest()[:16]}"


def _complete_engine(source: Path) -> None:
    """Copies from the Go modules what is too large to keep in the repository.

    The provider's own main embeds two files that ours needs beside it. Of the provider's Go SDK only what the provider
    itself uses is copied: sdk/go/kubernetes/yaml/v2/kinds.go says why.
    """
    provider = module_folder(source, "github.com/pulumi/pulumi-kubernetes/provider/v4")
    for name in ("schema.json", "terraform-mapping.json"):
        file = Path("cmd", "pulumi-resource-kubernetes", name)
        shutil.copyfile(provider / file, source / file)
    sdk = module_folder(source, f"github.com/pulumi/pulumi-kubernetes/sdk/v4@{_KUBERNETES_GO_SDK}")
    for folder in ("go/kubernetes", "go/kubernetes/utilities", "go/kubernetes/helm/v4", "go/kubernetes/yaml/v2"):
        (source / "sdk" / folder).mkdir(parents=True, exist_ok=True)
        for path in (sdk / folder).glob("*.go"):
            target = source / "sdk" / folder / path.name
            if not target.exists():
                shutil.copyfile(path, target)


def _kubernetes_version() -> tuple[str, str, str]:
    required = (_GO / "engine" / "go.mod").read_text()
    version = next(line.split()[1] for line in required.splitlines() if line.startswith("\tk8s.io/kubernetes "))
    major, minor, _ = version.removeprefix("v").split(".")
    return version, major, minor


MODULES = (
    Module(
        "engine",
        {
            "hyperkube": "./cmd/hyperkube",
            "pulumi-resource-kubernetes": "./cmd/pulumi-resource-kubernetes",
            "pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
            "coredns": "./cmd/coredns",
            "pause": "./cmd/pause",
            "helm": "helm.sh/helm/v3/cmd/helm",
            "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        },
        (
            f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI}",
            f"-X github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version={KUBERNETES_PROVIDER}",
            # Clients compare versions: without these the API server calls itself v0.0.0-master.
            *(
                f"-X k8s.io/{package}/version.git{part}={value}"
                for package in ("component-base", "client-go/pkg")
                for part, value in zip(("Version", "Major", "Minor"), _kubernetes_version(), strict=True)
            ),
        ),
        _complete_engine,
    ),
    Module(
        "docker-build",
        {
            "pulumi-resource-docker-build": f"{_DOCKER_BUILD}/provider/cmd/pulumi-resource-docker-build",
            "buildkitd": "github.com/moby/buildkit/cmd/buildkitd",
        },
        (f"-X {_DOCKER_BUILD}/provider.Version={DOCKER_BUILD_PROVIDER}",),
    ),
    Module("controller", {"controller": "github.com/kong/kubernetes-ingress-controller/v3/internal/cmd"}),
    Module("language", {"pulumi-language-python": "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"}),
    Module("kong", {"kong": "."}),
    # Last: by then the engine has compiled nearly all that this shares with it.
    Module("network-policies", {"network-policies": "."}),
    Module(
        "prometheus",
        {"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"},
        (f"-X github.com/prometheus/common/version.Version={versions.PROMETHEUS.removeprefix('v')}",),
        tags="remove_all_sd,enable_kubernetes_sd",
        on_demand=True,
    ),
    Module(
        "certificates",
        {
            "cert-manager": "./cert-manager",
            "acmesolver": "./acmesolver",
            "pebble": "github.com/letsencrypt/pebble/v2/cmd/pebble",
        },
        (f"-X github.com/cert-manager/cert-manager/pkg/util.AppVersion={versions.CERT_MANAGER}",),
        on_demand=True,
    ),
)

# Plugins of the machine's own Pulumi fit in just this version, commands from a version on.
_PLUGINS = {
    "pulumi-resource-kubernetes": f"resource-kubernetes-v{KUBERNETES_PROVIDER}",
    "pulumi-resource-docker-build": f"resource-docker-build-v{DOCKER_BUILD_PROVIDER}",
}
_COMMANDS = {
    "pulumi": (("version",), r"v?(3)\.(\d+)\.", (3, int(PULUMI.split(".")[1]))),
    "helm": (("version", "--short"), r"v(3)\.(\d+)\.", (3, 14)),
    "kubectl": (("version", "--client"), r"v(1)\.(\d+)\.", (1, 30)),
}

# What the machine lacks of these comes from Debian's packages.
_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "docker-registry": "docker-registry",
    "ip": "iproute2",
    "mount": "mount",
}


@cache
def _go_version() -> str:
    if not (go := shutil.which("go")):
        raise ToolsError(
            "go: not on PATH; the sandbox compiles its tools with Go 1.26 or newer: install it and try again"
        )
    found = subprocess.run([go, "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout.strip()
    if (version := re.match(r"go(\d+)\.(\d+)", found)) is None or tuple(map(int, version.groups())) < (1, 26):
        raise ToolsError(f"go: {found} is too old; the sandbox compiles its tools with Go 1.26 or newer: update it")
    return found


def module_folder(folder: Path, path: str) -> Path:
    """Where Go keeps the module `path`, at the version that the module in `folder` requires."""
    listed = subprocess.run(
        ["go", "mod", "download", "-json", path],
        cwd=folder,
        env=os.environ | _ENVIRONMENT,
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        raise ToolsError(f"{path}: {listed.stderr.strip() or listed.stdout.strip()}")
    return Path(json.loads(listed.stdout)["Dir"])


@cache
def installed(name: str) -> Path | None:
    """The machine's own `name`, if there is one that fits."""
    if name in _PLUGINS:
        path = Path.home() / ".pulumi" / "plugins" / _PLUGINS[name] / name
        return path if path.exists() else None
    if name == "pulumi-language-python":
        # A language host belongs to its CLI: they are taken together or not at all.
        return _on_path(name) if installed("pulumi") else None
    return _if_version(name, *_COMMANDS[name]) if name in _COMMANDS else None


def _on_path(name: str) -> Path | None:
    """Where PATH has it; the sandbox's own, which a shell may have on its PATH, don't count."""
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not Path(folder).is_relative_to(CACHE)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return Path(found) if found else None


def _if_version(name: str, arguments: Sequence[str], pattern: str, least: tuple[int, int]) -> Path | None:
    if not (path := _on_path(name)):
        return None
    said = subprocess.run([path, *arguments], check=False, capture_output=True, text=True).stdout
    version = re.search(pattern, said)
    return path if version and (int(version[1]), int(version[2])) >= least else None


@cache
def tool(name: str) -> Path:
    """The path of `name`: the machine's own, or the one that `provide` builds."""
    if found := installed(name):
        return found
    return next(module.output / name for module in MODULES if name in module.commands)


def provide(report: Report) -> None:
    """Installs and builds whatever is missing.

    Raises:
        ToolsError: something can't be had.
    """
    missing = [package for file, package in _PACKAGES.items() if not (shutil.which(file) or Path(file).exists())]
    with ThreadPoolExecutor(max_workers=2) as pool:
        # Linking uses one core at a time: two builds side by side keep both busy.
        builds = [pool.submit(_build, module, report) for module in MODULES if not module.on_demand]
        if missing:
            _install_packages(missing, report)
        for build in builds:
            build.result()


def demand(name: str, report: Report) -> None:
    """Builds the tool `name` that only some sandboxes need, and its module's others, unless they are there.

    Raises:
        ToolsError: it can't be had.
    """
    _build(next(module for module in MODULES if name in module.commands), report)


def _install_packages(packages: list[str], report: Report) -> None:
    with report.step(f"Debian packages: {' '.join(packages)}"):
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", *command],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                check=False,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise ToolsError(f"apt-get {' '.join(command)} failed:\n{done.stderr.strip()}")


def _build(module: Module, report: Report) -> None:
    wanted = {name: package for name, package in module.commands.items() if not installed(name)}
    if not wanted or all((module.output / name).exists() for name in wanted):
        return
    with report.step(f"compile {', '.join(wanted)}") as step:
        partial = module.output.with_name(module.output.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        # Built from a copy: the checkout stays as it is, and may be read-only.
        source = shutil.copytree(module.folder, partial / "source")
        module.prepare(source)
        built = partial / "built"
        built.mkdir()
        for count, line in enumerate(_go_build(module, source, sorted(wanted.values()), built), 1):
            step.detail(f"{count} packages, now {line}")
        if "pulumi-language-python" in wanted:
            _copy_language_executors(source, built)
        module.output.mkdir(parents=True, exist_ok=True)
        for path in built.iterdir():
            package = next(
                (name for name, package in wanted.items() if _binary_name(module, package) == path.name), path.name
            )
            path.replace(module.output / package)
        shutil.rmtree(partial)


def _binary_name(module: Module, package: str) -> str:
    """What `go build` calls the command of a package."""
    return module.name if package == "." else package.rsplit("/", 1)[-1]


def _go_build(module: Module, source: Path, packages: list[str], target: Path) -> Iterator[str]:
    """Runs `go build -v` and yields the packages that it compiles."""
    process = subprocess.Popen(
        [
            "go",
            "build",
            "-v",
            *_FLAGS,
            f"-tags={module.tags}",
            f"-ldflags=-s -w {' '.join(module.version_flags)}",
            "-o",
            f"{target}/",
            *packages,
        ],
        cwd=source,
        env=os.environ | _ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None  # noqa: S101 -- a PIPE was asked for
    said: list[str] = []
    for line in process.stderr:
        said.append(line.rstrip())
        if not line.startswith(("go: ", "#", "\t")):
            yield said[-1]
    if process.wait():
        raise ToolsError(f"go build in {module.folder.relative_to(PROJECT)} failed:\n" + "\n".join(said[-20:]))


def _copy_language_executors(source: Path, built: Path) -> None:
    """The language host runs small scripts that it looks for beside itself."""
    python = module_folder(source, "github.com/pulumi/pulumi/sdk/v3") / "python"
    for script in (python / "cmd" / "pulumi-language-python-exec", *(python / "dist").iterdir()):
        shutil.copyfile(script, built / script.name)
        (built / script.name).chmod(0o755)
