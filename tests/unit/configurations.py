"""Configurations that several test modules record, and the parts that they are made of.

A module's own configurations stand beside its tests, in its CONFIGURATIONS.
"""

import hashlib
import importlib
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]

FOO = {"name": "foo", "path": "/foo", "build": "apps/foo"}
BAR = {"name": "bar", "path": "/bar", "build": "apps/bar"}
POLICIES = {
    "kong-doks:services": [FOO | {"auth": "jwt", "allow": ["team-a"]}, BAR],
    "kong-doks:consumers": [
        {"name": "alice", "groups": ["team-a"], "jwt": {"secret": "planted-secret-of-32-characters!"}},
        {"name": "bob", "apiKey": "planted-key-of-20-ch"},
    ],
    "kong-doks:gateway": {"requestId": True},
}
KEY = f"key-auth:{hashlib.sha256(b'planted-key-of-20-ch').hexdigest()}"
ENV = {"A": "pa$$word", "B": "$(PORT)", "C": "a$b", "D": "$$(A) $", "E": 'it\'s "quoted"'}
COLLECTORS = (
    "http://logs:9000/",
    "http://logs.tools:9000/",
    "http://logs.tools.svc.cluster.local:9000/",
    "https://logs.eu.example.com/in",
    "https://logs.1.example.com/in",
    "http://10.108.0.5:9000/",
)
DOMAIN = {
    "kong-doks:domain": "api.example.com",
    "kong-doks:email": "ops@example.com",
    "kong-doks:services": [FOO | {"securityHeaders": True}, BAR | {"protocol": "grpc"}],
}
AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIHFMHmgAwIBAgIBATAFBgMrZXAwDTELMAkGA1UEAwwCY2EwHhcNMjYwMTAxMDAw
MDAwWhcNMzYwMTAxMDAwMDAwWjANMQswCQYDVQQDDAJjYTAqMAUGAytlcAMhAEjP
Vayxo2wjKGAqWu2xnfC/e2V/wTRk9wid0jHVTPxDMAUGAytlcANBAGPyJJX+FIJN
WUMiC4WkTT1Lrnd2zOD0VMu5LqRmTLfWXs0uzHou8MDe7JN/B+vb/jAYuJWpYdwZ
So5lBTx95A8=
-----END CERTIFICATE-----
"""
OWN_AUTHORITY = {"server": "https://ca.example/acme/directory", "ca": AUTHORITY, "profile": "short"}
CANARY = {
    "kong-doks:services": [
        FOO
        | {"auth": "jwt", "allow": ["team-a"], "rewrite": "/v1", "retries": 1, "rateLimit": {"minute": 5}}
        | {"canary": {"image": "user/foo:2", "weight": 25}},
        BAR,
    ],
    "kong-doks:consumers": [
        {"name": "alice", "groups": ["team-a"], "jwt": {"secret": "planted-secret-of-32-characters!"}}
    ],
}
EXAMPLES = {
    path.stem: yaml.safe_load(path.read_text())["config"] for path in sorted((PROJECT / "examples").glob("*.yaml"))
}
OTHER_REGISTRY = {"kind": "other", "server": "ghcr.io/user", "username": "user", "password": "planted-" + "word"}


def fleet(size: int) -> dict[str, Any]:
    """A configuration of many services of four sorts, whose names are all as long."""
    sorts: list[dict[str, Any]] = [
        {"auth": "jwt", "allow": ["team-a"], "rateLimit": {"minute": 60}},
        {"canary": {"image": "user/next:2"}, "securityHeaders": True},
        {"env": {"LOG_LEVEL": "info"}, "botDetection": True},
        {},
    ]
    services = [
        {"name": f"s{number:03}", "path": f"/s{number:03}", "image": "user/some:1"}
        | {"egress": {"services": [f"s{number ^ 1:03}"]}}
        | sorts[number % len(sorts)]
        for number in range(size)
    ]
    return {
        "kong-doks:namespace": "shop",
        "kong-doks:services": services,
        "kong-doks:consumers": CANARY["kong-doks:consumers"],
        "kong-doks:gateway": {"replicas": 2, "requestId": True},
    }


FLEETS = (20, 40, 300)

SHARED: dict[str, dict[str, Any]] = {
    "dev": {"stack": "dev"},
    "sandbox": {"stack": "sandbox"},
    "local": {"stack": "local"},
    "preview": {"stack": "dev", "preview": True},
    "third service": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO, {"name": "web", "path": "/", "image": "nginx:1.29.3", "port": 8080}]},
    },
    "policies": {"stack": "dev", "config": POLICIES, "secret_keys": ["kong-doks:consumers"]},
    "several gateways": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"replicas": 2, "rateLimit": {"second": 50}},
            "kong-doks:services": [FOO | {"rateLimit": {"minute": 60}, "botDetection": True}, BAR],
        },
    },
    "canary": {"stack": "dev", "config": CANARY, "secret_keys": ["kong-doks:consumers"]},
    "blue-green": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                {"name": "foo", "path": "/foo", "replicas": 2, "env": {"LOG_LEVEL": "info", "MODE": "old"}}
                | {
                    "blueGreen": {
                        "blue": {"build": "apps/foo"},
                        "green": {"image": "user/foo:2", "replicas": 3, "env": {"MODE": "new"}},
                        "live": "green",
                    }
                },
            ]
        },
    },
    "other registry": {
        "stack": "dev",
        "config": {"kong-doks:registry": OTHER_REGISTRY},
        "secret_keys": ["kong-doks:registry"],
    },
    "egress": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                FOO
                | {
                    "egress": {
                        "internet": False,
                        "services": ["bar"],
                        "namespaces": ["redis"],
                        "networks": ["10.108.0.0/20"],
                    }
                },
                BAR | {"ingress": {"namespaces": ["monitoring"]}},
            ]
        },
    },
    "own namespace": {"stack": "dev", "config": {"kong-doks:namespace": "shop"}},
    "domain": {"stack": "dev", "config": DOMAIN},
    "domain, canary": {
        "stack": "dev",
        "config": DOMAIN | {"kong-doks:services": [FOO | {"canary": {"image": "user/foo:2"}}]},
    },
    "domain on an own cluster": {
        "stack": "local",
        "config": DOMAIN | {"kong-doks:proxyServiceType": "LoadBalancer"},
    },
    **{
        f"fleet of {size}": {"stack": "dev", "config": fleet(size), "secret_keys": ["kong-doks:consumers"]}
        for size in FLEETS
    },
    **{f"example {name}": {"stack": "dev", "config": config} for name, config in EXAMPLES.items()},
}


def shared(*names: str) -> dict[str, dict[str, Any]]:
    """Returns shared configurations by name, for the CONFIGURATIONS of a test module."""
    return {name: SHARED[name] for name in names}


def all_configurations() -> dict[str, dict[str, Any]]:
    """Returns the configurations of every test module, by name."""
    configurations = dict(SHARED)
    for path in sorted(Path(__file__).parent.rglob("test_*.py")):
        module = importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))
        configurations |= getattr(module, "CONFIGURATIONS", {})
    return configurations
