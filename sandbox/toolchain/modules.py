"""The Go modules that the sandbox's tools are built from.

One module, `engine`, holds every command that can be built from one set of versions: packages that two commands share
are compiled once. The others raise their dependencies to the engine's versions where they can.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from infra.config import versions
from sandbox.host.paths import CACHE, PROJECT
from sandbox.toolchain import go_toolchain, trim
from sandbox.toolchain.errors import ToolsError

PULUMI = "3.245.0"
KUBERNETES_PROVIDER = metadata.version("pulumi-kubernetes")
DOCKER_BUILD_PROVIDER = metadata.version("pulumi-docker-build")
DIGITALOCEAN_PROVIDER = metadata.version("pulumi-digitalocean")

GO = PROJECT / "sandbox" / "toolchain" / "go"
# Without optimisation and debug data these programs compile in half the time, and are fast enough but for what follows.
_OPTIMIZED = (
    "std",
    # Pulumi's checkpoints.
    "github.com/pulumi/pulumi/sdk/v3/go/common/...",
    "github.com/pulumi/pulumi/pkg/v3/resource/...",
    # The OpenAPI schema, which the API server writes and its clients read anew after each definition.
    "github.com/google/gnostic-models/...",
    "go.yaml.in/yaml/...",
    "google.golang.org/protobuf/...",
    "k8s.io/kube-openapi/...",
    # Server-side apply.
    "sigs.k8s.io/json/...",
    "sigs.k8s.io/structured-merge-diff/...",
)
"""Packages in which the tools spend most of their time; to optimize them takes a fiftieth of the compiler's time."""
FLAGS = ("-gcflags=all=-N -l -dwarf=false", *(f"-gcflags={packages}=-dwarf=false" for packages in _OPTIMIZED))
_DOCKER_BUILD = "github.com/pulumi/pulumi-docker-build"


@dataclass(frozen=True)
class Module:
    """One Go module and the commands that are built from it."""

    name: str
    commands: dict[str, str]
    """Binary -> package."""
    version_flags: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = field(default=lambda _: None)
    """Adds files of published modules to a copy of the module's folder."""
    finish: Callable[[Path, Path], None] = field(default=lambda _, __: None)
    """Adds the files that the binaries need beside them."""
    tags: str = ""
    on_demand: bool = False
    """True if only `demand` builds it, not every sandbox."""

    @property
    def folder(self) -> Path:
        return PROJECT / "sandbox" / "kong" if self.name == "kong" else GO / self.name

    @property
    def output(self) -> Path:
        """The folder of the binaries, named by their sources: an edit or another Go needs another build."""
        parts = (go_toolchain.version(), *FLAGS, *self.version_flags, *self.tags.split())
        digest = hashlib.sha256("\n".join(parts).encode())
        for path in sorted(self.folder.rglob("*")):
            if path.suffix in {".go", ".mod", ".sum"} and not path.name.endswith("_test.go"):
                digest.update(str(path.relative_to(self.folder)).encode() + path.read_bytes())
        return CACHE / "tools" / f"{self.name}-{digest.hexdigest()[:16]}"


def module_folder(folder: Path, path: str) -> Path:
    """The folder in which Go keeps the module `path`, at the version that the module in `folder` requires.

    Raises:
        ToolsError: it cannot be downloaded, or go.sum has another hash.
    """
    listed = go_toolchain.run("mod", "download", "-json", path, folder=folder)
    if listed.returncode:
        raise ToolsError(f"{path}: {listed.stderr.strip() or listed.stdout.strip()}")
    return Path(json.loads(listed.stdout)["Dir"])


def required_versions(go_mod: Path) -> dict[str, str]:
    """The versions that a go.mod requires, by module."""
    pattern = r"^(?:require )?\t?([^\s/]+\.[^\s]+) (v[^\s]+)(?: // indirect)?$"
    return dict(re.findall(pattern, go_mod.read_text(), re.MULTILINE))


def _complete_engine(source: Path) -> None:
    """Adds the two files that the kubernetes provider's main embeds, and the trimmed modules."""
    provider = module_folder(source, "github.com/pulumi/pulumi-kubernetes/provider/v4")
    for name in ("schema.json", "terraform-mapping.json"):
        file = Path("cmd", "pulumi-resource-kubernetes", name)
        shutil.copyfile(provider / file, source / file)
    required = required_versions(source / "go.mod")
    for name in trim.trimmed_modules(source / "go.mod"):
        trim.complete(source / "trimmed" / name, module_folder(source, f"{name}@{required[name]}"))


def _copy_language_executors(source: Path, built: Path) -> None:
    """Copies the scripts that the language host looks for beside itself."""
    python = module_folder(source, "github.com/pulumi/pulumi/sdk/v3") / "python"
    for script in (python / "cmd" / "pulumi-language-python-exec", *(python / "dist").iterdir()):
        shutil.copyfile(script, built / script.name)
        (built / script.name).chmod(0o755)


def _kubernetes_version() -> tuple[str, str, str]:
    version = required_versions(GO / "engine" / "go.mod")["k8s.io/kubernetes"]
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
            "controller": "github.com/kong/kubernetes-ingress-controller/v3/internal/cmd",
            "pulumi-resource-docker-build": f"{_DOCKER_BUILD}/provider/cmd/pulumi-resource-docker-build",
            "buildkitd": "github.com/moby/buildkit/cmd/buildkitd",
        },
        (
            f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI}",
            f"-X github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version={KUBERNETES_PROVIDER}",
            f"-X {_DOCKER_BUILD}/provider.Version={DOCKER_BUILD_PROVIDER}",
            # Clients compare versions: without these the API server calls itself v0.0.0-master.
            *(
                f"-X k8s.io/{package}/version.git{part}={value}"
                for package in ("component-base", "client-go/pkg")
                for part, value in zip(("Version", "Major", "Minor"), _kubernetes_version(), strict=True)
            ),
        ),
        prepare=_complete_engine,
    ),
    Module(
        "language",
        {"pulumi-language-python": "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"},
        finish=_copy_language_executors,
    ),
    Module("kong", {"kong": "."}),
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
    Module(
        "metrics",
        {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
        (f"-X k8s.io/client-go/pkg/version.gitVersion={versions.METRICS_SERVER}",),
        on_demand=True,
    ),
)
