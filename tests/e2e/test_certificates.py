"""A stack with a domain: a real ACME server issues its certificate, through the load balancer and Kong."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography import x509

from sandbox.acme.server import ROOT
from sandbox.host.addresses import ACME
from sandbox.host.paths import RUN
from tests.e2e.configured import Configured, configured
from tests.e2e.pages import Guide
from tests.e2e.stack import Stack
from tests.support import PATIENCE, eventually, sandbox_command

DOMAIN = "api.example.com"
FOO = {"name": "foo", "path": "/foo", "build": "apps/foo"}
SERVICES: list[dict[str, Any]] = [
    FOO | {"securityHeaders": True},
    {"name": "bar", "path": "/bar", "build": "apps/bar"},
]

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]  # cert-manager is compiled here, once


@pytest.fixture(scope="module")
def authority(sandbox: None) -> str:  # noqa: ARG001 -- needs a running sandbox
    """Starts an ACME server and yields its CA certificate."""
    sandbox_command("certificates")
    return (RUN / "acme" / "ca.crt").read_text()


@pytest.fixture(scope="module")
def secured(stack: Stack, authority: str) -> Iterator[Configured]:
    stack.api("POST", "/v2/domains", json={"name": "example.com"})
    with configured(stack) as changed:
        changed.set("acme", {"server": ACME, "ca": authority, "profile": "minutes"})
        changed.set("services", SERVICES)
        with Guide("how-to/serve-https-under-your-domain.md") as guide:
            stack.types(guide.commands())
            assert guide.commands("acme.server production") == ""
        # `up` has ended, so it is there: nothing is waited for but Kong's controller, which looks every three seconds.
        eventually(Client(changed.address).is_served)
        yield changed
    # Without the domain its objects are deleted, and the routes serve HTTP again.
    assert [record["type"] for record in stack.api("GET", "/v2/domains/example.com/records")["domain_records"]] == [
        "NS",
        "NS",
        "NS",
    ]
    eventually(lambda: stack.get("/foo").status_code == httpx.codes.OK)


def trust() -> ssl.SSLContext:
    """The authority's root, and no other."""
    pem = httpx.get(ROOT, verify=False, trust_env=False, timeout=PATIENCE).raise_for_status().text  # noqa: S501 -- a test's own root
    return ssl.create_default_context(cadata=pem)


def certificate(address: str, context: ssl.SSLContext) -> x509.Certificate:
    """Returns the response of a client that requests the domain and verifies the certificate."""
    with (
        socket.create_connection((address, 443), timeout=PATIENCE) as connection,
        context.wrap_socket(connection, server_hostname=DOMAIN) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")


class Client:
    """Requests the domain, which isn't in public DNS."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._http = httpx.Client(verify=trust(), trust_env=False, timeout=PATIENCE)

    def get(self, path: str, scheme: str = "https") -> httpx.Response:
        return self._http.get(
            f"{scheme}://{self._address}{path}", headers={"Host": DOMAIN}, extensions={"sni_hostname": DOMAIN}
        )

    def is_served(self) -> bool:
        """True once the certificate is the authority's, and the route there; before, Kong shows one of its own."""
        try:
            return self.get("/foo").status_code == httpx.codes.OK
        except httpx.ConnectError:
            return False


def test_a_domain_serves_https_and_redirects_http(secured: Configured) -> None:
    client = Client(secured.address)
    outputs = {name: secured.stack.output(name) for name in ("proxy_ip", "proxy_url", "foo_url")}
    assert outputs == {
        "proxy_ip": secured.address,
        "proxy_url": f"https://{DOMAIN}",
        "foo_url": f"https://{DOMAIN}/foo",
    }
    answer = client.get("/foo")
    assert answer.json() == {"msg": "Hello from the foo microservice"}
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
    assert "Strict-Transport-Security" not in client.get("/bar").headers
    plain = client.get("/foo?page=2", scheme="http")
    assert (plain.status_code, plain.headers["Location"]) == (308, f"https://{DOMAIN}/foo?page=2")
    # A request to the bare address reaches no service.
    assert secured.get("/foo").status_code == httpx.codes.NOT_FOUND
    records = secured.stack.api("GET", "/v2/domains/example.com/records?type=A")["domain_records"]
    assert [(record["name"], record["data"]) for record in records] == [("api", secured.address)]


def test_a_canary_alone_is_served_with_the_certificate(secured: Configured) -> None:
    try:
        secured.up(FOO | {"canary": {"build": "apps/foo", "weight": 50}})
        client = Client(secured.address)
        eventually(client.is_served)
        assert client.get("/foo").json() == {"msg": "Hello from the foo microservice"}
        assert client.get("/foo", scheme="http").status_code == 308
        assert secured.get("/foo").status_code == httpx.codes.NOT_FOUND
    finally:
        secured.up(*SERVICES)


def test_no_request_fails_while_a_certificate_is_renewed(secured: Configured) -> None:
    first = certificate(secured.address, trust())
    assert first.not_valid_after_utc - first.not_valid_before_utc < dt.timedelta(minutes=4)
    failed: list[object] = []
    asked = 0
    done = threading.Event()

    def ask() -> None:
        nonlocal asked
        while not done.wait(0.05):
            asked += 1
            try:
                # A new connection each time: it is the handshake that matters.
                answer = Client(secured.address).get("/foo")
                failed.extend([answer.status_code] if answer.status_code != httpx.codes.OK else [])
            except httpx.HTTPError as error:
                failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        context = trust()
        eventually(lambda: certificate(secured.address, context).serial_number != first.serial_number, seconds=5 * 60)
        while dt.datetime.now(dt.UTC) < first.not_valid_after_utc + dt.timedelta(seconds=5):
            time.sleep(1)
    finally:
        done.set()
        thread.join()
    print(f"{asked} requests, {len(failed)} failed")
    assert (asked > 100, failed) == (True, [])
