"""The environment in which pulumi and kubectl find the sandbox instead of the user's own accounts."""

import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from sandbox.host.addresses import API, STATE
from sandbox.host.errors import SandboxError
from sandbox.host.paths import CACHE, PROJECT, RUN, TEMPORARY
from sandbox.toolchain.build import tool
from sandbox.toolchain.modules import DIGITALOCEAN_PROVIDER, DOCKER_BUILD_PROVIDER, KUBERNETES_PROVIDER

_JSON = RUN / "environment.json"
SHELL = RUN / "env"
KUBECONFIG = RUN / "kubeconfig"
"""The kubeconfig of the cluster's administrator; it exists as long as the cluster."""
_PULUMI_HOME = CACHE / "pulumi"
STATE_BUCKET = "state"


class NotRunningError(SandboxError):
    def __init__(self) -> None:
        super().__init__("no sandbox is running: `make up` starts one")


def environment() -> dict[str, str]:
    """The variables of the running sandbox.

    Raises:
        NotRunningError: there is none.
    """
    try:
        variables: dict[str, str] = json.loads(_JSON.read_text())
    except FileNotFoundError:
        raise NotRunningError from None
    return variables | {"PATH": variables["PATH"] + os.pathsep + os.environ["PATH"]}


def write_environment(token: str, docker_config: Path) -> None:
    """Writes the variables for this project's commands, and the same for a shell to source (both 0600)."""
    binaries = _link_binaries()
    install_plugins(_PULUMI_HOME)
    variables = {
        "DIGITALOCEAN_TOKEN": token,
        "DIGITALOCEAN_API_URL": API,
        "KONG_DOKS_SANDBOX_POLL_SECONDS": "1",  # a cluster takes seconds here; the official provider asks every 10 s
        "DIGITALOCEAN_HTTP_RETRY_WAIT_MIN": "0.2",
        "DIGITALOCEAN_HTTP_RETRY_WAIT_MAX": "2",
        "DOCKER_CONFIG": str(docker_config),
        "KUBECONFIG": str(KUBECONFIG),
        "PULUMI_BACKEND_URL": f"s3://{STATE_BUCKET}?endpoint={STATE}&region=us-east-1&s3ForcePathStyle=true",
        # The store accepts any key pair; Spaces has one for each user.
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        # The sandbox's secrets are worth nothing; Pulumi.sandbox.yaml holds the salt that belongs to this passphrase.
        "PULUMI_CONFIG_PASSPHRASE": "sandbox",
        "PULUMI_HOME": str(_PULUMI_HOME),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # The language host runs `pip list`, which looks for a newer pip in the package index.
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # Requests to this machine bypass the user's proxy.
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
        "PATH": os.pathsep.join([str(binaries), str(Path(sys.executable).parent)]),
    }
    for path, text in (
        (_JSON, json.dumps(variables, indent=2)),
        (
            SHELL,
            "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items() if name != "PATH")
            + f'export PATH={shlex.quote(variables["PATH"])}:"$PATH"\n',
        ),
    ):
        path.touch(mode=0o600)
        path.write_text(text)


def _link_binaries() -> Path:
    """Creates a folder for PATH with just the commands that users type."""
    folder = RUN / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("kubectl", "helm"):
        (folder / name).symlink_to(tool(name))
    # Pulumi and its plugins leave kubeconfigs and logs in the temporary folder: here they go with the sandbox.
    TEMPORARY.mkdir()
    pulumi = folder / "pulumi"
    bundle = shlex.quote(str(_bundle_pulumi()))
    pulumi.write_text(f'#!/bin/sh\nTMPDIR={shlex.quote(str(TEMPORARY))} exec {bundle} "$@"\n')
    pulumi.chmod(0o755)
    return folder


def _bundle_pulumi() -> Path:
    """The CLI with its language host beside it, as an installed one has; on PATH a host brings a warning each time."""
    pulumi, host = tool("pulumi"), tool("pulumi-language-python")
    if pulumi.parent == host.parent:
        return pulumi
    bundle = RUN / "pulumi"
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.mkdir()
    # The CLI resolves links before it looks for the host beside itself.
    shutil.copy2(pulumi, bundle / "pulumi")
    for script in host.parent.glob("pulumi-*python*"):
        (bundle / script.name).symlink_to(script)
    return bundle / "pulumi"


def install_plugins(home: Path) -> None:
    """Lays the provider plugins out where the CLI of that PULUMI_HOME looks for installed ones."""
    plugins = home / "plugins"
    for name, version, binary in (
        ("kubernetes", KUBERNETES_PROVIDER, tool("pulumi-resource-kubernetes")),
        ("docker-build", DOCKER_BUILD_PROVIDER, tool("pulumi-resource-docker-build")),
    ):
        target = plugins / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.symlink_to(binary)
    stand_in = plugins / f"resource-digitalocean-v{DIGITALOCEAN_PROVIDER}" / "pulumi-resource-digitalocean"
    stand_in.parent.mkdir(parents=True, exist_ok=True)
    python = f"PYTHONPATH={shlex.quote(str(PROJECT))} exec {shlex.quote(sys.executable)}"
    command = f"{python} -m sandbox.digitalocean.provider"
    stand_in.write_text(f'#!/bin/sh\n{command} "$@"\n')
    stand_in.chmod(0o755)
