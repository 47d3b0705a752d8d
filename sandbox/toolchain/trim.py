"""Published Go modules with a few of their files replaced: code that the sandbox never runs isn't compiled.

go.mod replaces such a module by a folder under `trimmed/`. Each file there says what it leaves out and why. Go's own
`-overlay` would do the same in fewer steps, but it refuses to replace files in the module cache.
"""

import re
from pathlib import Path


def trimmed_modules(go_mod: Path) -> list[str]:
    """The modules that go.mod replaces by a folder under `trimmed/`."""
    return re.findall(r"^(?:replace )?\t?(\S+) => \./trimmed/\1$", go_mod.read_text(), re.MULTILINE)


def complete(folder: Path, published: Path) -> None:
    """Links the files of the module `published` into `folder`, except those that `folder` replaces.

    A file named like its folder replaces all Go files of the package, any other the one file of its name.

    Raises:
        FileNotFoundError: a file replaces none.
    """
    whole_package = (folder / f"{folder.name}.go").exists()
    for path in folder.iterdir():
        if path.is_dir():
            complete(path, published / path.name)
        elif not whole_package and not (published / path.name).exists():
            raise FileNotFoundError(f"{path} replaces nothing in {published}")
    for path in published.iterdir():
        replacement = folder / path.name
        if not replacement.exists() and not (whole_package and path.suffix == ".go"):
            replacement.symlink_to(path)
