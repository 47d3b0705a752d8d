"""The proxy stand-in's plugins for authentication, limits and restrictions behave as Kong documents."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.toolchain.build import tool
from tests.standins.gateway import Echo, Gateway, route, running, served, service
from tests.support import free_port

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")

SECRET = "of-thirty-two-bytes-and-some-more"  # noqa: S105 -- signs nothing but these tests' tokens
RSA_KEY = rsa.generate_private_key(65537, 2048)
SHARED = "8a8a0f94-ad26-4f0a-9b4c-1f5d6bf0a003"
EC_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {"real_ip_header": "X-Real-IP", "trusted_ips": "127.0.0.0/8"}
    with running(tmp_path_factory.mktemp("kong"), **settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    class Service(Echo):
        do_OPTIONS = Echo.do_GET  # noqa: N815 -- the base class's name

    with served(Service) as port:
        yield port


def plugin(name: str, config: dict[str, Any] | None = None, **to: str) -> dict[str, Any]:
    return {"name": name, "config": config or {}, **to}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def consumer(name: str, *groups: str, **credentials: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    return {"username": name, "acls": [{"group": group} for group in groups], **credentials}


def hmac_secret(key: str) -> list[dict[str, str]]:
    return [{"key": key, "algorithm": "HS256", "secret": SECRET}]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def told(answer: httpx.Response, *names: str) -> dict[str, str | None]:
    """Returns the headers that the service received."""
    headers = answer.json()["headers"]
    return {name: headers.get(name) for name in names}


def test_a_key_in_header_or_query_identifies_the_consumer(gateway: Gateway, echo: int) -> None:
    alice = {"id": "8a8a0f94-ad26-4f0a-9b4c-1f5d6bf0a001"}
    credential = {"key": "alices-key", "id": "8a8a0f94-ad26-4f0a-9b4c-1f5d6bf0a002"}
    gateway.configure(
        service(echo, route(paths=["/"])),
        consumers=[consumer("alice", keyauth_credentials=[credential], **alice)],
        plugins=[plugin("key-auth")],
    )
    spoofed = ("X-Anonymous-Consumer", "X-Consumer-Custom-Id")
    for answer in (
        gateway.client.get("/", headers={"apikey": "alices-key"} | dict.fromkeys(spoofed, "4711")),
        gateway.client.get("/?apikey=alices-key", headers={"X-Consumer-Username": "mallory"}),
    ):
        names = ("X-Consumer-Id", "X-Consumer-Username", "X-Credential-Identifier")
        assert told(answer, *names) == dict(zip(names, (alice["id"], "alice", credential["id"]), strict=True))
        assert told(answer, *spoofed) == dict.fromkeys(spoofed)
    for wrong, said in (
        ({}, "No API key found in request"),
        ({"headers": {"apikey": "bobs-key"}}, "Unauthorized"),
        ({"headers": [("apikey", "alices-key"), ("apikey", "bobs-key")]}, "Duplicate API key found"),
    ):
        answer = gateway.client.get("/", **wrong)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Key")
        assert answer.text == f'{{\n  "message":"{said}",\n  "request_id":"{answer.headers["x-kong-request-id"]}"\n}}'


def test_hide_credentials_removes_the_key(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, route(name="shown", paths=["/shown"]), route(name="hidden", paths=["/hidden"])),
        consumers=[consumer("alice", keyauth_credentials=[{"key": "k"}])],
        plugins=[
            plugin("key-auth", {"key_names": ["x-key"]}, route="shown"),
            plugin("key-auth", {"key_names": ["x-key"], "hide_credentials": True}, route="hidden"),
        ],
    )
    shown = gateway.client.get("/shown?a=%20&x-key=k").json()
    hidden = gateway.client.get("/hidden?a=%20&x-key=k&b").json()
    assert (shown["path"], hidden["path"]) == ("/shown?a=%20&x-key=k", "/hidden?a=%20&b")
    assert "X-Key" not in gateway.client.get("/hidden", headers={"X-Key": "k"}).json()["headers"]


@pytest.mark.parametrize(
    ("algorithm", "key", "credential"),
    [
        *((name, SECRET * 2, {"secret": SECRET * 2}) for name in ("HS256", "HS384", "HS512")),
        *((name, RSA_KEY, {"rsa_public_key": pem(RSA_KEY)}) for name in ("RS256", "RS512")),
        ("ES256", EC_KEY, {"rsa_public_key": pem(EC_KEY)}),
    ],
)
def test_a_signed_token_identifies_its_consumer(
    gateway: Gateway,
    echo: int,
    algorithm: str,
    key: str | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    credential: dict[str, str],
) -> None:
    secrets = [{"key": "alice-iss", "algorithm": algorithm, **credential}]
    gateway.configure(
        service(echo, route(paths=["/"])), consumers=[consumer("alice", jwt_secrets=secrets)], plugins=[plugin("jwt")]
    )
    signed = jwt.encode({"iss": "alice-iss"}, key, algorithm)
    for answer in (gateway.client.get("/", headers=bearer(signed)), gateway.client.get(f"/?jwt={signed}")):
        assert told(answer, "X-Consumer-Username", "X-Credential-Identifier") == {
            "X-Consumer-Username": "alice",
            "X-Credential-Identifier": "alice-iss",
        }
    head, claims, signature = signed.split(".")
    forged = ".".join((head, claims, ("A" if signature[5] != "A" else "B").join((signature[:5], signature[6:]))))
    assert gateway.client.get("/", headers=bearer(forged)).text == '{"message":"Invalid signature"}'


def test_an_invalid_token_is_refused_with_the_reason(gateway: Gateway, echo: int) -> None:
    secrets = [*hmac_secret("alice-iss"), {"key": "rsa", "algorithm": "RS256", "rsa_public_key": pem(RSA_KEY)}]
    gateway.configure(
        service(echo, route(paths=["/"])),
        consumers=[consumer("alice", jwt_secrets=secrets)],
        plugins=[plugin("jwt", {"claims_to_verify": ["exp", "nbf"]})],
    )

    def refused(**request: Any) -> tuple[int, str, Any]:  # noqa: ANN401 -- JSON
        answer = gateway.client.get("/", **request)
        assert answer.text == json.dumps(answer.json(), separators=(",", ":"))
        return answer.status_code, answer.headers["www-authenticate"], answer.json()

    assert refused() == (401, "Bearer", {"message": "Unauthorized"})
    now = int(time.time())
    good = {"iss": "alice-iss", "exp": now + 3600, "nbf": now}
    public_as_secret = jwt.api_jws.encode(json.dumps({**good, "iss": "rsa"}).encode(), SECRET, "HS256")
    for token, body in (
        ("no.token", {"message": "Bad token; invalid JSON"}),
        (jwt.encode(good, "", "none"), {"message": "Bad token; invalid alg"}),
        (jwt.encode({}, SECRET), {"message": "No mandatory 'iss' in claims"}),
        (jwt.encode({"iss": ""}, SECRET), {"message": "Invalid 'iss' in claims"}),
        (jwt.encode({**good, "iss": "bob"}, SECRET), {"message": "No credentials found for given 'iss'"}),
        (public_as_secret, {"message": "Invalid algorithm"}),
        (jwt.encode(good, SECRET + "!"), {"message": "Invalid signature"}),
        (jwt.encode({**good, "exp": now - 1}, SECRET), {"exp": "token expired"}),
        (jwt.encode({**good, "nbf": now + 3600}, SECRET), {"nbf": "token not valid yet"}),
        (jwt.encode({"iss": "alice-iss"}, SECRET), {"exp": "must be a number", "nbf": "must be a number"}),
    ):
        assert refused(headers=bearer(token)) == (401, 'Bearer error="invalid_token"', body)
    several = {"headers": bearer(jwt.encode(good, SECRET)), "params": {"jwt": "another"}}
    assert refused(**several)[2] == {"message": "Multiple tokens provided"}
    assert gateway.client.get("/", headers=bearer(jwt.encode(good, SECRET))).status_code == 200


def test_acl_admits_by_group(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, *(route(name=name, paths=[f"/{name}"]) for name in ("shown", "hidden", "open"))),
        consumers=[
            consumer("alice", "team-a", "team-c", keyauth_credentials=[{"key": "alice"}]),
            consumer("bob", "team-b", keyauth_credentials=[{"key": "bob"}]),
        ],
        plugins=[
            plugin("key-auth", route="shown"),
            plugin("key-auth", route="hidden"),
            plugin("acl", {"allow": ["team-a"]}, route="shown"),
            plugin("acl", {"allow": ["team-a"], "hide_groups_header": True}, route="hidden"),
            plugin("acl", {"allow": ["team-a"]}, route="open"),
        ],
    )
    alice, bob = {"apikey": "alice"}, {"apikey": "bob"}
    passed = gateway.client.get("/shown", headers={**alice, "X-Consumer-Groups": "admins"})
    assert told(passed, "X-Consumer-Groups") == {"X-Consumer-Groups": "team-a, team-c"}
    assert told(gateway.client.get("/hidden", headers=alice), "X-Consumer-Groups") == {"X-Consumer-Groups": None}
    refused = gateway.client.get("/shown", headers=bob)
    assert (refused.status_code, refused.json()["message"]) == (403, "You cannot consume this service")
    unknown = gateway.client.get("/open")
    assert (unknown.status_code, unknown.json()["message"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"plugins": [plugin("jwt", {"claims": ["exp"]})]}, "config.claims"),
        ({"plugins": [plugin("jwt", {"claims_to_verify": ["iat"]})]}, "config.claims_to_verify"),
        ({"plugins": [plugin("key-auth", {"key_names": []})]}, "config.key_names"),
        ({"plugins": [plugin("acl", {"allow": []})]}, "config.allow"),
        ({"plugins": [plugin("acl", {"deny": ["b"]})]}, "config.deny"),
        ({"plugins": [plugin("jwt", consumer="nobody")]}, "consumer"),
        ({"keyauth_credentials": [{"key": "k"}]}, "consumer"),
        ({"plugins": [plugin("rate-limiting")]}, "config"),
        ({"plugins": [plugin("rate-limiting", {"minute": 5, "hour": 4})]}, "config"),
        ({"plugins": [plugin("rate-limiting", {"minute": 0})]}, "config.minute"),
        ({"plugins": [plugin("rate-limiting", {"minute": 5, "policy": "cluster"})]}, "config.policy"),
        ({"plugins": [plugin("rate-limiting", {"minute": 5, "policy": "redis"})]}, "config.redis.host"),
        ({"plugins": [plugin("ip-restriction", {"allow": ["10.0.0.0/33"]})]}, "config.allow"),
        ({"plugins": [plugin("request-size-limiting", {"size_unit": "kilobytes"})]}, "config.size_unit"),
        ({"plugins": [plugin("cors", {"origins": ["("]})]}, "config.origins"),
        ({"plugins": [plugin("pre-function", {"access": ["return ("]})]}, "config.access"),
        ({"plugins": [plugin("post-function", {"access": []})]}, "config"),
        ({"consumers": [consumer("a", jwt_secrets=[{"key": "k", "algorithm": "RS256"}])]}, "rsa_public_key"),
        (
            {
                "consumers": [
                    consumer("a", jwt_secrets=[{"key": "k", "algorithm": "none", "rsa_public_key": pem(RSA_KEY)}])
                ]
            },
            "algorithm",
        ),
        ({"consumers": [consumer(n, keyauth_credentials=[{"key": "shared-key"}]) for n in "ab"]}, "@entity"),
    ],
)
def test_an_invalid_configuration_is_refused_without_printing_a_credential(
    gateway: Gateway, config: dict[str, Any], field: str
) -> None:
    refused = gateway.post(config)
    assert refused.status_code == 400
    assert [error["field"] for fault in refused.json()["flattened_errors"] for error in fault["errors"]] == [field]
    assert "shared-key" not in refused.text


# A day's window ends at midnight: hardly ever between two requests of a test.
def test_a_rate_limit_refuses_with_retry_after(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, route(name="limited", paths=["/limited"])),
        plugins=[plugin("rate-limiting", {"day": 2, "year": 9}, route="limited")],
    )
    answers = [gateway.client.get("/limited") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    shown = ("ratelimit-limit", "ratelimit-remaining", "x-ratelimit-limit-day", "x-ratelimit-remaining-day")
    assert [[answer.headers[name] for name in shown] for answer in answers] == [
        ["2", "1", "2", "1"],
        ["2", "0", "2", "0"],
        ["2", "0", "2", "0"],
    ]
    assert [answer.headers["x-ratelimit-remaining-year"] for answer in answers] == ["8", "7", "7"]
    assert answers[2].json()["message"] == "API rate limit exceeded"
    assert 0 < int(answers[2].headers["ratelimit-reset"]) <= 86400
    assert [answer.headers.get("retry-after") for answer in answers[:2]] == [None, None]
    assert answers[2].headers["retry-after"] == answers[2].headers["ratelimit-reset"]


def test_rate_limit_counters_survive_a_configuration_change(gateway: Gateway, echo: int) -> None:
    limit = plugin("rate-limiting", {"day": 1}, route="counted")
    gateway.configure(service(echo, route(name="counted", paths=["/counted"])), plugins=[limit])
    first = gateway.client.get("/counted").status_code
    gateway.configure(
        service(echo, route(name="counted", paths=["/counted"]), route(name="new", paths=["/new"])), plugins=[limit]
    )
    assert (first, gateway.client.get("/counted").status_code) == (200, 429)


def test_limit_by_selects_the_counted_identity(gateway: Gateway, echo: int) -> None:
    names = ("ip", "consumer", "header", "service")
    gateway.configure(
        service(echo, *(route(name=f"by-{name}", paths=[f"/by-{name}"]) for name in names)),
        consumers=[consumer(name, keyauth_credentials=[{"key": name}]) for name in ("alice", "bob")],
        plugins=[
            plugin("key-auth", route="by-consumer"),
            plugin("rate-limiting", {"day": 1, "limit_by": "ip"}, route="by-ip"),
            plugin("rate-limiting", {"day": 1, "limit_by": "consumer"}, route="by-consumer"),
            plugin("rate-limiting", {"day": 1, "limit_by": "header", "header_name": "X-Team"}, route="by-header"),
            plugin("rate-limiting", {"day": 3, "limit_by": "service"}, route="by-service"),
        ],
    )

    def twice(path: str, *headers: dict[str, str]) -> list[int]:
        return [gateway.client.get(path, headers=one).status_code for one in headers for _ in range(2)]

    assert twice("/by-ip", {"X-Real-IP": "203.0.113.1"}, {"X-Real-IP": "203.0.113.2"}) == [200, 429] * 2
    assert twice("/by-consumer", {"apikey": "alice"}, {"apikey": "bob"}) == [200, 429] * 2
    assert twice("/by-header", {"X-Team": "a"}, {"X-Team": "b"}) == [200, 429] * 2
    # All requests to a service together, of every client.
    assert twice("/by-service", {"X-Real-IP": "203.0.113.1"}, {"X-Real-IP": "203.0.113.2"}) == [200, 200, 200, 429]


class Redis(socketserver.StreamRequestHandler):
    """As much of Redis as Kong's script for counting needs."""

    kept: ClassVar[dict[str, int]] = {}
    expiries: ClassVar[list[int]] = []

    def handle(self) -> None:
        trusted = False
        while head := self.rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            trusted = trusted or words == ["AUTH", "of-redis"]
            self.wfile.write(self.reply(*words) if trusted else b"-NOAUTH Authentication required.\r\n")

    def reply(self, command: str, key: str, *arguments: str) -> bytes:
        match command:
            case "EVAL":
                assert "incr" in key
                _, counter, expiry = arguments
                self.kept[counter] = self.kept.get(counter, 0) + 1
                if self.kept[counter] == 1:
                    self.expiries.append(int(expiry))
                return f":{self.kept[counter] - 1}\r\n".encode()
        return b"+OK\r\n"


