"""A git repository at an https URL, as a host of repositories serves it."""

import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.host.certificate_authority import Authority


class _Backend(http.server.BaseHTTPRequestHandler):
    """Hands each request to `git http-backend`."""

    root: Path

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        command = ("git", "http-backend")
        answer = subprocess.run(command, env=os.environ | variables, input=body, check=True, capture_output=True).stdout
        # Only a failure has a status.
        status = answer.partition(b"\r\n")[0].removeprefix(b"Status: ") if answer.startswith(b"Status:") else b"200 OK"
        self.wfile.write(b"HTTP/1.0 " + status + b"\r\n" + answer)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def served(files: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Commits the files and serves them; yields the URL, and the certificate of the authority that clients trust."""
    commit = ("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "a")
    for arguments in (("init", "--quiet"), ("add", "--all", "--force"), commit):
        subprocess.run(["git", *arguments], cwd=files, check=True)
    root = folder / "repositories" / "owner"
    root.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", files, root / "kong-doks.git"], check=True)
    Authority(folder, "git").server("git", ["localhost"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "git.crt", folder / "git.key")
    handler = type("_Handler", (_Backend,), {"root": root.parent})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}/owner/kong-doks.git", folder / "ca.crt"
    server.shutdown()
