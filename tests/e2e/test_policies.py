"""Policies of routes from a client's view: the real controller configures the gateway, and requests show the effect."""

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.e2e import inside
from tests.e2e.configured import Configured, configured
from tests.e2e.inside import METADATA, PRIVATE, PUBLIC, STRANGER, STRANGERS, address, reached
from tests.e2e.leaks import PLANTED, leaks
from tests.e2e.stack import Stack, control, stack_file
from tests.e2e.tokens import public, token
from tests.support import PATIENCE, eventually

# Later tests destroy the stack, so it needn't be restored.
pytestmark = pytest.mark.last(2)

SECRET = PLANTED["consumers[0].jwt.secret"]
API_KEY = "planted-key-of-carol"
ERINS_API_KEY = "planted-key-of-erin-x"
BOBS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
DORAS_KEY = ec.generate_private_key(ec.SECP256R1())


FOO: dict[str, Any] = {"name": "foo", "path": "/foo", "build": "apps/foo"}
BAR: dict[str, Any] = {"name": "bar", "path": "/bar", "build": "apps/bar"}
VAULT: dict[str, Any] = {"name": "vault", "path": "/vault", "build": "apps/foo", "rewrite": "/foo", "auth": "jwt"}
ECHO = """
import time
from collections import Counter

from flask import Flask, Response, jsonify, request

app = Flask(__name__)
asked = Counter()


@app.route("/healthz")
@app.route("/v1/<path:rest>", methods=["GET", "POST"])
def echo(rest: str = "") -> Response:
    asked[rest] += 1
    time.sleep(float(request.args.get("seconds", 0)))
    seen = {"path": request.path, "query": request.args, "headers": dict(request.headers), "asked": asked}
    answer = jsonify(**seen, body=request.get_json(silent=True), debug="yes")
    answer.headers["X-Debug"] = "yes"
    return answer
"""
GATEWAY = {"requestId": True, "accessLog": True, "metrics": True}
HOME = "127.9.8.7"
DENIED_ADDRESS = "127.9.8.8"
ADDRESS_LISTS: dict[str, Any] = {"allowIps": ["127.9.8.0/24"], "denyIps": [DENIED_ADDRESS]}
EGRESS = {"internet": False, "services": ["bar"], "namespaces": [STRANGERS], "networks": [f"{PRIVATE}/32"]}
SERVICES: list[dict[str, Any]] = [
    FOO | {"auth": "jwt", "allow": ["team-a"], "cors": {"origins": ["https://shop.example"]}, "egress": EGRESS},
    BAR
    | {"auth": "key-auth", "rateLimit": {"second": 5, "hour": 8, "by": "consumer"}}
    | {"ingress": {"namespaces": [STRANGERS]}},
    {
        "name": "echo",
        "path": "/echo",
        "build": "apps/echo",
        "rewrite": "/v1",
        "bodyLimit": 1,
        "botDetection": True,
        "cors": {"origins": ["https://shop.example"]},
        "securityHeaders": True,
        "timeouts": {"read": 3},
        "retries": 1,
        "requestHeaders": {"set": {"X-Tenant": "ours"}, "remove": ["X-Debug"]},
        "requestQuery": {"add": {"page": "1"}},
        "requestBody": {"rename": {"old": "new"}},
        "responseHeaders": {"remove": ["X-Debug"]},
        "responseBody": {"remove": ["debug"]},
    },
    {
        "name": "canary",
        "path": "/echo",
        "build": "apps/foo",
        "rewrite": "/foo",
        "whenHeaders": {"X-Canary": "always"},
    },
    {"name": "home", "path": "/home", "build": "apps/foo", "rewrite": "/foo"} | ADDRESS_LISTS,
    {"name": "busy", "path": "/busy", "build": "apps/foo", "rewrite": "/foo", "rateLimit": {"minute": 3}},
    {"name": "away", "path": "/away", "build": "apps/foo", "terminate": {"message": "Back at noon"}},
    VAULT,
]
CONSUMERS: list[dict[str, Any]] = [
    {"name": "alice", "groups": ["team-a"], "jwt": {}},
    {
        "name": "bob",
        "groups": ["team-b"],
        "jwt": {"key": "https://bob.example", "algorithm": "RS256", "publicKey": public(BOBS_KEY)},
    },
    {"name": "carol"},
    {"name": "dora", "groups": ["team-a"], "jwt": {"algorithm": "ES256", "publicKey": public(DORAS_KEY)}},
    {"name": "erin"},
]
SECRETS = PLANTED | {"consumers[2].apiKey": API_KEY, "consumers[4].apiKey": ERINS_API_KEY}


