"""Compiles Go modules one after the other, and estimates how long that takes.

One at a time: two builds side by side would both compile the packages that they share. Go itself uses every core until
only links are left, one core each; the next module begins then.
"""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import filterfalse
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from sandbox.host.paths import CACHE, PROJECT
from sandbox.host.progress import Report, Step
from sandbox.toolchain import go_toolchain
from sandbox.toolchain.errors import ToolsError
from sandbox.toolchain.modules import FLAGS, Module

# The cost of starting the compiler, in bytes of source: even a package of a few lines takes a tenth of a second.
_PACKAGE_BYTES = 30_000
# The share of the time from which on `make up` shows how much is left.
_MEASURABLE = 0.02
# Later packages take longer for their size. When `make up` compiled all of them on two cores, the share of the time was
# the share of the compiled sources to this power.
_PACE = 1.3


@dataclass
class _Build:
    """One module with the commands that are missing of it."""

    module: Module
    commands: dict[str, str]
    output: Path
    """Target folder of the binaries, by the sources before the copy: a later edit causes another build."""
    weights: dict[str, int] = field(default_factory=dict)
    """Package that is still to be compiled -> bytes of source."""
    _process: subprocess.Popen[str] = field(init=False)
    _printed: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        # Not named by the digest: packages compiled from the copy are found again after an edit elsewhere.
        return CACHE / "tools" / f"{self.module.name}.partial"

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def _built(self) -> Path:
        return self.folder / "built"

    @property
    def arguments(self) -> list[str]:
        flags = (f"-tags={self.module.tags}", f"-ldflags=-s -w {' '.join(self.module.version_flags)}")
        return [*FLAGS, *flags]

    def is_kept(self) -> bool:
        """True if another process has built the commands in the meantime."""
        return all((self.output / name).exists() for name in self.commands)

    def prepare(self, planned: set[str]) -> None:
        """Copies the module's folder: the checkout stays as it is, and may be read-only.

        Adds the folders of the packages that are to be compiled to `planned`; those that it has already are another
        build's to compile.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.module.folder, self.source)
        self.module.prepare(self.source)
        template = "{{if .Stale}}{{.ImportPath}} {{.Dir}}{{range .GoFiles}} {{.}}{{end}}{{end}}"
        listed = go_toolchain.run(
            "list", "-deps", *self.arguments, "-f", template, *self.commands.values(), folder=self.source
        )
        if listed.returncode:
            raise ToolsError(f"go list in {self.module.folder.relative_to(PROJECT)} failed:\n{listed.stderr[-2000:]}")
        for line in filter(None, listed.stdout.splitlines()):
            package, folder, *files = line.split(" ")
            if folder not in planned:
                planned.add(folder)
                self.weights[package] = _PACKAGE_BYTES + sum(Path(folder, file).stat().st_size for file in files)

    def start(self) -> None:
        """Starts `go build`."""
        self._built.mkdir()
        self._process = subprocess.Popen(
            [go_toolchain.command(), "build", "-v", *self.arguments, "-o", f"{self._built}/", *self.commands.values()],
            cwd=self.source,
            env=os.environ | go_toolchain.ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def packages(self) -> Iterator[str]:
        """Yields each package when the compiler begins with it."""
        assert self._process.stderr is not None  # noqa: S101 -- a PIPE was asked for
        for line in self._process.stderr:
            self._printed.append(line.rstrip())
            if not line.startswith(("go: ", "#", "\t")):
                yield self._printed[-1]

    def stop(self) -> None:
        """Ends the compiler."""
        self._process.terminate()
        self._process.wait()

    def finish(self) -> None:
        """Waits for the last packages and the links, then moves the binaries to where the sandbox looks for them."""
        for _ in self.packages():
            pass
        if self._process.wait():
            folder = self.module.folder.relative_to(PROJECT)
            raise ToolsError(f"go build in {folder} failed:\n" + "\n".join(self._printed[-20:]))
        self._keep()

    def _keep(self) -> None:
        built = self._built
        for name, package in self.commands.items():
            # `go build` names a command by its package's last element.
            named = self.module.name if package == "." else package.rsplit("/", 1)[-1]
            (built / named).rename(built / name)
        self.module.finish(self.source, built)
        self.output.mkdir(parents=True, exist_ok=True)
        for path in built.iterdir():
            path.replace(self.output / path.name)
        shutil.rmtree(self.folder)


def compile_modules(missing: list[tuple[Module, dict[str, str]]], report: Report) -> None:
    """Builds the commands of each module.

    Raises:
        ToolsError: one cannot be built, or Ctrl-C stops it.
    """
    builds = [_Build(module, commands, module.output) for module, commands in missing]
    (CACHE / "tools").mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks, report.step("compile the tools") as step:
        used = _cpu_seconds()
        step.detail("waiting for another build on this machine")
        for build in builds:
            lock = locks.enter_context(build.folder.with_suffix(".lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _compile(list(filterfalse(_Build.is_kept, builds)), step)
        except KeyboardInterrupt:
            raise ToolsError("stopped; what is compiled is kept: the same command continues there") from None
        report.say(f"compile the tools: {_cpu_seconds() - used:.0f} CPU-seconds")


def _cpu_seconds() -> float:
    """Returns the CPU seconds of ended child processes."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _compile(builds: list[_Build], step: Step) -> None:
    planned: set[str] = set()
    for build in builds:
        step.detail(f"downloading the source of {build.module.name}")
        build.prepare(planned)
    total = sum(sum(build.weights.values()) for build in builds)
    started, done = time.monotonic(), 0
    with ThreadPoolExecutor() as linking:
        links = []
        for build in builds:
            build.start()
            try:
                for package in build.packages():
                    done += build.weights.pop(package, 0)
                    step.detail(_estimate(done / total, time.monotonic() - started, package))
                    if not build.weights:
                        break
            except BaseException:
                build.stop()
                raise
            links.append(linking.submit(build.finish))
        for link in links:
            link.result()


def _estimate(compiled: float, seconds: float, package: str) -> str:
    """Describes how far the build is, of the share of the sources whose compilation has begun."""
    share = compiled**_PACE
    # The first packages depend on each other, so their pace predicts nothing.
    left = f", about {seconds / share - seconds:.0f} s to go" if share > _MEASURABLE else ""
    return f"{share:.0%}{left}; {package.rsplit('/', 1)[-1]}"