class Store(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


def test_a_redis_policy_shares_the_limit_among_gateways(tmp_path: Path, gateway: Gateway, echo: int) -> None:
    port = free_port()
    redis = {"host": "127.0.0.1", "port": port, "password": "of-redis", "timeout": 60_000}
    limit = {"day": 3, "year": 100, "policy": "redis", "redis": redis}
    strict = plugin("rate-limiting", {**limit, "fault_tolerant": False}, route="strict")
    config = {
        "services": [service(echo, route(id=SHARED, name="shared", paths=["/s"]), route(name="strict", paths=["/x"]))],
        "plugins": [plugin("rate-limiting", limit, route="shared"), strict],
    }
    (tmp_path / "other").mkdir()
    with running(tmp_path / "other") as other:
        assert {one.post(config).status_code for one in (gateway, other)} == {201}
        down = gateway.client.get("/s")
        assert (down.status_code, "ratelimit-limit" in down.headers) == (200, False)
        assert gateway.client.get("/x").status_code == 500
        with Store(("127.0.0.1", port), Redis) as server:
            threading.Thread(target=server.serve_forever).start()
            asked = [one.client.get("/s") for one in (gateway, other, gateway, other, gateway)]
            server.shutdown()
    assert [answer.status_code for answer in asked] == [200, 200, 200, 429, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in asked] == ["2", "1", "0", "0", "0"]
    # Kong counts first: what it then refuses eats into the longer window as well.
    assert [answer.headers["x-ratelimit-remaining-year"] for answer in asked] == ["99", "98", "97", "97", "96"]
    assert (list(Redis.kept.values()), set(Redis.expiries)) == ([5, 5], {86400, 31536000})


def test_ip_restriction_uses_the_trusted_hops_address(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, *(route(name=name, paths=[f"/{name}"]) for name in ("allow", "deny"))),
        plugins=[
            plugin("ip-restriction", {"allow": ["203.0.113.0/24", "2001:db8::1"]}, route="allow"),
            plugin("ip-restriction", {"deny": ["203.0.113.7"]}, route="deny"),
        ],
    )

    def asked(path: str, client: str) -> httpx.Response:
        return gateway.client.get(path, headers={"X-Real-IP": client})

    passing = {("/allow", "203.0.113.9"), ("/allow", "2001:db8::1"), ("/deny", "203.0.113.8"), ("/deny", "2001:db8::1")}
    assert {asked(*one).status_code for one in passing} == {200}
    for path, client in (("/allow", "198.51.100.1"), ("/allow", "2001:db8::2"), ("/deny", "203.0.113.7")):
        refused = asked(path, client)
        assert (refused.status_code, refused.json()["message"]) == (403, f"IP address not allowed: {client}")


