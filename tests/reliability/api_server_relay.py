"""A relay between a stack and its cluster's API server that cuts connections on demand."""

import http.client
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.digitalocean.faults import Fault
from sandbox.host.certificate_authority import Authority

_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "authorization", "host"}


class Relay:
    """Passes requests on to an API server as its administrator, if `admits` accepts its token.

    Args:
        upstream: the API server's URL.
        context: trusts the API server.
        admin_token: opens the API server; whoever brings it is not a stack, and never cut off.
        admits: whether another bearer token opens the cluster.
        directory: where its certificate may be written.
    """

    def __init__(
        self, upstream: str, context: ssl.SSLContext, admin_token: str, admits: Callable[[str], bool], directory: Path
    ) -> None:
        self.upstream = urlsplit(upstream)
        self.context = context
        self.admin_token = admin_token
        self.admits = admits
        self.faults: list[Fault] = []
        self.writes: list[str] = []
        """The requests that change something, as "METHOD path", in the order of arrival."""
        self._lock = threading.Lock()
        authority = Authority(directory, "relay")
        authority.server("relay", ["127.0.0.1"])
        self.ca_pem = authority.pem
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.relay = self
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(directory / "relay.crt", directory / "relay.key")
        self._server.socket = own.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def arriving(self, method: str, path: str) -> Fault | None:
        """Notes a write; what is to happen to it."""
        # Dry runs and reviews are writes that change nothing.
        if method not in _WRITES or "dryRun=All" in path or "authorization.k8s.io" in path:
            return None
        with self._lock:
            self.writes.append(f"{method} {path.partition('?')[0]}")
            return next((fault for fault in self.faults if fault.matches(method, path)), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    relay: Relay

    def handle_error(self, *_: object) -> None:
        """Ignores a client that ends a watch."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        relay = self.server.relay
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        fault = None
        if token != relay.admin_token:
            if not relay.admits(token):
                self._refuse(401, "Unauthorized", {})
                return
            fault = relay.arriving(self.command, self.path)
        if fault is None:
            self._pass_on(body, answered=True)
        elif fault.kind == "status":
            self._refuse(fault.status, fault.message, fault.headers)
        else:
            if fault.kind == "timeout":
                threading.Event().wait(fault.seconds)
            if fault.kind == "drop_after":
                self._pass_on(body, answered=False)
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 -- http.server's own names

    def log_message(self, *_: object) -> None:
        """Logs nothing."""

    def _pass_on(self, body: bytes, *, answered: bool) -> None:
        relay = self.server.relay
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["Authorization"] = f"Bearer {relay.admin_token}"
        server, port = relay.upstream.hostname or "", relay.upstream.port
        connection = http.client.HTTPSConnection(server, port, context=relay.context)
        try:
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            if answered:
                self._answer(response)
            else:
                response.read()
        finally:
            connection.close()

    def _answer(self, response: http.client.HTTPResponse) -> None:
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        # No change, no content: nothing follows, neither a length nor pieces.
        sized = "content-length" in response.headers or response.status in (204, 304)
        if not sized:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        # A watch doesn't end: forward each chunk as it arrives.
        while data := response.read1(1 << 18):
            self.wfile.write(data if sized else b"%x\r\n%s\r\n" % (len(data), data))
        if not sized:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, message: str, headers: dict[str, str]) -> None:
        """Returns an error as a Kubernetes Status."""
        error: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
        text = json.dumps(error | {"message": message, "code": status}).encode()
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)
