"""Exactly the plugin configurations that Kong refuses are reported before anything is deployed."""

import sys
from typing import Any

import pytest

from infra.config import kong_plugins as policies
from infra.config import plugin_configs, plugin_schema
from infra.config.gateway import GatewayPolicies
from infra.config.policies import RoutePolicies
from tests.unit.loading import refused, services

RIGHT: dict[str, list[dict[str, Any]]] = {
    "acl": [{"allow": ["a"]}, {"deny": ["b"], "hide_groups_header": False}, {"allow": ["a"], "deny": []}],
    "acme": [
        {
            "account_email": "a@b.c",
            "domains": ["example.com", "*.example.com", "example.*", "a_b:8443", "192.0.2.1:65535"],
        },
        {"account_email": "{vault://env/email}", "rsa_key_size": 4096, "storage_config": {"shm": {"shm_name": "kong"}}},
    ],
    "ai-prompt-decorator": [{"prompts": {"prepend": [{"role": "system", "content": "Be brief"}]}}],
    "ai-prompt-guard": [{"allow_patterns": [".*kong.*"]}],
    "ai-prompt-template": [{"templates": [{"name": "a", "template": "{{b}}"}]}],
    "ai-proxy": [
        {"route_type": "llm/v1/chat", "model": {"provider": "openai", "options": {"max_tokens": 5}}},
        {"route_type": "llm/v1/chat", "model": {"provider": "gemini"}, "auth": {}},
    ],
    "ai-request-transformer": [
        {"prompt": "Translate", "llm": {"route_type": "llm/v1/chat", "model": {"provider": "openai"}}}
    ],
    "aws-lambda": [{"function_name": "f", "aws_region": "eu-west-1", "log_type": "None", "port": 443.0}],
    "azure-functions": [{"appname": "a", "functionname": "f"}],
    "correlation-id": [{}, {"generator": "uuid#counter"}],
    # PCRE has these; Python's re doesn't.
    "bot-detection": [{"allow": ["(*UTF8)x", "a++", r"\p{L}", "(?|a|b)", r"(a)\g{1}", r"\x{41}", r"\\u"]}],
    "cors": [
        {"origins": ["*"], "methods": ["GET"], "max_age": 3600},
        {"origins": ["*", r"^https?://(?:[\w-]+\.)*example\.com(?<host>)$"]},
    ],
    "datadog": [{"metrics": [{"name": "latency", "stat_type": "timer", "tags": ["app:kong"]}], "retry_count": 3}],
    "file-log": [{"path": "/dev/stdout", "custom_fields_by_lua": {"a": "return 1"}}],
    "http-log": [{"http_endpoint": "http://logs", "queue": {"max_batch_size": 10, "concurrency_limit": -1}}],
    "ip-restriction": [
        {"deny": ["10.0.0.0/8"], "status": 404},
        {"allow": ["10.0.0.1/8", "2001:db8::/32", "192.0.2.1", "::1", "[::1]", "[::1]/64"], "deny": []},
    ],
    "jwt": [{"claims_to_verify": ["exp", "nbf"], "maximum_expiration": 3600}, {"maximum_expiration": 0.0}],
    "ldap-auth": [{"ldap_host": "::1", "base_dn": "b", "attribute": "c", "ldaps": True, "start_tls": False}],
    "opentelemetry": [{"endpoint": "http://otel/v1/traces", "propagation": {"default_format": "w3c"}}],
    "pre-function": [
        {"access": ["kong.log('a')"]},
        {"log": ["for i = 1, 2 do goto over ::over:: end return 1LL", "return function() end"]},
    ],
    "proxy-cache": [{"strategy": "memory", "response_headers": {"X-Cache-Key": False}, "response_code": [200]}],
    "rate-limiting": [
        {"minute": 0.5},
        {"hour": 5, "policy": "redis", "redis": {"host": "r"}},
        {"year": 1, "sync_rate": -1.0, "redis": {"host": "10.0.0.1", "server_name": "redis.example.com."}},
        {"year": 1, "sync_rate": 0.5, "policy": "redis", "redis": {"host": "2001:db8::1"}},
        {"year": 1, "limit_by": "path", "path": "/a%20b/c;d=e/"},
        {"year": 1, "redis_port": 1, "policy": "redis", "redis_host": "r"},
        {"year": 1, "redis_port": 1, "policy": "redis", "redis": {"host": "[::1]", "port": 1}},
        {"minute": 1, "limit_by": "path", "path": "/foo", "redis": {"password": ""}},
    ],
    "request-termination": [{"message": "later"}, {"content_type": "text/plain", "body": "later"}],
    "request-transformer": [
        {"add": {"headers": ["X-A:"], "body": ["a:b:c"], "querystring": ["a::b"]}, "http_method": "PUT"},
        {"add": {"headers": ['X-A:$(headers["x"] or "$")'], "body": ["a:$(query_params.a)b"]}},
        {"replace": {"uri": "/$(uri_captures[1])"}},
        {"rename": {"headers": ["X-A:X-B"], "body": ["a:b"]}, "remove": {"headers": ["X_A"], "body": ["a:b"]}},
    ],
    "redirect": [
        {"location": "https://example.com", "status_code": 302},
        {"location": "https://u:p@example.com/?q=@:"},
    ],
    "response-ratelimiting": [{"limits": {"sms": {"minute": 10}, "mail": {"hour": 1}}}],
    "response-transformer": [{"add": {"json": ["a:1"], "json_types": ["number"]}}],
    "session": [{"cookie_same_site": "None", "logout_methods": ["POST"], "cookie_lifetime": 3600}],
    "standard-webhooks": [{"secret_v1": "whsec_a", "tolerance_second": 0}],
    "statsd": [{"metrics": [{"name": "unique_users", "stat_type": "set"}], "allow_status_codes": ["200-205"]}],
    "syslog": [{"facility": "local7", "log_level": "emerg"}],
    "zipkin": [{"sample_ratio": 1, "static_tags": [{"name": "a", "value": "b"}], "traceid_byte_count": 16}],
}
LIMITS: dict[str, dict[str, Any]] = {
    "rate-limiting": {"minute": 5},
    "response-ratelimiting": {"limits": {"a": {"day": 1}}},
}
NO_LUA: dict[str, dict[str, Any]] = {
    "add.body[0]": {"add": {"body": ["a:$(1+)"]}},
    "append.querystring[0]": {"append": {"querystring": ["a:b$()"]}},
    "replace.headers[1]": {"replace": {"headers": ["X-A:b", "X-B:$(headers.)"]}},
    "rename.body[0]": {"rename": {"body": ["a:$(`)"]}},
    "replace.uri": {"replace": {"uri": "/$(uri_captures[)"}},
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
    "a text for a record with required fields": (
        "statsd",
        {"metrics": ["latency"]},
        'fix: write for example [{"name": "kong_latency", "stat_type": "counter"}]',
    ),
    "text for a number": (
        "rate-limiting",
        {"minute": "many"},
        '.minute: "many" is not allowed; allowed: a number over 0; fix: write for example 1',
    ),
    "a number in quotes": (
        "redirect",
        {"location": "https://a.test", "status_code": "301"},
        '.status_code: "301" is not allowed',
    ),
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
        '.deny: "curl" is not allowed; allowed: a list, each a regular expression; fix: write for example ["curl"]',
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
    "a field that only Kong's enterprise edition has": (
        "acl",
        {"allow": ["a"], "include_consumer_groups": True},
        "is not",
    ),
    "a sampling strategy of a later Kong": (
        "opentelemetry",
        {"traces_endpoint": "http://otel", "sampling_strategy": "parent_drop_probability_fallback"},
        ".sampling_strategy: is not a known key",
    ),
    "a limit by consumer group": ("rate-limiting", {"minute": 5, "limit_by": "consumer-group"}, ".limit_by: "),
    "code for a phase of WebSockets": (
        "pre-function",
        {"log": ["return"], "ws_close": ["a"]},
        ".ws_close: is not a known",
    ),
    "code that is no Lua": (
        "pre-function",
        {"access": ["return 1", "local a = 1\nif planted then"]},
        (
            "plugins.pre-function.access[1]: isn't valid Lua: line 2; allowed: Lua that LuaJIT compiles, such as "
            "return; fix: correct it"
        ),
    ),
    "code of a later Lua": ("post-function", {"log": ["return 5 // 2"]}, ".log[0]: isn't valid Lua: line 1"),
    "Lua's bytecode": ("pre-function", {"rewrite": ["\x1bLJ\x02"]}, ".rewrite[0]: isn't valid Lua: line 1"),
    "a field of the log that is no Lua": (
        "file-log",
        {"path": "/dev/stdout", "custom_fields_by_lua": {"a": "return return"}},
        ".custom_fields_by_lua.a: isn't valid Lua: line 1",
    ),
    "a format of prompts where there is none": (
        "ai-prompt-template",
        {"templates": [{"name": "a", "template": "b"}], "llm_format": "openai"},
        ".llm_format: is not a known key",
    ),
    "quotas without a limit": ("response-ratelimiting", {}, ".limits: is missing"),
    "quotas of nothing": ("response-ratelimiting", {"limits": {}}, ".limits: is not allowed"),
    "a time before the present": (
        "standard-webhooks",
        {"secret_v1": "a", "tolerance_second": -1},
        ".tolerance_second: -1",
    ),
    "a body of no bytes": (
        "ai-prompt-guard",
        {"allow_patterns": ["a"], "max_request_body_size": 0},
        ".max_request_body_size: 0 is not allowed; allowed: a whole number over 0",
    ),
    "nothing where Kong has a default": (
        "acl",
        {"allow": ["a"], "hide_groups_header": None},
        ".hide_groups_header: is empty; allowed: true or false",
    ),
    "a metric that this Kong doesn't count": (
        "statsd",
        {"metrics": [{"name": "cache_datastore_hits_total", "stat_type": "gauge", "sample_rate": 1}]},
        ".metrics[0].name: ",
    ),
    **{
        f"the pattern {pattern}": ("bot-detection", {"deny": ["curl", pattern]}, ".deny[1]: ")
        # Python's re takes all of them.
        for pattern in (
            *("(?<=a*)b", "(?L)x", r"[[:word:]-z]", r"x{0,65536}", r"\u0041", r"\x{263a}", "[[.a.]]", r"\N{DIGIT ONE}"),
            f"{'(' * 300}{')' * 300}",
        )
    },
    "an origin that only Python compiles": ("cors", {"origins": ["*", "(?u:x)"]}, '.origins[1]: "(?u:x)" is not'),
    "a reference that doesn't end": ("http-log", {"http_endpoint": "{vault://env/url"}, '.http_endpoint: "{vault'),
    "a host of a reference that doesn't end": ("datadog", {"host": "{vault://env/host"}, '.host: "{vault'),
    **{
        f"a URL without a host, {url}": ("redirect", {"location": url}, f'.location: "{url}" is not')
        for url in ("http://user@", "http://:80", "http://user@:80", "http://user@/path")
    },
    "a block's size like an octal": ("ip-restriction", {"allow": ["192.0.2.0/08"]}, '.allow[0]: "192.0.2.0/08" is not'),
    "a port that doesn't exist": ("acme", {"account_email": "a@b.c", "domains": ["a.b:65536"]}, ".domains[0]: "),
    "half an address for a domain": ("acme", {"account_email": "a@b.c", "domains": ["192.0.2"]}, ".domains[0]: "),
    "two tags of one name": (
        "zipkin",
        {"static_tags": [{"name": "a", "value": "b"}, {"name": "b", "value": "b"}, {"name": "a", "value": "c"}]},
        '.static_tags[2].name: "a" is there twice; allowed: one that differs; fix: rename a',
    ),
    **{
        f"two values of redis_{name} in {plugin}": (
            plugin,
            {**config, f"redis_{name}": values[0], "redis": {name: values[1]}},
            f".redis_{name}: differs from redis.{name}; allowed: the value of redis.{name}, or neither; fix: remove ",
        )
        for plugin, config in LIMITS.items()
        for names, values in {
            ("port", "timeout", "database"): (1, 2),
            ("host", "username", "password"): ("a", "b"),
        }.items()
        for name in names
    },
    "two values of an old name in a record": (
        "acme",
        {"account_email": "a@b.c", "storage_config": {"redis": {"scan_count": 1, "extra_options": {"scan_count": 2}}}},
        ".storage_config.redis.scan_count: differs from extra_options.scan_count; allowed: ",
    ),
    "a model that asks for an explicit record": (
        "ai-proxy",
        {"route_type": "llm/v1/chat", "model": {"provider": "bedrock"}},
        ".auth: is missing; allowed: set with model.provider: bedrock; fix: set it",
    ),
    **{
        f"an expression of {place} that is no Lua": (
            "request-transformer",
            config,
            f".{place}: has an expression that is no Lua; allowed: Lua in each $(...); fix: correct it",
        )
        for place, config in NO_LUA.items()
    },
    # Kong answers these with 500, and its controller can't tell which entry it was.
    "a body field without a name": ("request-transformer", {"add": {"body": [":x"]}}, '.add.body[0]: ":x" is not'),
    "a query field without a name": (
        "request-transformer",
        {"rename": {"querystring": ["::x"]}},
        '.rename.querystring[0]: "::x" is not allowed; allowed: a list, each text like name:value; fix: ',
    ),
    "a header without a name": (
        "request-transformer",
        {"append": {"headers": [":"]}},
        '.append.headers[0]: ":" is not',
    ),
    "a field without a value": ("request-transformer", {"replace": {"body": ["x:"]}}, '.replace.body[0]: "x:" is not'),
    "a number for a store of certificates": (
        "acme",
        {"account_email": "a@b.c", "storage_config": 1},
        "storage_config: 1",
    ),
    "a number for a model's credentials": (
        "ai-proxy",
        {"route_type": "llm/v1/chat", "model": {"provider": "openai"}, "auth": 1},
        ".auth: 1 is not allowed; allowed: a record of header_name, ",
    ),
    # Dependencies between fields.
    "a place without a host": (
        "redirect",
        {"location": "/elsewhere"},
        '.location: "/elsewhere" is not allowed; allowed: text like https://example.com; fix: write for example https://',
    ),
    "a collector without a scheme": ("http-log", {"http_endpoint": "logs:9000"}, '.http_endpoint: "logs:9000" is not'),
    "a wildcard for a pattern": ("cors", {"origins": ["*.example.com"]}, '.origins[0]: "*.example.com" is not allowed'),
    "a pattern that doesn't end": (
        "bot-detection",
        {"allow": ["(curl"]},
        '.allow[0]: "(curl" is not allowed; allowed: ',
    ),
    "a pattern that ends in a backslash": ("bot-detection", {"deny": ["curl\\"]}, '.deny[0]: "curl'),
    "a repetition of more than its most": ("bot-detection", {"deny": ["a{2,1}"]}, '.deny[0]: "a{2,1}" is not'),
    "an empty text in a list": ("acl", {"allow": [""]}, '.allow[0]: "" is not allowed'),
    "an empty text that has to be there": ("file-log", {"path": ""}, '.path: "" is not allowed'),
    "a method in lower case": ("request-transformer", {"http_method": "get"}, '.http_method: "get" is not allowed'),
    "less in an hour than in a minute": (
        "rate-limiting",
        {"minute": 5, "day": 4},
        ".day: 4 is not allowed; allowed: at least as much as minute, 5; fix: write 5 or more",
    ),
    "a limit by a header without its name": (
        "rate-limiting",
        {"minute": 5, "limit_by": "header"},
        ".header_name: is missing; allowed: set with limit_by: header; fix: set it",
    ),
    "limits in a store without a place": ("rate-limiting", {"minute": 5, "policy": "redis"}, ".redis.host: is missing"),
    "a counter without its rate": (
        "datadog",
        {"metrics": [{"name": "latency", "stat_type": "counter"}]},
        ".metrics[0].sample_rate: is missing; allowed: set with stat_type: counter",
    ),
    "one half of a credential": (
        "aws-lambda",
        {"aws_key": "a"},
        ".aws_secret: is missing; allowed: set with aws_key",
    ),
    "two answers": (
        "request-termination",
        {"message": "a", "body": "b"},
        "has message and body; allowed: at most one of",
    ),
    "a type of no answer": ("request-termination", {"content_type": "text/plain"}, ".body: is missing"),
    # Text that Kong reads more closely than as text.
    "an empty text that may be left out": (
        "correlation-id",
        {"header_name": ""},
        '.header_name: "" is not allowed; allowed: text; fix: write for example text',
    ),
    "an empty name of a realm": ("key-auth", {"realm": ""}, '.realm: "" is not'),
    "a port in a host": (
        "tcp-log",
        {"host": "logs:514", "port": 514},
        '.host: "logs:514" is not allowed; allowed: a host\'s name or address, without a port; ',
    ),
    "a URL for a host": ("loggly", {"key": "k", "host": "https://logs"}, '.host: "https://logs" is not'),
    "half an address": ("udp-log", {"host": "10.0.0", "port": 1}, '.host: "10.0.0" is not'),
    "a label that ends with a hyphen": ("statsd", {"host": "a-.example.com"}, '.host: "a-.example.com" is not'),
    "an address of a zone": ("datadog", {"host": "fe80::1%eth0"}, '.host: "fe80::1%eth0" is not'),
    "the host of a store, in a field of earlier versions": (
        "response-ratelimiting",
        {"limits": {"sms": {"minute": 5}}, "policy": "redis", "redis_host": "redis://r"},
        '.redis_host: "redis://r" is not',
    ),
    "an address for a certificate's name": (
        "rate-limiting",
        {"minute": 5, "redis": {"host": "r", "server_name": "10.0.0.1"}},
        '.redis.server_name: "10.0.0.1" is not allowed; allowed: a host\'s name, without a port',
    ),
    "a star in the middle": (
        "acme",
        {"account_email": "a@b.c", "domains": ["a.*.com"]},
        '.domains[0]: "a.*.com" is not',
    ),
    "a path with a blank": (
        "rate-limiting",
        {"minute": 5, "limit_by": "path", "path": "/a b"},
        '.path: "/a b" is not allowed',
    ),
    "no path": ("rate-limiting", {"minute": 5, "limit_by": "path", "path": ""}, '.path: "" is not allowed'),
    "a header that Kong writes": (
        "http-log",
        {"http_endpoint": "http://a", "headers": {"content-TYPE": "x"}},
        '.headers.content-TYPE: "content-TYPE" is not allowed; allowed: names, each text like X-Name, with text',
    ),
    "a header's name with a blank": (
        "opentelemetry",
        {"traces_endpoint": "http://a", "headers": {"X A": "b"}},
        '.headers.X A: "X A" is not allowed',
    ),
    "a tag of Kong's own": (
        "zipkin",
        {"static_tags": [{"name": "http.method", "value": "a"}]},
        '.static_tags[0].name: "http.method" is not',
    ),
    "a memory zone that Kong doesn't have": (
        "proxy-cache",
        {"strategy": "memory", "memory": {"dictionary_name": "mine"}},
        '.memory.dictionary_name: "mine" is not allowed; allowed: kong, kong_locks, ',
    ),
    "a secure proxy": ("aws-lambda", {"proxy_url": "https://proxy"}, '.proxy_url: "https://proxy" is not'),
    "a setting of earlier cookies": ("session", {"cookie_samesite": "lax"}, '.cookie_samesite: "lax" is not'),
    "true for one of two numbers": (
        "http-log",
        {"http_endpoint": "http://a", "queue": {"concurrency_limit": True}},
        ".queue.concurrency_limit: true is not allowed; allowed: -1, 1",
    ),
    "a list of nothing": (
        "proxy-cache",
        {"strategy": "memory", "response_code": []},
        ".response_code: is not allowed; allowed: a list that isn't empty, each a whole number from 100 up to 900",
    ),
    "more than ten": (
        "ai-prompt-guard",
        {"deny_patterns": ["a"] * 11},
        ".deny_patterns: is not allowed; allowed: a list of 0 to 10, each text",
    ),
    # One field's value limits another's.
    "a limit of the expiry without a check of it": (
        "jwt",
        {"maximum_expiration": 60, "claims_to_verify": ["nbf"]},
        ".claims_to_verify: is not allowed; allowed: exp with maximum_expiration: 60; fix: write claims_",
    ),
    "two kinds of TLS": (
        "ldap-auth",
        {"ldap_host": "a", "base_dn": "b", "attribute": "c", "ldaps": True, "start_tls": True},
        ".start_tls: true is not allowed; allowed: false with ldaps: true; fix: write start_tls: false",
    ),
    "terms that aren't accepted": (
        "acme",
        {"account_email": "a@b.c", "api_uri": "https://acme-v02.api.letsencrypt.org"},
        ".tos_accepted: is missing; allowed: true with api_uri: https://acme-v02.api.letsencrypt.org; fix: write tos_",
    ),
    "a rate of synchronisation without a store": (
        "rate-limiting",
        {"minute": 5, "sync_rate": 1},
        ".sync_rate: 1 is not allowed; allowed: -1 with policy unset; fix: write sync_rate: -1",
    ),
    "a format of another provider": (
        "ai-proxy",
        {"route_type": "llm/v1/chat", "model": {"provider": "openai"}, "llm_format": "gemini"},
        '.model.provider: "openai" is not allowed; allowed: gemini with llm_format: gemini',
    ),
    "completions for a transformer": (
        "ai-request-transformer",
        {"prompt": "a", "llm": {"route_type": "llm/v1/completions", "model": {"provider": "openai"}}},
        '.llm.route_type: "llm/v1/completions" is not allowed; allowed: llm/v1/chat',
    ),
    "all roles with all of a conversation": (
        "ai-prompt-guard",
        {"allow_patterns": ["a"], "match_all_roles": True, "allow_all_conversation_history": True},
        ".allow_all_conversation_history: true is not allowed; allowed: false with match_all_roles: true",
    ),
    "none of several fields of a value": (
        "response-ratelimiting",
        {"limits": {"sms": {}}},
        ".limits.sms: has none of what it needs; allowed: second, ",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_plugin_configuration_that_kong_refuses_is_one_error_line(mistake: str) -> None:
    plugin, config, expected = WRONG[mistake]
    (line,) = refused(services(plugins={plugin: config}))
    assert line.startswith(f"kong-doks:services[0].plugins.{plugin}")
    assert expected in line
    assert "; allowed: " in line
    assert "; fix: " in line


def test_lua_is_checked_where_lupa_has_no_luajit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lupa.luajit21", None)  # as in its wheels for macOS
    config = {"access": ["goto done\n::done::", "return 1 +"]}
    (error,) = plugin_schema.config_errors("pre-function", config)
    assert error.key == "access[1]"


def test_several_errors_are_reported_at_once() -> None:
    config = {"plugins": {"file-log": {"pth": "/a"}, "cors": {"max_age": "1h"}}}
    lines = refused({"gateway": config})
    places = ["file-log.path", "file-log.pth", "cors.max_age"]
    assert [line.partition(": ")[0] for line in lines] == [f"kong-doks:gateway.plugins.{place}" for place in places]


@pytest.mark.parametrize("plugin", RIGHT)
def test_documented_plugin_configurations_are_accepted(plugin: str) -> None:
    for config in RIGHT[plugin]:
        assert list(plugin_schema.config_errors(plugin, config)) == []


def test_every_plugin_schema_is_valid() -> None:
    errors = {plugin: list(plugin_schema.config_errors(plugin, {})) for plugin in plugin_schema.plugins()}
    assert len(errors) == 44
    for plugin, complaints in errors.items():
        assert {complaint.problem for complaint in complaints} <= {"is missing", "has none of what it needs"}, plugin


def test_a_global_only_plugin_is_refused_on_a_route() -> None:
    config = {"acme": {"account_email": "a@b.c"}}
    (line,) = refused(services(plugins=config))
    assert line == (
        "kong-doks:services[0].plugins.acme: is not allowed; allowed: under gateway, since Kong takes it on no route; "
        "fix: move acme to gateway.plugins"
    )


def test_generated_plugins_match_kongs_schemas() -> None:
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
    context = plugin_configs.Context()
    used = [*policies.gateway_plugins(gateway, context), *policies.route_rules(route, gateway, context).plugins]
    assert len({plugin.name for plugin in used}) == 18
    for plugin in used:
        assert list(plugin_schema.config_errors(plugin.name, plugin.config)) == [], plugin.name
