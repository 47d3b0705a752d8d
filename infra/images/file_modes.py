"""File modes of a build's folder."""

import stat
from collections.abc import Iterator
from pathlib import Path

from infra.config.build_folder import sent_entries


def normalize_modes(folder: Path) -> Iterator[str]:
    """Gives what Docker gets of a folder the modes that git records: 644 and 755, as in a checkout under umask 022.

    The provider's hash and Docker's layers have the modes: without this, another umask makes another image.

    Yields:
        Each path whose mode differs and can't be changed.
    """
    sent = [Path(entry.path) for entry in sent_entries(folder) if not entry.is_symlink()]
    # A folder that is ignored is sent with what an exception includes.
    paths = {
        folder / path for entry in sent for path in (entry.relative_to(folder), *entry.relative_to(folder).parents)
    }
    for path in sorted(paths - {folder}):
        present = stat.S_IMODE(path.stat().st_mode)
        mode = 0o755 if present & stat.S_IXUSR else 0o644
        if present != mode:
            try:
                path.chmod(mode)
            except OSError:
                yield path.relative_to(folder).as_posix()