def status_from(address: str, changed: Configured, path: str, **headers: str) -> int:
    """Returns the status of a request from an address."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address), headers=headers) as client:
        return client.get(f"http://{changed.address}{path}", timeout=PATIENCE).status_code


@pytest.fixture(scope="module")
def answers_of_a_new_route() -> list[int]:
    """Statuses of /vault to a client without a token, while the route was created."""
    return []


@pytest.fixture(scope="module")
def guarded(stack: Stack, answers_of_a_new_route: list[int]) -> Iterator[Configured]:
    """Consumers and a variable whose values are Pulumi secrets, and services with a policy of each kind."""
    echo = stack.folder / "apps" / "echo"
    shutil.copytree(stack.folder / "apps" / "foo", echo)
    (echo / "app.py").write_text(ECHO)
    with configured(stack, restored=False) as changed:
        changed.set("consumers", CONSUMERS)
        changed.set("gateway", GATEWAY)
        changed.set("services", SERVICES)
        for place, value in SECRETS.items():
            stack.pulumi("config", "set", "--secret", "--path", f"kong-doks:{place}", value)
        with changed.asked_throughout("/vault") as statuses:
            stack.up()
            eventually(lambda: changed.get("/vault", Authorization=token("alice", SECRET)).status_code == 200)
        # Those were there before, so `up` doesn't wait for the controller.
        eventually(lambda: {changed.get(path).status_code for path in ("/foo", "/bar")} == {401})
        answers_of_a_new_route.extend(statuses)
        yield changed
    shutil.rmtree(echo)


@pytest.fixture(scope="module")
def services(guarded: Configured) -> dict[str, dict[str, Any]]:
    """The services by name as the stack file has them: the secret variable is encrypted."""
    return {service["name"]: service for service in stack_file(guarded.file)["config"]["services"]}


def test_a_request_without_a_token_gets_kongs_401(guarded: Configured) -> None:
    answer = guarded.get("/foo")
    assert answer.status_code == 401
    assert answer.json() == {"message": "Unauthorized"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_of_an_allowed_group_is_accepted(guarded: Configured) -> None:
    answer = guarded.get("/foo", Authorization=token("alice", SECRET))
    assert answer.status_code == 200
    assert answer.json() == {"msg": "Hello from the foo microservice"}
    assert guarded.get("/foo", Authorization=token("dora", DORAS_KEY, "ES256")).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "answer"),
    [
        (token("alice", "another-secret-of-32-characters-or-more"), {"message": "Invalid signature"}),
        (token("mallory", SECRET), {"message": "No credentials found for given 'iss'"}),
        (token("alice", SECRET, exp=time.time() - 60), {"exp": "token expired"}),
        (token("alice", SECRET, exp=None), {"exp": "must be a number"}),
        (token("dora", ec.generate_private_key(ec.SECP256R1()), "ES256"), {"message": "Invalid signature"}),
    ],
    ids=["another key", "a stranger", "expired", "without an end", "another key pair"],
)
def test_an_invalid_token_is_refused(guarded: Configured, authorization: str, answer: dict[str, str]) -> None:
    refused = guarded.get("/foo", Authorization=authorization)
    assert refused.status_code == 401
    assert refused.json() == answer


def test_a_valid_token_of_another_group_is_forbidden(guarded: Configured) -> None:
    answer = guarded.get("/foo", Authorization=token("https://bob.example", BOBS_KEY, "RS256"))
    assert answer.status_code == 403
    assert answer.json()["message"] == "You cannot consume this service"


def test_an_api_key_is_accepted(guarded: Configured) -> None:
    assert guarded.get("/bar", apikey=API_KEY).json() == {"msg": "Hello from the bar microservice"}
    refused = guarded.get("/bar")
    assert refused.status_code == 401
    assert refused.json()["message"] == "No API key found in request"


def test_a_rate_limited_response_has_retry_after(guarded: Configured) -> None:
    assert guarded.get("/busy").status_code == 200
    # A minute may end on the way, before any of these requests.
    limited = eventually(lambda: answer if (answer := guarded.get("/busy")).status_code == 429 else None, pause=0)
    assert limited.json()["message"] == "API rate limit exceeded"
    assert int(limited.headers["Retry-After"]) >= 1
    assert limited.headers["X-RateLimit-Limit-Minute"] == "3"
    assert limited.headers["RateLimit-Remaining"] == "0"


def test_rate_limits_count_each_consumer_separately(guarded: Configured) -> None:
    allowed = 0

    def used_up() -> bool:
        nonlocal allowed
        answer = guarded.get("/bar", apikey=ERINS_API_KEY)
        allowed += answer.status_code == 200
        limits = {window: answer.headers[f"X-RateLimit-Limit-{window}"] for window in ("Second", "Hour")}
        assert limits == {"Second": "5", "Hour": "8"}
        return answer.status_code == 429 and answer.headers["X-RateLimit-Remaining-Hour"] == "0"

    eventually(used_up)
    assert allowed in range(8, 17)  # an hour may end on the way
    assert guarded.get("/bar", apikey=API_KEY).status_code == 200


def test_deny_ips_overrides_allow_ips(guarded: Configured) -> None:
    assert status_from(HOME, guarded, "/home") == 200
    assert status_from(DENIED_ADDRESS, guarded, "/home") == 403
    refused = guarded.get("/home")
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("IP address not allowed: 127.")


def test_a_body_over_the_limit_is_refused(guarded: Configured) -> None:
    assert guarded.post("/echo/a", "x" * 1000).status_code == 200
    refused = guarded.post("/echo/a", "x" * 2**20)
    assert refused.status_code == 413
    assert refused.json()["message"] == "Request size limit exceeded"


def test_a_bot_is_refused(guarded: Configured) -> None:
    assert guarded.get("/echo/a", **{"User-Agent": "Googlebot/2.1"}).status_code == 403
    assert guarded.get("/echo/a", **{"User-Agent": "Mozilla/5.0"}).status_code == 200


def test_cors_admits_only_the_configured_origin(guarded: Configured) -> None:
    ours = guarded.get("/echo/a", Origin="https://shop.example")
    assert ours.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    theirs = guarded.get("/echo/a", Origin="https://evil.example")
    assert theirs.headers.get("Access-Control-Allow-Origin") != "https://evil.example"


def test_a_preflight_request_needs_no_credential(guarded: Configured) -> None:
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "GET"}
    preflight = httpx.options(f"http://{guarded.address}/foo", headers=headers, timeout=PATIENCE)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert httpx.options(f"http://{guarded.address}/foo", timeout=PATIENCE).status_code == 401


def test_requests_and_responses_are_transformed(guarded: Configured) -> None:
    url = f"http://{guarded.address}/echo/items?q=1"
    headers = {"X-Tenant": "theirs", "X-Debug": "yes"}
    answer = httpx.post(url, json={"old": 1}, headers=headers, timeout=PATIENCE)
    seen = answer.json()
    assert seen["path"] == "/v1/items"
    assert seen["query"] == {"q": "1", "page": "1"}
    assert seen["headers"]["X-Tenant"] == "ours"
    assert "X-Debug" not in seen["headers"]
    assert seen["body"] == {"new": 1}
    assert "debug" not in seen
    assert "X-Debug" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_canary_with_header_routing_is_chosen_by_the_header(guarded: Configured) -> None:
    assert guarded.get("/echo/a").json()["path"] == "/v1/a"
    assert guarded.get("/echo/a", **{"X-Canary": "never"}).json()["path"] == "/v1/a"
    canary = guarded.get("/echo", **{"X-Canary": "always"})
    assert canary.json() == {"msg": "Hello from the foo microservice"}


def test_client_and_service_see_the_same_request_id(guarded: Configured) -> None:
    answer = guarded.get("/echo/a")
    assert answer.json()["headers"]["X-Request-Id"] == answer.headers["X-Request-ID"]
    assert guarded.get("/echo/a", **{"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"


def test_the_access_log_is_json_without_credentials(guarded: Configured) -> None:
    request_id = guarded.get("/bar", apikey=API_KEY).headers["X-Request-ID"]
    logs = ("kubectl", "logs", "-n", "kong", "deployment/kong", "-c", "proxy", "--tail=100")

    def entries() -> list[dict[str, Any]]:
        lines = guarded.stack.run(*logs).stdout.splitlines()
        parsed = [json.loads(line) for line in lines if line.startswith("{")]
        return [entry for entry in parsed if entry["request"]["headers"].get("x-request-id") == request_id]

    eventually(lambda: len(entries()) == 1)
    (entry,) = entries()
    assert entry["response"]["status"] == 200
    assert entry["consumer"]["username"] == "carol"
    assert API_KEY not in json.dumps(entry)


def test_metrics_count_requests_by_service_and_status(guarded: Configured) -> None:
    guarded.get("/foo")

    def is_counted() -> bool:
        metrics = guarded.stack.kong(8100, "/metrics").stdout
        counters = [line for line in metrics.splitlines() if line.startswith("kong_http_requests_total{")]
        return any('code="401"' in line and "foo-service" in line for line in counters)

    eventually(is_counted)


def test_a_slow_service_is_retried_as_configured(guarded: Configured) -> None:
    answer = guarded.get("/echo/slow?seconds=6")
    assert answer.status_code == 504
    assert answer.json()["message"] == "The upstream server is timing out"
    eventually(lambda: guarded.get("/echo/a").json()["asked"].get("slow") == 2)


def test_terminate_returns_the_configured_response(guarded: Configured) -> None:
    answer = guarded.get("/away")
    assert answer.status_code == 503
    assert answer.json() == {"message": "Back at noon"}


def test_credentials_are_encrypted_in_config_and_state(guarded: Configured) -> None:
    clear = guarded.file.read_text() + guarded.stack.pulumi("stack", "export").stdout
    for planted in (SECRET, API_KEY):
        assert planted not in clear


def test_a_plugin_refused_by_kong_closes_only_its_route(
    guarded: Configured, services: dict[str, dict[str, Any]]
) -> None:
    # No new route: Pulumi waits for the controller's status of a route. The sandbox's controller 3.4.0 writes none
    # while Kong refuses a plugin.
    home = services["home"] | {"plugins": {"bot-detection": {"deny": ["curl"]}}}
    away = services["away"] | {"terminate": {"message": "Back at one"}}
    # `pulumi up` refuses what Kong refuses, so somebody edits the plugin.
    edit = json.dumps({"config": {"deny": ["(?<open>"]}})
    try:
        guarded.up(*(services | {"home": home}).values())
        guarded.stack.run("kubectl", "patch", "kongplugin", "home.bot-detection", "--type=merge", f"--patch={edit}")
        guarded.up(*(services | {"home": home, "away": away}).values())
        eventually(lambda: guarded.get("/away").json() == {"message": "Back at one"})
        eventually(lambda: status_from(HOME, guarded, "/home") == 404)
        assert guarded.get("/foo").status_code == 401
    finally:
        guarded.up(*services.values())
    eventually(lambda: status_from(HOME, guarded, "/home") == 200)


@pytest.mark.usefixtures("guarded")
def test_a_new_route_with_auth_never_answers_without_it(answers_of_a_new_route: list[int]) -> None:
    # 503: no ready endpoint.
    assert set(answers_of_a_new_route) - {503} == {404, 401}


def test_a_service_reaches_only_what_its_egress_allows(guarded: Configured) -> None:
    stack = guarded.stack
    with inside.stranger(stack), inside.addresses_behind_the_node():
        bar, strange = f"{address(stack, '-l', 'app=bar')}:5000", f"{address(stack, '-n', STRANGERS)}:8080"
        allowed = {bar, strange, f"{PRIVATE}:80"}
        assert reached(stack, inside.FOO, *allowed, f"{PUBLIC}:80", f"{METADATA}:80") == allowed
        foo = f"{address(stack, '-l', 'app=foo')}:5000"
        assert reached(stack, STRANGER, foo, bar) == {bar}


def test_no_secret_is_in_events_or_images(guarded: Configured) -> None:
    stack = guarded.stack
    assert PLANTED["services[0].env.PASSWORD"] in stack.run("kubectl", "exec", *inside.FOO, "--", "env").stdout
    secrets = {*SECRETS.values(), stack.environment["DIGITALOCEAN_TOKEN"], *control("GET", "secrets")}
    assert len(secrets) > len(SECRETS)
    events = stack.run("kubectl", "get", "events", "-A", "-o", "json").stdout
    assert json.loads(events)["items"]
    images = {place: content.decode("latin-1") for place, content in inside.contents_of_images()}
    # What is no secret is found where it has to be.
    assert any("Hello from the foo microservice" in content for content in images.values())
    assert leaks(secrets, {"the cluster's events": events, **images}) == []


@pytest.mark.last(3)  # It leaves another gateway and no vault.
def test_a_route_never_answers_without_access_control_while_that_changes(
    guarded: Configured, services: dict[str, dict[str, Any]]
) -> None:
    others = [service for name, service in services.items() if name != "vault"]
    without_auth = {key: value for key, value in VAULT.items() if key != "auth"}
    with guarded.asked_throughout("/vault") as changed:
        # Kong's pods are replaced on the way: whether it logs is a setting of its own.
        guarded.set("gateway", GATEWAY | {"accessLog": False})
        guarded.up(*others, VAULT | {"auth": "key-auth", "allow": ["team-a"]})
        # carol has an API key and no group, so 403.
        eventually(lambda: guarded.get("/vault", apikey=API_KEY).status_code == 403)
        guarded.up(*others, without_auth | ADDRESS_LISTS | {"plugins": {"jwt": {}}})
        eventually(lambda: status_from(HOME, guarded, "/vault", Authorization=token("alice", SECRET)) == 200)
    assert guarded.get("/vault", Authorization=token("alice", SECRET)).status_code == 403
    with guarded.asked_throughout("/vault") as removed:
        guarded.up(*others, without_auth | ADDRESS_LISTS)
        eventually(lambda: status_from(HOME, guarded, "/vault") == 200)
        guarded.up(*others)
        eventually(lambda: guarded.get("/vault").status_code == 404)
    assert set(changed) == {401}
    # 503: no ready endpoint.
    assert set(removed) - {503} == {401, 403, 404}