def test_a_body_that_is_too_large_is_refused(gateway: Gateway, echo: int) -> None:
    limit = plugin("request-size-limiting", {"allowed_payload_size": 1, "size_unit": "megabytes"})
    gateway.configure(service(echo, route(paths=["/"])), plugins=[limit])
    fits, exceeds = b"a" * 2**20, b"a" * (2**20 + 1)
    assert gateway.client.post("/", content=fits).json()["body"] == fits.decode()
    chunked = gateway.client.post("/", content=iter([fits])).json()
    assert (chunked["body"], chunked["headers"]["Content-Length"]) == (fits.decode(), str(2**20)), (
        "read before it is sent on"
    )
    for answer, status, said in (
        (gateway.client.post("/", content=exceeds), 413, "Request size limit exceeded"),
        (gateway.client.post("/", content=iter([exceeds])), 413, "Request size limit exceeded"),
        (
            gateway.client.post("/", content=exceeds, headers={"Expect": "100-continue"}),
            417,
            "Request size limit exceeded",
        ),
    ):
        assert (answer.status_code, answer.json()["message"]) == (status, said)


def test_bot_detection_refuses_all_but_allowed_bots(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, route(paths=["/"])),
        plugins=[plugin("bot-detection", {"allow": ["goodbot"], "deny": ["helloworld"]})],
    )
    agents = {
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": 403,
        "facebookexternalhit/1.1": 403,
        "okhttp/4.12.0": 403,
        "Go-http-client/2.0": 403,
        "axios/1.7.2": 403,
        "aws-sdk-java/2.20": 403,
        "AhrefsBot/7.0": 403,
        "AhrefsBot": 200,
        "Slackbot": 200,
        "python-requests/2.32": 200,
        "Go-HTTP-client": 200,
        "Mozilla/5.0 (Linux; Android 14; CUBOT KINGKONG)": 200,
        "helloworld/1": 403,
        "goodbot/1": 200,
        "curl/8.5.0": 200,
    }
    assert {agent: gateway.client.get("/", headers={"User-Agent": agent}).status_code for agent in agents} == agents
    refused = gateway.client.get("/", headers={"User-Agent": "helloworld"})
    assert refused.json()["message"] == "Forbidden"


