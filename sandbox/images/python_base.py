"""The apps' base image where Docker Hub can't be reached: Debian's Python, laid out like the official image's.

The packages are unpacked straight into the layer. No maintainer script runs, so it takes seconds and needs no chroot.
Python is the machine's distribution's, whatever the tag says.
"""

import io
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from sandbox.images import debian
from sandbox.images.oci import Layer

SETTINGS = {
    "Env": ["PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "Cmd": ["python3"],
}

# The last is there for packages with compiled parts; the official image has it, too.
_ROOTS = ("base-files", "base-passwd", "busybox-static", "login", "passwd", "python3", "python3-venv", "libstdc++6")
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Paths of this machine don't exist inside an image, so some settings are left out.
_PIP_SETTINGS = {"index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries"}


def pip_conf() -> bytes:
    """The machine's package sources as a pip.conf, for image builds."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=False, capture_output=True, text=True
    ).stdout
    # The environment's lines (`:env:.x`) come first; like pip itself, it wins over the files.
    settings = {"cert": str(_CA_BUNDLE), "root-user-action": "ignore"}
    for source, key, value in re.findall(r"^(:env:|global|install)\.([\w-]+)='(.*)'$", listed, re.MULTILINE):
        if key in _PIP_SETTINGS and (source == ":env:" or key not in settings):
            settings[key] = value
    return "".join(["[global]\n", *(f"{key} = {value}\n" for key, value in sorted(settings.items()))]).encode()


def recipe() -> bytes:
    """Returns the inputs of the image except the packages' versions, for which an image isn't rebuilt."""
    return Path(__file__).read_bytes() + debian.recipe() + pip_conf() + _CA_BUNDLE.read_bytes()


def fill(layer: Layer) -> None:
    """Puts the image's files into `layer`.

    Raises:
        debian.PackagesError: apt can't download them.
    """
    with tempfile.TemporaryDirectory() as folder:
        packages = debian.unpack(_ROOTS, Path(folder), layer)
        for applet in _applets(debian.member(packages["busybox-static"], r".*/bin/busybox"), Path(folder)):
            layer.link(f"usr/bin/{applet}", "busybox")
        for name in ("passwd", "group"):
            layer.file(f"etc/{name}", debian.member(packages["base-passwd"], rf".*/{name}\.master"))
        version = next(match[1] for name in packages if (match := re.fullmatch(r"(python3\.\d+)-minimal", name)))
        _install_pip(debian.member(packages["python3-pip-whl"], r".*/pip-.*\.whl"), version, layer)
    layer.file("etc/nsswitch.conf", b"hosts: files dns\n")
    layer.file("etc/pip.conf", pip_conf())
    layer.file(str(_CA_BUNDLE.relative_to("/")), _CA_BUNDLE.read_bytes())


def _install_pip(wheel: bytes, version: str, layer: Layer) -> None:
    """The official image's Python lives in /usr/local; a virtual environment there gives Debian's the same layout."""
    layer.file("usr/local/pyvenv.cfg", b"home = /usr/bin\ninclude-system-site-packages = true\n")
    layer.link("usr/local/bin/python3", "/usr/bin/python3")
    layer.link("usr/local/bin/python", "python3")
    with zipfile.ZipFile(io.BytesIO(wheel)) as files:
        for name in files.namelist():
            layer.file(f"usr/local/lib/{version}/site-packages/{name}", files.read(name))
    script = b"#!/usr/local/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
    for name in ("pip", "pip3"):
        layer.file(f"usr/local/bin/{name}", script, 0o755)


def _applets(busybox: bytes, folder: Path) -> list[str]:
    program = folder / "busybox"
    program.write_bytes(busybox)
    program.chmod(0o700)
    return subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
