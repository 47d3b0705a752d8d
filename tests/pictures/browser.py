"""Pages in a real browser, without a window: `python -m tests.pictures.browser URL FILE.png` takes a picture of one."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape, unescape
from pathlib import Path
from typing import Any


def evaluated(html: str, script: str, *options: str) -> Any:  # noqa: ANN401 -- JSON
    """Returns the value of a script's expression in a document that has loaded, with its frames."""
    run = f'<script>addEventListener("load", () => document.title = JSON.stringify({script}));</script>'
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(html + run)
        printed = _browser(folder, "--dump-dom", *options, page.as_uri())
    title = re.search(r"<title>(.*?)</title>", printed, re.DOTALL)
    assert title, printed
    return json.loads(unescape(title[1]))


def framed(html: str, width: int) -> str:
    """Returns a document that shows another one as a window of that width does; a browser's own can't be as narrow."""
    return f'<!doctype html><title></title><body><iframe srcdoc="{escape(html)}" style="width: {width}px"></iframe>'


def screenshot(url: str, file: Path) -> None:
    """Takes a picture of a page of 720 x 640 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        size = ("--window-size=720,640", "--hide-scrollbars")
        _browser(folder, f"--screenshot={file.resolve()}", *size, url)


def _browser(folder: str, *options: str) -> str:
    browser = shutil.which("chromium")
    assert browser, "chromium: not on PATH; fix: apt-get install chromium"
    command = [browser, "--headless", "--no-sandbox", f"--user-data-dir={folder}/browser", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


if __name__ == "__main__":
    screenshot(sys.argv[1], Path(sys.argv[2]))
