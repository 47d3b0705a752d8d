"""The proxy stand-in's plugins do what Kong documents: who may pass, how often, and from where."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.paths import tool
from tests.e2e.gateway import Echo, Gateway, running, served
from tests.e2e.test_kong_proxy import route, service

pytestmark = pytest.mark.skipif(not tool("kong").exists(), reason="the proxy stand-in isn't built")

SECRET = "of-thirty-two-bytes-and-some-more"  # noqa: S105 -- signs nothing but these tests' tokens
RSA_KEY = rsa.generate_private_key(65537, 2048)
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
    """What the service was told in headers."""
    headers = answer.json()["headers"]
    return {name: headers.get(name) for name in names}


def test_a_key_in_header_or_query_names_its_consumer_and_nothing_else_does(gateway: Gateway, echo: int) -> None:
    alice = {"id": "8a8a0f94-ad26-4f0a-9b4c-1f5d6bf0a001", "custom_id": "4711"}
    credential = {"key": "alices-key", "id": "8a8a0f94-ad26-4f0a-9b4c-1f5d6bf0a002"}
    gateway.configure(
        service(echo, route(paths=["/"])),
        consumers=[consumer("alice", keyauth_credentials=[credential], **alice)],
        plugins=[plugin("key-auth")],
    )
    for answer in (
        gateway.client.get("/", headers={"apikey": "alices-key", "X-Anonymous-Consumer": "true"}),
        gateway.client.get("/?apikey=alices-key", headers={"X-Consumer-Username": "mallory"}),
    ):
        names = ("X-Consumer-Id", "X-Consumer-Custom-Id", "X-Consumer-Username", "X-Credential-Identifier")
        assert told(answer, *names) == dict(zip(names, (alice["id"], "4711", "alice", credential["id"]), strict=True))
        assert told(answer, "X-Anonymous-Consumer") == {"X-Anonymous-Consumer": None}
    for wrong, said in (
        ({}, "No API key found in request"),
        ({"headers": {"apikey": "bobs-key"}}, "Unauthorized"),
        ({"headers": [("apikey", "alices-key"), ("apikey", "bobs-key")]}, "Duplicate API key found"),
    ):
        answer = gateway.client.get("/", **wrong)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Key")
        assert answer.text == f'{{\n  "message":"{said}",\n  "request_id":"{answer.headers["x-kong-request-id"]}"\n}}'


def test_a_key_is_hidden_from_the_service_on_demand(gateway: Gateway, echo: int) -> None:
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
def test_a_token_signed_with_a_consumers_credential_passes_as_that_consumer(
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


def test_a_token_that_does_not_count_is_refused_with_the_reason(gateway: Gateway, echo: int) -> None:
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
    good = {"iss": "alice-iss", "exp": now + 60, "nbf": now}
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
        (jwt.encode({**good, "nbf": now + 60}, SECRET), {"nbf": "token not valid yet"}),
        (jwt.encode({"iss": "alice-iss"}, SECRET), {"exp": "must be a number", "nbf": "must be a number"}),
    ):
        assert refused(headers=bearer(token)) == (401, 'Bearer error="invalid_token"', body)
    several = {"headers": bearer(jwt.encode(good, SECRET)), "params": {"jwt": "another"}}
    assert refused(**several)[2] == {"message": "Multiple tokens provided"}
    assert gateway.client.get("/", headers=bearer(jwt.encode(good, SECRET))).status_code == 200


def test_a_preflight_needs_no_token_if_it_is_told_so(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, route(name="strict", paths=["/strict"]), route(name="lax", paths=["/lax"])),
        plugins=[plugin("jwt", route="strict"), plugin("jwt", {"run_on_preflight": False}, route="lax")],
    )
    asked = {path: gateway.client.options(path).status_code for path in ("/strict", "/lax")}
    assert (asked, gateway.client.get("/lax").status_code) == ({"/strict": 401, "/lax": 200}, 401)


def test_with_an_anonymous_consumer_any_of_several_authentications_will_do(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, route(paths=["/"])),
        consumers=[
            consumer("nobody"),
            consumer("alice", jwt_secrets=hmac_secret("alice-iss"), keyauth_credentials=[{"key": "k"}]),
        ],
        plugins=[plugin("jwt", {"anonymous": "nobody"}), plugin("key-auth", {"anonymous": "nobody"})],
    )
    names = ("X-Consumer-Username", "X-Anonymous-Consumer")
    for headers in (bearer(jwt.encode({"iss": "alice-iss"}, SECRET)), {"apikey": "k"}):
        assert told(gateway.client.get("/", headers=headers), *names) == dict(zip(names, ("alice", None), strict=True))
    anonymous = gateway.client.get("/", headers={"apikey": "wrong"})
    assert told(anonymous, *names, "X-Credential-Identifier") == {
        **dict(zip(names, ("nobody", "true"), strict=True)),
        "X-Credential-Identifier": None,
    }


def test_groups_decide_who_passes(gateway: Gateway, echo: int) -> None:
    gateway.configure(
        service(echo, *(route(name=name, paths=[f"/{name}"]) for name in ("allow", "deny", "open"))),
        consumers=[
            consumer("alice", "team-a", "team-c", keyauth_credentials=[{"key": "alice"}]),
            consumer("bob", "team-b", keyauth_credentials=[{"key": "bob"}]),
        ],
        plugins=[
            plugin("key-auth", route="allow"),
            plugin("key-auth", route="deny"),
            plugin("acl", {"allow": ["team-a"]}, route="allow"),
            plugin("acl", {"deny": ["team-a"], "hide_groups_header": True}, route="deny"),
            plugin("acl", {"allow": ["team-a"]}, route="open"),
        ],
    )
    alice, bob = {"apikey": "alice"}, {"apikey": "bob"}
    passed = gateway.client.get("/allow", headers={**alice, "X-Consumer-Groups": "admins"})
    assert told(passed, "X-Consumer-Groups") == {"X-Consumer-Groups": "team-a, team-c"}
    assert told(gateway.client.get("/deny", headers=bob), "X-Consumer-Groups") == {"X-Consumer-Groups": None}
    for path, headers in (("/allow", bob), ("/deny", alice)):
        refused = gateway.client.get(path, headers=headers)
        assert (refused.status_code, refused.json()["message"]) == (403, "You cannot consume this service")
    unknown = gateway.client.get("/open")
    assert (unknown.status_code, unknown.json()["message"]) == (401, "Unauthorized")


def test_a_consumers_own_plugin_comes_before_its_routes(gateway: Gateway, echo: int) -> None:
    def end(message: str, **to: str) -> dict[str, Any]:
        return plugin("request-termination", {"message": message}, **to)

    gateway.configure(
        service(echo, route(name="one", paths=["/one"]), route(name="two", paths=["/two"])),
        consumers=[consumer(name, keyauth_credentials=[{"key": name}]) for name in ("alice", "bob")],
        plugins=[
            plugin("key-auth"),
            end("route", route="one"),
            end("consumer", consumer="alice"),
            end("consumer on route", consumer="alice", route="two"),
        ],
    )
    said = {
        (name, path): gateway.client.get(path, headers={"apikey": name})
        for name in ("alice", "bob")
        for path in ("/one", "/two")
    }
    assert {key: answer.json().get("message") for key, answer in said.items()} == {
        ("alice", "/one"): "consumer",
        ("alice", "/two"): "consumer on route",
        ("bob", "/one"): "route",
        ("bob", "/two"): None,
    }


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"plugins": [plugin("jwt", {"claims": ["exp"]})]}, "config.claims"),
        ({"plugins": [plugin("jwt", {"claims_to_verify": ["iat"]})]}, "config.claims_to_verify"),
        ({"plugins": [plugin("key-auth", {"key_names": []})]}, "config.key_names"),
        ({"plugins": [plugin("acl", {"allow": ["a"], "deny": ["b"]})]}, "config"),
        ({"plugins": [plugin("jwt", consumer="nobody")]}, "consumer"),
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
def test_a_configuration_that_is_wrong_is_refused_without_telling_a_credential(
    gateway: Gateway, config: dict[str, Any], field: str
) -> None:
    refused = gateway.post(config)
    assert refused.status_code == 400
    assert [error["field"] for fault in refused.json()["flattened_errors"] for error in fault["errors"]] == [field]
    assert "shared-key" not in refused.text