def test_a_preflight_is_answered_before_any_authentication(gateway: Gateway, echo: int) -> None:
    cors = {"origins": ["https://app.example.com"], "methods": ["GET", "POST"], "headers": ["Authorization"]}
    gateway.configure(
        service(echo, route(paths=["/"])),
        plugins=[plugin("jwt"), plugin("cors", {**cors, "credentials": True, "max_age": 600})],
    )
    origin = {"Origin": "https://app.example.com"}
    preflight = gateway.client.options("/", headers={**origin, "Access-Control-Request-Method": "POST"})
    assert (preflight.status_code, preflight.text) == (200, "")
    assert {
        name: value for name, value in preflight.headers.items() if name.startswith("access-") or name == "vary"
    } == {
        "access-control-allow-origin": "https://app.example.com",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "Authorization",
        "access-control-max-age": "600",
        "vary": "Origin",
    }
    refused = gateway.client.get("/", headers=origin)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://app.example.com")
    assert gateway.client.options("/", headers=origin).status_code == 401, "without a method it is no preflight"


@pytest.mark.parametrize(
    ("config", "origin", "allowed"),
    [
        ({}, "https://any.test", "*"),
        ({"credentials": True}, "https://any.test", "https://any.test"),
        ({"origins": ["https://one.test"]}, "https://other.test", "https://one.test"),
        ({"origins": ["https://one.test", "https://two.test"]}, "https://two.test:443", "https://two.test"),
        ({"origins": ["https://one.test", "https://two.test"]}, "https://other.test", None),
    ],
)
def test_cors_headers_name_the_allowed_origin(
    gateway: Gateway, echo: int, config: dict[str, Any], origin: str, allowed: str | None
) -> None:
    gateway.configure(service(echo, route(paths=["/"])), plugins=[plugin("cors", config)])
    headers = gateway.client.get("/", headers={"Origin": origin}).headers
    assert headers.get("access-control-allow-origin") == allowed
    assert ("vary" in headers) is (allowed != "*")


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        ('ngx.req.set_header("X-Mine", "yes")', 200, '"X-Mine": "yes"'),
        ("return function() end", 200, '"path": "/"'),
        ('kong.response.exit(403, "Not you")', 500, "An unexpected error occurred"),
        ("error('a mistake')", 500, "An unexpected error occurred"),
        ("kong.cache.get('a')", 500, "An unexpected error occurred"),
        ("os.exit(1)", 500, "An unexpected error occurred"),
    ],
)
def test_custom_lua_runs_with_the_supported_functions_only(
    gateway: Gateway, echo: int, script: str, status: int, text: str
) -> None:
    gateway.configure(service(echo, route(paths=["/"])), plugins=[plugin("pre-function", {"access": [script]})])
    answer = gateway.client.get("/")
    assert (answer.status_code, text in answer.text) == (status, True), answer.text
