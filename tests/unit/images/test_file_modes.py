"""Modes of the files that are built into an image."""

import os
from pathlib import Path

import pytest

from infra.images.file_modes import normalize_modes


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o000])
def test_an_image_is_the_same_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        (tmp_path / "static" / "empty").mkdir(parents=True)
        for name, mode in (("app.py", 0o666), ("static/run", 0o777), ("secret.key", 0o600)):
            os.close(os.open(tmp_path / name, os.O_CREAT, mode))
    finally:
        os.umask(before)
    (tmp_path / ".dockerignore").write_text("*.key\n")
    (tmp_path / "link").symlink_to("secret.key")
    assert list(normalize_modes(tmp_path)) == []
    modes = {
        name: oct((tmp_path / name).stat().st_mode)[-3:] for name in ("app.py", "static", "static/empty", "static/run")
    }
    assert modes == {"app.py": "644", "static": "755", "static/empty": "755", "static/run": "755"}
    # Docker doesn't get it.
    assert oct((tmp_path / "secret.key").stat().st_mode)[-3:] == "600"


def test_a_mode_that_cannot_be_changed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.py").write_text("")
    (tmp_path / "app.py").chmod(0o664)

    def refuse(_path: Path, _mode: int) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "chmod", refuse)
    assert list(normalize_modes(tmp_path)) == ["app.py"]
