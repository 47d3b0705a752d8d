"""Errors in policies and consumers, each in one line."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.configurations import BAR, FOO
from tests.unit.loading import ALICE, KEY, loaded, public, refused, services

OTHER_CURVE = public(ec.generate_private_key(ec.SECP384R1()))
RSA_KEYS = [public(rsa.generate_private_key(65537, size)) for size in (1024, 2048)]
SECRET = "planted-" * 4


def consumers(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"consumers": entries}


def signer(algorithm: str, key: str) -> dict[str, Any]:
    return consumers({"name": "alice", "jwt": {"algorithm": algorithm, "publicKey": key}})


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no such auth": (
        services(auth="basic"),
        'services[0].auth: "basic" is not allowed; allowed: jwt or key-auth; fix: ',
    ),
    "groups without auth": (services(allow=["team-a"]), "services[0].allow: is not allowed; allowed: only with auth"),
    "a group of nobody": (
        services(auth="jwt", allow=["team-b"]),
        'services[0].allow[0]: "team-b" is not allowed; allowed: groups of consumers, which are team-a; fix: ',
    ),
    "auth that no consumer has": (
        services(auth="key-auth"),
        'services[0].auth: "key-auth" is not allowed; allowed: what a consumer has a credential for, and none has ',
    ),
    "a limit without a window": (
        services(rateLimit={"by": "ip"}),
        "services[0].rateLimit: is empty; allowed: one of second, minute, hour or several; fix: add for example minute",
    ),
    "a limit of nothing": (services(rateLimit={"minute": 0}), "services[0].rateLimit.minute: 0 is not allowed"),
    "more a second than a minute": (
        services(rateLimit={"second": 10, "minute": 5}),
        "services[0].rateLimit.minute: 5 is not allowed; allowed: at least as many as in a second; fix: write ",
    ),
    "a limit by what there isn't": (
        services(rateLimit={"minute": 1, "by": "user"}),
        'services[0].rateLimit.by: "user"',
    ),
    "a limit by header without its name": (
        services(rateLimit={"minute": 1, "by": "header"}),
        "services[0].rateLimit.header: is not allowed; allowed: a header's name exactly with by: header",
    ),
    "a limit by consumers that nobody asks for": (
        services(rateLimit={"minute": 1, "by": "consumer"}),
        'services[0].rateLimit.by: "consumer" is not allowed; allowed: ip, header or service without auth; fix: ',
    ),
    "not an address": (
        services(allowIps=["10.0.0.0/33"]),
        'services[0].allowIps[0]: "10.0.0.0/33" is not allowed; allowed: addresses and CIDR blocks',
    ),
    "a block that isn't one": (
        services(denyIps=["10.0.0.0/33"]),
        'services[0].denyIps[0]: "10.0.0.0/33" is not allowed',
    ),
    "an address with a zone": (services(denyIps=["fe80::1%eth0"]), 'services[0].denyIps[0]: "fe80::1%eth0" is not'),
    "an IPv4 address in IPv6": (services(allowIps=["::ffff:1.2.3.4"]), 'services[0].allowIps[0]: "::ffff:1.2.3.4" is'),
    "a body of nothing": (services(bodyLimit=0), "services[0].bodyLimit: 0 is not allowed; allowed: 1 to 1024 MiB"),
    "a body that may be too large to change": (
        services(requestBody={"remove": ["a"]}),
        "services[0].bodyLimit: is not allowed; allowed: 1 to 8 (MiB) with requestBody",
    ),
    "a body that is too large to change": (
        {
            "gateway": {"bodyLimit": 9, "plugins": {"request-transformer": {"add": {"body": ["a:b"]}}}},
            "services": [FOO],
        },
        "services[0].bodyLimit: 9 is not allowed; allowed: 1 to 8 (MiB) with requestBody",
    ),
    "a plugin for all that would keep nobody out if Kong refused it": (
        {"gateway": {"plugins": {"ip-restriction": {"allow": ["10.0.0.0/8"]}}}},
        "gateway.plugins.ip-restriction: is not allowed; allowed: only on services: if Kong refused",
    ),
    "pages of nobody": (services(cors={"origins": []}), "services[0].cors.origins: is not allowed; allowed: origins"),
    "an origin for all below it": (
        services(cors={"origins": ["https://*.example.com"]}),
        'services[0].cors.origins[0]: "https://*.example.com" is not allowed; allowed: origins by their own names',
    ),
    "an origin as a pattern": (
        services(cors={"origins": ["https://example.com", "https://[a-z]+.example.com"]}),
        'services[0].cors.origins[1]: "https://[a-z]+.example.com" is not allowed',
    ),
    "an origin that no browser has": (
        services(cors={"origins": ["https://Example.com"]}),
        'services[0].cors.origins[0]: "https://Example.com" is not allowed',
    ),
    "an origin without its scheme": (
        services(cors={"origins": ["example.com"]}),
        'services[0].cors.origins[0]: "example.com" is not allowed',
    ),
    "everybody's credentials": (
        services(cors={"origins": ["*"], "credentials": True}),
        "services[0].cors.credentials: true is not allowed; allowed: false with every origin; fix: name the origins",
    ),
    "no such status": (services(terminate={"status": 42}), "services[0].terminate.status: 42 is not allowed"),
    "a change of nothing known": (
        services(requestHeaders={"replace": {"X-A": "b"}}),
        "services[0].requestHeaders.replace: is not a known key; allowed: set, add, rename, remove; fix: ",
    ),
    "a header without a value": (
        services(requestHeaders={"set": {"Authorization": ""}}),
        'services[0].requestHeaders.set.Authorization: "" is not allowed; allowed: names of letters',
    ),
    "a header of several lines": (
        services(responseHeaders={"add": {"X-A": "a\nb"}}),
        'services[0].responseHeaders.add.X-A: "a\\nb" is not allowed',
    ),
    "a header with a space in its name": (
        services(responseHeaders={"remove": ["X A"]}),
        'services[0].responseHeaders.remove[0]: "X A" is not allowed; allowed: names of letters, digits, hyphens and _',
    ),
    "a header with a dot in its name": (
        services(requestHeaders={"set": {"X.A": "b"}}),
        'services[0].requestHeaders.set.X.A: "X.A" is not allowed',
    ),
    "a header's new name that is none": (
        services(requestHeaders={"rename": {"X-A": "X:B"}}),
        'services[0].requestHeaders.rename.X-A: "X:B" is not allowed',
    ),
    "a parameter without a value": (
        services(requestQuery={"add": {"page": ""}}),
        'services[0].requestQuery.add.page: "" is not allowed; allowed: names without a colon, with',
    ),
    "a value that would lose its colon": (
        services(requestBody={"set": {"time": ":30"}}),
        'services[0].requestBody.set.time: ":30" is not allowed',
    ),
    "a field with a colon in its name": (
        services(responseBody={"rename": {"dc:title": "title"}}),
        'services[0].responseBody.rename.dc:title: "dc:title" is not allowed; allowed: names without a colon',
    ),
    "a field without a name": (
        {"gateway": {"responseBody": {"remove": [""]}}},
        'gateway.responseBody.remove[0]: "" is not allowed; allowed: names without a colon',
    ),
    "too long a wait": (services(timeouts={"read": 86400}), "services[0].timeouts.read: 86400 is not allowed"),
    "two answers to one question": (
        services(rewrite="/api", stripPath=False),
        "services[0].stripPath: false is not allowed; allowed: unset with rewrite",
    ),
    "two services for the same requests": (
        {
            "services": [
                FOO | {"whenHeaders": {"X-Canary": "1"}},
                BAR | {"path": "/foo", "whenHeaders": {"X-Canary": "1"}},
            ]
        },
        'services[1].path: "/foo" is not allowed; allowed: a path that no other service with the same whenHeaders has',
    ),
    "two services for the same requests, with other letters": (
        {
            "services": [
                FOO | {"whenHeaders": {"X-Canary": "Yes"}},
                BAR | {"path": "/foo", "whenHeaders": {"x-canary": "yes"}},
            ]
        },
        'services[1].path: "/foo" is not allowed; allowed: a path that no other service with the same whenHeaders has',
    ),
    "a header's value that is none": (
        services(whenHeaders={"X-Canary": ""}),
        'services[0].whenHeaders.X-Canary: "" is not allowed; allowed: names of letters, digits and hyphens',
    ),
    "a header's value that is two": (
        services(whenHeaders={"X-Canary": "a,b"}),
        'services[0].whenHeaders.X-Canary: "a,b" is not allowed; allowed: names of letters, digits and hyphens, each ',
    ),
    "a header's value that no request has": (
        services(whenHeaders={"X-Canary": "yes "}),
        'services[0].whenHeaders.X-Canary: "yes " is not allowed',
    ),
    "a header's value that is a pattern": (
        services(whenHeaders={"X-Canary": "~*y(es"}),
        'services[0].whenHeaders.X-Canary: "~*y(es" is not allowed; allowed: a value as it is',
    ),
    "a header that is the domain": (
        services(whenHeaders={"host": "api.example.com"}),
        'services[0].whenHeaders.host: "api.example.com" is not allowed; allowed: any header but Host',
    ),
    "a header twice": (
        services(whenHeaders={"X-A": "1", "x-a": "2"}),
        'services[0].whenHeaders.x-a: "2" is not allowed; allowed: each header once, in upper or lower case; fix: ',
    ),
    "a header as the way around auth": (
        {
            "services": [FOO | {"auth": "jwt"}, BAR | {"path": "/foo", "whenHeaders": {"X-Canary": "1"}}],
            "consumers": [ALICE],
        },
        "services[1].auth: is not allowed; allowed: the same as of foo, which has the same path; fix: copy auth",
    ),
    "a header as the way around a plugin that keeps somebody out": (
        {
            "services": [
                FOO | {"plugins": {"basic-auth": {}}},
                BAR | {"path": "/foo", "whenHeaders": {"X-Canary": "1"}},
            ]
        },
        "services[1].plugins.basic-auth: is not allowed; allowed: the same as of foo, which has the same path; fix: ",
    ),
    "a method without its path": (
        services(protocol="grpc", rewrite="/api"),
        'services[0].rewrite: "/api" is not allowed; allowed: unset with protocol: grpc; fix: remove rewrite',
    ),
    "HTTP of a service that has none": (
        services(protocol="grpc", health="/healthz"),
        'services[0].health: "/healthz" is',
    ),
    "not a header's name": (services(whenHeaders={"X Canary": "1"}), 'services[0].whenHeaders.X Canary: "X Canary"'),
    "a plugin that Kong doesn't have": (
        services(plugins={"proxy-cash": {}}),
        "services[0].plugins.proxy-cash: is not a plugin of Kong's open-source image; allowed: acl, ",
    ),
    "the fix for a plugin's slip of the pen": (services(plugins={"proxy-cash": {}}), "; fix: write proxy-cache"),
    "a plugin of the paid image": (services(plugins={"canary": {}}), "services[0].plugins.canary: is not a plugin of"),
    "a plugin that needs a database": (
        services(plugins={"oauth2": {"enable_client_credentials": True}}),
        "services[0].plugins.oauth2: needs a database; allowed: plugins that need none, since this Kong has none",
    ),
    "the same plugin twice": (
        services(rateLimit={"minute": 1}, plugins={"rate-limiting": {"hour": 1}}),
        "services[0].plugins.rate-limiting: is not allowed; allowed: rate-limiting once, and another key",
    ),
    "auth twice": (services(auth="jwt", plugins={"key-auth": {}}), "services[0].plugins.key-auth: is not allowed"),
    "the same plugin twice for all": (
        {"gateway": {"metrics": True, "plugins": {"prometheus": {}}}},
        "gateway.plugins.prometheus: is not allowed; allowed: prometheus once",
    ),
    "no limit for one service": (
        services(rateLimit=None) | {"gateway": {"rateLimit": {"minute": 1}}},
        "services[0].rateLimit: is not allowed; allowed: unset, since gateway.rateLimit can't be switched off for",
    ),
    "a pattern for a part of a name": (
        services(botDetection={"allow": ["curl.*"]}),
        'services[0].botDetection.allow[0]: "curl.*" is not allowed; allowed: parts of User-Agents, of letters,',
    ),
    "a header that Kong writes after the route's plugins": (
        services(responseHeaders={"remove": ["server"]}),
        'services[0].responseHeaders.remove: "server" is not allowed; allowed: any header that Kong doesn\'t write',
    ),
    "a header that Kong writes after all plugins": (
        {"gateway": {"responseHeaders": {"set": {"Via": "a"}}}},
        'gateway.responseHeaders.set: "Via" is not allowed; allowed: remove only: Kong writes this header after',
    ),
    "a new name for a header that Kong writes": (
        {"gateway": {"responseHeaders": {"rename": {"X-Kong-Proxy-Latency": "X-A"}}}},
        'gateway.responseHeaders.rename: "X-Kong-Proxy-Latency" is not allowed',
    ),
    "headers larger than any": (
        {"gateway": {"headerLimit": 65}},
        "gateway.headerLimit: 65 is not allowed; allowed: 8 to 64 KiB; fix: write for example 16",
    ),
    "bodies changed twice": (
        services(responseBody={"remove": ["a"]}, plugins={"post-function": {"log": ["return"]}}),
        "services[0].plugins.post-function: is not allowed; allowed: post-function once, and another key sets it",
    ),
    "bots for one service": (
        services(botDetection=False) | {"gateway": {"botDetection": True}},
        "services[0].botDetection: is not allowed; allowed: unset, since gateway.botDetection can't be switched",
    ),
    "the fix for what can't be switched off": (
        services(bodyLimit=None) | {"gateway": {"bodyLimit": 1}},
        "; fix: remove bodyLimit from gateway, and write it on the other services",
    ),
    "no origins for one service": (
        services(cors=None) | {"gateway": {"cors": {"origins": ["*"]}}},
        "services[0].cors: is not",
    ),
    "one service at work": (
        services(terminate=None) | {"gateway": {"terminate": {}}},
        "services[0].terminate: is not allowed; allowed: unset, since gateway.terminate can't be switched off",
    ),
    "one service for all addresses": (
        services(allowIps=[], denyIps=[]) | {"gateway": {"allowIps": ["10.0.0.0/8"]}},
        "services[0].allowIps: is not allowed; allowed: unset, since gateway.allowIps can't be switched off for",
    ),
    "one service without a plugin": (
        services(botDetection=False) | {"gateway": {"plugins": {"bot-detection": {"deny": ["curl"]}}}},
        "allowed: unset, since gateway.plugins.bot-detection can't be switched off for one service; fix: ",
    ),
    "an aggregate without the gateway's limit": (
        {"services": [FOO], "gateway": {"rateLimit": {"minute": 1}}}
        | {"aggregates": [{"name": "all", "path": "/all", "backends": {"foo": "/foo"}, "rateLimit": None}]},
        "aggregates[0].rateLimit: is not allowed; allowed: unset, since gateway.rateLimit can't be switched off",
    ),
    "a limit that each pod would count": (
        services(plugins={"rate-limiting": {"minute": 1}}) | {"gateway": {"replicas": 2}},
        'services[0].plugins.rate-limiting.policy: "local" is not allowed; allowed: redis with several pods of Kong',
    ),
    "a limit for all that each pod would count": (
        {"gateway": {"replicas": 2, "plugins": {"rate-limiting": {"minute": 1, "policy": "local"}}}},
        'gateway.plugins.rate-limiting.policy: "local" is not allowed; allowed: redis with several pods of Kong',
    ),
    "auth for all": ({"gateway": {"auth": "jwt"}}, "gateway.auth: is not a known key; allowed: "),
    "a collector that isn't a URL": ({"gateway": {"tracing": {"url": "otel"}}}, 'gateway.tracing.url: "otel" is not'),
    "more than all requests": (
        {"gateway": {"tracing": {"url": "http://otel:4318/v1/traces", "sampling": 2}}},
        "gateway.tracing.sampling: 2 is not allowed; allowed: the share of requests, 0 to 1",
    ),
    "somebody twice": (consumers(ALICE, ALICE), 'consumers[1].name: "alice" is not allowed; allowed: each once'),
    "an issuer twice": (
        consumers(ALICE, ALICE | {"name": "bob", "jwt": {"key": "alice", "algorithm": "ES256", "publicKey": KEY}}),
        'consumers[1].jwt.key: "alice" is not allowed; allowed: each once',
    ),
    "somebody without a credential": (consumers({"name": "alice"}), "consumers[0]: has no credential; allowed: jwt, "),
    "a token without a key": (
        consumers({"name": "alice", "jwt": {}}),
        (
            "consumers[0].jwt.secret: is missing; allowed: set with HS256; "
            "fix: pulumi config set --secret --path 'consumers[0].jwt.secret'"
        ),
    ),
    "a secret for a key pair": (
        consumers({"name": "alice", "jwt": {"algorithm": "RS256", "publicKey": KEY, "secret": SECRET}}),
        "consumers[0].jwt.secret: is not allowed; allowed: with RS256, only publicKey; fix: remove secret",
    ),
    "a private key": (signer("RS256", KEY.replace("PUBLIC", "PRIVATE")), "consumers[0].jwt.publicKey: "),
    "a key that is no base64": (
        signer("ES256", KEY.replace("\n", "\n_", 1)),
        "consumers[0].jwt.publicKey: is not allowed; allowed: with ES256, a whole key on the curve prime256v1; fix: ",
    ),
    "a key without its end": (
        signer("ES256", KEY.replace(KEY.splitlines()[2], "")),
        "consumers[0].jwt.publicKey: is not allowed; allowed: with ES256, a whole key on the curve prime256v1; fix: ",
    ),
    "a key of nothing": (signer("RS256", KEY[:27] + "MA==" + KEY[-26:]), "consumers[0].jwt.publicKey: is not allowed"),
    "a key pair of the other kind": (
        signer("RS256", KEY),
        "consumers[0].jwt.publicKey: is not allowed; allowed: with RS256, a whole RSA key; fix: write all lines",
    ),
    "the other key pair of the other kind": (
        signer("ES256", RSA_KEYS[1]),
        "consumers[0].jwt.publicKey: is not allowed",
    ),
    "a key on another curve": (signer("ES256", OTHER_CURVE), "consumers[0].jwt.publicKey: is not allowed"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_is_one_line_with_key_value_allowed_and_fix(mistake: str) -> None:
    config, expected = MISTAKES[mistake]
    lines = refused(config)
    (line,) = [line for line in lines if expected in line]
    assert line.startswith("kong-doks:")
    assert "; allowed: " in line
    assert "; fix: " in line


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "alice", "apiKey": "planted"},
        {"name": "alice", "jwt": {"secret": "planted"}},
        {"name": "alice", "jwt": {"secret": SECRET, "algorithm": "none"}},
        {"name": "alice", "jwt": {"publicKey": KEY, "secret": SECRET}},
        {"name": "alice", "apiKey": SECRET, "group": "team-a"},
    ],
    ids=["a short key", "a short secret", "no algorithm", "both", "a slip of the pen"],
)
@pytest.mark.parametrize("encrypted", [True, False])
def test_no_error_contains_a_credential(entry: dict[str, Any], *, encrypted: bool) -> None:
    (line,) = refused(consumers(entry), ["consumers"] if encrypted else [])
    assert line.startswith("kong-doks:consumers[0]")
    assert "planted" not in line


def test_a_duplicate_key_error_does_not_contain_the_key() -> None:
    twice = [{"name": name, "apiKey": SECRET} for name in ("alice", "bob")]
    lines = refused(consumers(*twice))
    assert [line.partition(": ")[0] for line in lines] == [f"kong-doks:consumers[{index}].apiKey" for index in (0, 1)]
    assert "planted" not in "".join(lines)


def test_a_plugin_entry_may_override_a_policy_that_cannot_be_disabled() -> None:
    plugins = {"bot-detection": {"allow": ["curl"]}}
    config = services(botDetection=False, plugins=plugins) | {"gateway": {"botDetection": True}}
    assert loaded(config).services[0].plugins == plugins


@pytest.mark.parametrize(("policy", "replicas"), [("local", 1), ("redis", 2)])
def test_a_raw_rate_limiting_plugin_is_accepted_with_one_replica_or_redis(policy: str, replicas: int) -> None:
    plugins = {"rate-limiting": {"minute": 1, "policy": policy, "redis": {"host": "redis.tools"}}}
    config = services(plugins=plugins) | {"gateway": {"replicas": replicas}}
    assert loaded(config).services[0].plugins == plugins


def test_a_grpc_service_has_tcp_probes() -> None:
    (service,) = loaded({"services": [FOO | {"protocol": "grpc"}]}).services
    assert service.probe_path(service.versions["foo"]) is None


def test_two_services_may_share_a_path_where_headers_tell_requests_apart() -> None:
    canary = BAR | {"path": "/foo", "whenHeaders": {"X-Canary": "1"}}
    assert [service.path for service in loaded({"services": [FOO, canary]}).services] == ["/foo", "/foo"]


@pytest.mark.parametrize("origin", ["*", "https://shop.example.com", "http://localhost:3000", "https://192.0.2.1"])
def test_an_origin_is_a_scheme_and_a_host_and_may_have_a_port(origin: str) -> None:
    (service,) = loaded({"services": [FOO | {"cors": {"origins": [origin]}}]}).services
    assert service.cors
    assert service.cors.origins == [origin]


@pytest.mark.parametrize(("algorithm", "key"), [("ES256", KEY), *(("RS256", key) for key in RSA_KEYS)])
def test_a_valid_public_key_of_its_algorithm_is_accepted(algorithm: str, key: str) -> None:
    (alice,) = loaded(signer(algorithm, key)).consumers
    assert alice.jwt_credential == {"key": "alice", "algorithm": algorithm, "rsa_public_key": key}


def test_transformations_that_kong_supports_are_accepted() -> None:
    headers = {"set": {"X-Via": "a: b, c", "X_Old": "b"}, "rename": {"X-A": "X-B"}, "remove": ["X-C"]}
    fields = {"set": {"a.b": "12:30", "c d": " "}, "rename": {"e": "f g"}, "remove": ["h[0]"]}
    (service,) = loaded({"services": [FOO | {"requestHeaders": headers, "responseBody": fields}]}).services
    assert service.request_headers
    assert service.response_body
    assert service.request_headers.assign == headers["set"]
    assert service.response_body.assign == fields["set"]


def test_a_consumer_needs_only_a_name_and_a_credential() -> None:
    config = loaded({"services": [FOO | {"auth": "jwt"}, BAR], "consumers": [ALICE]})
    (alice,) = config.consumers
    assert alice.jwt_credential == {"key": "alice", "algorithm": "ES256", "rsa_public_key": KEY}
