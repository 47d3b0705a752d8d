"""What Kong would refuse in a plugin's configuration is told before anything is deployed, and nothing else is."""

from typing import Any

import pytest

from infra.config import kong_plugins as policies
from infra.config import plugin_schema
from infra.config.policies import GatewayPolicies, RoutePolicies
from tests.unit.config.test_policies import services
from tests.unit.config.test_settings import errors

RIGHT: dict[str, list[dict[str, Any]]] = {
    "acl": [{"allow": ["a"]}, {"deny": ["b"], "hide_groups_header": None}, {"allow": ["a"], "deny": []}],
    "acme": [{"account_email": "{vault://env/email}", "rsa_key_size": 4096, "storage_config": {"shm": {"a": 1}}}],
    "ai-prompt-decorator": [{"prompts": {"prepend": [{"role": "system", "content": "Be brief"}]}}],
    "ai-prompt-guard": [{"allow_patterns": [".*kong.*"]}],
    "ai-prompt-template": [{"templates": [{"name": "a", "template": "{{b}}"}]}],
    "ai-proxy": [{"route_type": "llm/v1/chat", "model": {"provider": "openai", "options": {"max_tokens": 5}}}],
    "ai-request-transformer": [
        {"prompt": "Translate", "llm": {"route_type": "llm/v1/chat", "model": {"provider": "openai"}}}
    ],
    "aws-lambda": [{"function_name": "f", "aws_region": "eu-west-1", "log_type": "None", "port": 443.0}],
    "azure-functions": [{"appname": "a", "functionname": "f"}],
    "correlation-id": [{}, {"generator": "uuid#counter"}],
    "cors": [{"origins": ["*"], "methods": ["GET"], "max_age": 3600}],
    "datadog": [{"metrics": [{"name": "latency", "stat_type": "timer", "tags": ["app:kong"]}], "retry_count": 3}],
    "file-log": [{"path": "/dev/stdout", "custom_fields_by_lua": {"a": "return 1"}}],
    "http-log": [{"http_endpoint": "http://logs", "queue": {"max_batch_size": 10, "concurrency_limit": -1}}],
    "ip-restriction": [
        {"deny": ["10.0.0.0/8"], "status": 404},
        {"allow": ["10.0.0.1/8", "2001:db8::/32", "192.0.2.1", "::1"], "deny": []},
    ],
    "jwt": [{"claims_to_verify": ["exp", "nbf"], "maximum_expiration": 3600}],
    "opentelemetry": [{"endpoint": "http://otel/v1/traces", "propagation": {"default_format": "w3c"}}],
    "pre-function": [{"access": ["kong.log('a')"]}],
    "proxy-cache": [{"strategy": "memory", "response_headers": {"X-Cache-Key": False}, "response_code": [200]}],
    "rate-limiting": [
        {"minute": 0.5},
        {"hour": 5, "policy": "redis", "redis": {"host": "r"}},
        {"year": 1, "redis_port": 1},
    ],
    "redirect": [{"location": "https://example.com", "status_code": 302}],
    "response-ratelimiting": [{"limits": {"sms": {"minute": 10}, "mail": {"hour": 1}}}],
    "response-transformer": [{"add": {"json": ["a:1"], "json_types": ["number"]}}],
    "session": [{"cookie_same_site": "None", "logout_methods": ["POST"], "cookie_lifetime": 3600}],
    "standard-webhooks": [{"secret_v1": "whsec_a", "tolerance_second": -1}],
    "statsd": [{"metrics": [{"name": "unique_users", "stat_type": "set"}], "allow_status_codes": ["200-205"]}],
    "syslog": [{"facility": "local7", "log_level": "emerg"}],
    "zipkin": [{"sample_ratio": 1, "static_tags": [{"name": "a", "value": "b"}], "traceid_byte_count": 16}],
}
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown field": (
        "correlation-id",
        {"header": "X-ID"},
        ".header: is not a known key; allowed: header_name, generator, echo_downstream; fix: write header_name",
    ),
    "a slip of the pen": ("rate-limiting", {"minut": 5, "hour": 9}, "; fix: write minute"),
    "an unknown field of a record": (
        "rate-limiting",
        {"minute": 5, "redis": {"hots": "r"}},
        ".redis.hots: is not a known key; allowed: host, port, ",
    ),
    "text for a number": (
        "rate-limiting",
        {"minute": "many"},
        '.minute: "many" is not allowed; allowed: a number over 0; fix: write for example 1',
    ),
    "a number in quotes": ("redirect", {"location": "/", "status_code": "301"}, '.status_code: "301" is not allowed'),
    "a part of one": (
        "request-size-limiting",
        {"allowed_payload_size": 0.5},
        ".allowed_payload_size: 0.5 is not allowed; allowed: a whole number; fix: write for example 1",
    ),
    "a number for text": ("correlation-id", {"header_name": 5}, ".header_name: 5 is not allowed; allowed: text"),
    "yes for true": ("file-log", {"path": "/a", "reopen": "yes"}, '.reopen: "yes" is not allowed; allowed: true or'),
    "a number out of bounds": (
        "request-termination",
        {"status_code": 600},
        ".status_code: 600 is not allowed; allowed: a whole number from 100 up to 599; fix: write for example 100",
    ),
    "none of the values": (
        "correlation-id",
        {"generator": "uid"},
        '.generator: "uid" is not allowed; allowed: uuid, uuid#counter, tracker; fix: write for example uuid',
    ),
    "limits that a database counts": (
        "rate-limiting",
        {"minute": 5, "policy": "cluster"},
        '.policy: "cluster" is not allowed; allowed: local, redis; fix: write for example local',
    ),
    "quotas that a database counts": (
        "response-ratelimiting",
        {"limits": {"sms": {"minute": 5}}, "policy": "cluster"},
        '.policy: "cluster" is not allowed; allowed: local, redis; fix: write for example local',
    ),
    "a field of a later Kong": ("cors", {"allow_origin_absent": True}, ".allow_origin_absent: is not a known key"),
    "a field of a later Kong's metrics": ("prometheus", {"wasm_metrics": True}, ".wasm_metrics: is not a known key"),
    "none of the numbers": ("zipkin", {"traceid_byte_count": 12}, ".traceid_byte_count: 12 is not allowed; allowed: 8"),
    "one for several": (
        "bot-detection",
        {"deny": "curl"},
        '.deny: "curl" is not allowed; allowed: a list, each text; fix: write for example ["text"]',
    ),
    "one of several": ("proxy-cache", {"strategy": "memory", "response_code": [200, 9]}, ".response_code[1]: 9 is not"),
    "several for a record": (
        "http-log",
        {"http_endpoint": "http://a", "queue": [1]},
        ".queue: is not allowed; allowed:",
    ),
    "a missing field": (
        "proxy-cache",
        {},
        ".strategy: is missing; allowed: memory; fix: add for example strategy: memory",
    ),
    "a missing field of one of several": (
        "zipkin",
        {"static_tags": [{"name": "a"}]},
        ".static_tags[0].value: is missing; allowed: text; fix: add for example value: text",
    ),
    "a missing record": ("ai-proxy", {"route_type": "preserve"}, ".model: is missing; allowed: a record of provider, "),
    "sessions that a database keeps": (
        "session",
        {"storage": "kong"},
        '.storage: "kong" is not allowed; allowed: cookie; fix: write for example cookie',
    ),
    "certificates that a database keeps": (
        "acme",
        {"account_email": "a@b.c", "storage": "kong"},
        '.storage: "kong" is not allowed; allowed: shm, redis, consul, vault; fix: write for example shm',
    ),
    "a name for an address": (
        "ip-restriction",
        {"allow": ["10.0.0.0/8", "office"]},
        '.allow[1]: "office" is not allowed; allowed: a list, each an address or a CIDR block; fix: write for example',
    ),
    "too large a block": ("ip-restriction", {"deny": ["10.0.0.0/33"]}, '.deny[0]: "10.0.0.0/33" is not allowed'),
    "a netmask": ("ip-restriction", {"deny": ["10.0.0.0/255.0.0.0"]}, '.deny[0]: "10.0.0.0/255.0.0.0" is not'),
    "a zone": ("ip-restriction", {"deny": ["fe80::1%eth0"]}, '.deny[0]: "fe80::1%eth0" is not'),
    "none of several fields": (
        "ip-restriction",
        {"status": 404},
        "plugins.ip-restriction: has none of what it needs; allowed: allow, deny; fix: set for example allow",
    ),
    "nothing in any of them": ("ip-restriction", {"allow": [], "deny": []}, "has none of what it needs; allowed:"),
    "neither of two fields": (
        "acl",
        {"hide_groups_header": True},
        "plugins.acl: has none of what it needs; allowed: exactly one of allow, deny; fix: set for example allow",
    ),
    "both of two fields": (
        "acl",
        {"allow": ["team-a"], "deny": ["team-b"]},
        "plugins.acl: has allow and deny; allowed: exactly one of allow, deny; fix: remove allow or deny",
    ),
    "none of several fields of a value": (
        "response-ratelimiting",
        {"limits": {"sms": {}}},
        ".limits.sms: has none of what it needs; allowed: second, ",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_what_kong_would_refuse_is_one_line_with_key_value_allowed_and_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    plugin, config, expected = WRONG[mistake]
    (line,) = errors(monkeypatch, capsys, services(plugins={plugin: config}))
    assert line.startswith(f"kong-doks:services[0].plugins.{plugin}")
    assert expected in line
    assert "; allowed: " in line
    assert "; fix: " in line


def test_several_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"plugins": {"file-log": {"pth": "/a"}, "cors": {"max_age": "1h"}}}
    lines = errors(monkeypatch, capsys, {"gateway": config})
    places = ["file-log.path", "file-log.pth", "cors.max_age"]
    assert [line.partition(": ")[0] for line in lines] == [f"kong-doks:gateway.plugins.{place}" for place in places]


