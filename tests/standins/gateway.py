"""The proxy stand-in as a process on loopback, configured as by the controller, and services behind it."""

import http.server
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from sandbox.toolchain.build import tool
from tests.support import PATIENCE, free_ports

TAGS = ["k8s-name:foo", "k8s-namespace:default", "k8s-kind:Ingress", "k8s-group:networking.k8s.io", "k8s-version:v1"]
"""The Ingress that `route` comes from."""


class Gateway:
    """A running gateway. `client` calls its proxy, `admin` its admin API, `status` the listener for probes."""

    def __init__(self, folder: Path, listen: str = "", **environment: str) -> None:
        self.port, self.tls_port, admin, status = free_ports(4)
        self.folder = folder
        self.environment = {
            "KONG_DATABASE": "off",
            "KONG_ROUTER_FLAVOR": "traditional",
            "KONG_ADMIN_GUI_LISTEN": "off",
            "KONG_PREFIX": str(folder),
            "KONG_PROXY_LISTEN": f"127.0.0.1:{self.port}{listen}, 127.0.0.1:{self.tls_port} http2{listen} ssl",
            "KONG_ADMIN_LISTEN": f"127.0.0.1:{admin} http2 ssl, [::1]:{admin} http2 ssl",
            "KONG_STATUS_LISTEN": f"127.0.0.1:{status}",
            "KONG_PORT_MAPS": f"80:{self.port}, 443:{self.tls_port}",
            **{f"KONG_{name.upper()}": value for name, value in environment.items()},
        }
        self.log = folder / "log"
        self.process = self.command("docker-start")
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=PATIENCE)
        self.admin = httpx.Client(
            base_url=f"https://127.0.0.1:{admin}",
            trust_env=False,
            verify=False,  # noqa: S501 -- the gateway makes its own certificate
            timeout=PATIENCE,
        )
        self.status = httpx.Client(base_url=f"http://127.0.0.1:{status}", trust_env=False, timeout=PATIENCE)
        while True:
            assert self.process.poll() is None, self.log.read_text()
            try:
                self.status.get("/status").raise_for_status()
            except httpx.ConnectError:
                time.sleep(0.01)
            else:
                break

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen([tool("kong"), *arguments], env=self.environment, stdout=log, stderr=log)

    def post(self, config: Mapping[str, Any]) -> httpx.Response:
        """Posts a configuration as the controller does."""
        return self.admin.post("/config?check_hash=1&flatten_errors=1", json={"_format_version": "3.0", **config})

    def configure(self, *services: Mapping[str, Any], **more: Any) -> None:  # noqa: ANN401 -- JSON
        answer = self.post({"services": services, **more})
        assert answer.status_code in {httpx.codes.CREATED, httpx.codes.NOT_MODIFIED}, answer.text

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        for client in (self.client, self.admin, self.status):
            client.close()


@contextmanager
def running(folder: Path, listen: str = "", **environment: str) -> Iterator[Gateway]:
    gateway = Gateway(folder, listen, **environment)
    try:
        yield gateway
    finally:
        gateway.stop()


class Echo(http.server.BaseHTTPRequestHandler):
    """Echoes requests as JSON."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = {
            "port": self.connection.getsockname()[1],
            "path": self.path,
            "headers": dict(self.headers),
            "body": body,
        }
        self.wfile.write(self.answer(json.dumps(asked).encode()))

    do_POST = do_GET  # noqa: N815 -- the base class's name

    def answer(self, body: bytes) -> bytes:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@contextmanager
def served(handler: type[http.server.BaseHTTPRequestHandler] = Echo) -> Iterator[int]:
    """The port of a service that answers by `handler`."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def route(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """A route with the fields that the controller always sets."""
    return {
        "name": "default.foo.foo..80",
        "protocols": ["http", "https"],
        "path_handling": "v0",
        "regex_priority": 0,
        "strip_path": False,
        "preserve_host": True,
        "https_redirect_status_code": 426,
        "request_buffering": True,
        "response_buffering": True,
        "tags": TAGS,
        **fields,
    }


def service(port: int, *routes: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    return {
        "name": "default.foo.80",
        "host": "127.0.0.1",
        "port": port,
        "path": "/",
        "protocol": "http",
        "retries": 5,
        "connect_timeout": 60000,
        "read_timeout": 60000,
        "write_timeout": 60000,
        "routes": routes,
        **fields,
    }