@pytest.mark.parametrize("plugin", RIGHT)
def test_what_kong_documents_is_allowed(plugin: str) -> None:
    for config in RIGHT[plugin]:
        assert list(plugin_schema.complaints(plugin, config)) == []


def test_every_schema_can_be_read() -> None:
    found = {plugin: list(plugin_schema.complaints(plugin, {})) for plugin in plugin_schema.plugins()}
    assert len(found) == 44
    for plugin, complaints in found.items():
        assert {complaint.problem for complaint in complaints} <= {"is missing", "has none of what it needs"}, plugin


def test_our_own_policies_are_what_kong_allows() -> None:
    everything: dict[str, Any] = {
        "rateLimit": {"minute": 1, "by": "header", "header": "X-A"},
        "allowIps": ["10.0.0.0/8"],
        "bodyLimit": 1,
        "botDetection": True,
        "cors": {"origins": ["*"], "methods": ["GET"], "headers": ["X-A"], "maxAge": 1},
        "terminate": {},
        "requestHeaders": {"set": {"X-A": "b"}, "rename": {"X-B": "X-C"}},
        "responseBody": {"add": {"a": "b"}},
        "securityHeaders": True,
    }
    for_all = {"requestId": True, "accessLog": True, "httpLog": {"url": "http://a"}, "monitoring": True}
    gateway = GatewayPolicies.model_validate({**everything, **for_all, "tracing": {"url": "http://a"}})
    route = RoutePolicies.model_validate({**everything, "auth": "jwt", "allow": ["team-a"]})
    used = {**policies.gateway_plugins(gateway), **policies.route_rules(route, gateway).plugins}
    assert len(used) == 16
    for plugin, config in used.items():
        assert list(plugin_schema.complaints(plugin, config)) == [], plugin
