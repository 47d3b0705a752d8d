"""The program, run once for each configuration below, as plain data."""

import functools
import hashlib
import json
import operator
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
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
RUNS: dict[str, dict[str, Any]] = {
    "dev": {"stack": "dev"},
    "sandbox": {"stack": "sandbox"},
    "local": {"stack": "local"},
    "preview": {"stack": "dev", "preview": True},
    "third service": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO, {"name": "web", "path": "/", "image": "nginx:1.29.3", "port": 8080}]},
    },
    "env as written": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO | {"env": ENV}]},
    },
    "private image": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                {"name": "web", "path": "/", "image": "ghcr.io/user/web:1"}
                | {"pull": {"server": "ghcr.io", "username": "user", "password": "planted-" + "word"}},
                FOO,
            ]
        },
        "secret_keys": ["kong-doks:services"],
    },
    "secret env": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO | {"env": {"API_KEY": "planted-" + "key", "DOLLARS": "a$$b"}}]},
        "secret_keys": ["kong-doks:services"],
    },
    "policies": {"stack": "dev", "config": POLICIES, "secret_keys": ["kong-doks:consumers"]},
    "several gateways": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"replicas": 2, "rateLimit": {"second": 50}},
            "kong-doks:services": [FOO | {"rateLimit": {"minute": 60}, "botDetection": True}, BAR],
        },
    },
    "several gateways without limits": {"stack": "dev", "config": {"kong-doks:gateway": {"replicas": 2}}},
    "own traces": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"tracing": {"url": "http://otel:4318/v1/traces"}},
            "kong-doks:services": [FOO | {"env": {"OTEL_SERVICE_NAME": "shop"}}],
            "kong-doks:aggregates": [{"name": "overview", "path": "/overview", "backends": {"foo": "/foo"}}],
        },
    },
    "traces to the internet": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"tracing": {"url": "https://otel.eu.example.com/v1/traces"}},
            "kong-doks:services": [FOO, BAR | {"tracing": False, "egress": {"internet": False}}],
        },
    },
    "traces to a namespace": {
        "stack": "dev",
        "config": {
            "kong-doks:gateway": {"tracing": {"url": "http://otel.tools:4318/v1/traces"}},
            "kong-doks:services": [
                BAR | {"egress": {"internet": False}},
                FOO | {"name": "untraced", "tracing": False},
            ],
        },
    },
    "consumer renamed": {
        "stack": "dev",
        "config": {"kong-doks:consumers": [{"name": "alicia", "apiKey": "planted-key-of-20-ch"}]},
        "secret_keys": ["kong-doks:consumers"],
        "outputs": {"consumers": {"alice": [KEY, "name:alice"]}},
    },
    "key moved, its owner removed": {
        "stack": "dev",
        "config": {"kong-doks:consumers": [{"name": "bob", "apiKey": "planted-key-of-20-ch"}]},
        "secret_keys": ["kong-doks:consumers"],
        "outputs": {"consumers": {"alice": [KEY, "name:alice"], "bob": ["key-auth:another", "name:bob"]}},
    },
    "consumers in clear": {"stack": "dev", "config": POLICIES},
    "canary": {"stack": "dev", "config": CANARY, "secret_keys": ["kong-doks:consumers"]},
    "canary where the gateway API is": {
        "stack": "dev",
        "config": CANARY | {"kong-doks:gatewayApiReleases": ""},
        "secret_keys": ["kong-doks:consumers"],
    },
    "canary by header and weight": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                FOO,
                {"name": "next", "path": "/foo", "image": "user/foo:2", "whenHeaders": {"X-Try": "next"}}
                | {"canary": {"image": "user/foo:3"}},
            ]
        },
    },
    "canary on an own cluster": {
        "stack": "local",
        "config": {"kong-doks:services": [FOO | {"canary": {"image": "user/foo:2"}}]},
    },
    "canary, grpc": {
        "stack": "dev",
        "config": {"kong-doks:services": [FOO | {"protocol": "grpc", "canary": {"image": "user/foo:2"}}]},
    },
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
    "releases that are asked": {
        "stack": "dev",
        "config": {
            "kong-doks:services": [
                {"name": "foo", "path": "/foo"}
                | {"blueGreen": {"blue": {"image": "a:1"}, "green": {"image": "a:2"}, "live": "green"}},
                BAR | {"egress": {"services": ["foo"]}, "canary": {"image": "b:2"}},
            ],
            "kong-doks:aggregates": [
                {"name": "overview", "path": "/overview", "backends": {"foo": "/foo", "bar": "/bar"}}
            ],
        },
    },
    "no chart": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://missing.example/"}},
    "no such chart": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://empty.example"}},
    "no such version": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://old.example"}},
    "no URL": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://["}},
    "no index": {"stack": "dev", "config": {"kong-doks:chartRepository": "https://portal.example"}},
    "paid registry": {"stack": "dev", "config": {"kong-doks:registry": {"kind": "digitalocean", "tier": "basic"}}},
    "existing registry": {
        "stack": "dev",
        "config": {"kong-doks:registry": {"kind": "digitalocean", "name": "mine", "existing": True}},
    },
    "other registry": {
        "stack": "dev",
        "config": {"kong-doks:registry": OTHER_REGISTRY},
        "secret_keys": ["kong-doks:registry"],
    },
    "secret gateway": {
        "stack": "dev",
        "config": {"kong-doks:gateway": {"tracing": {"url": "https://otel.example/planted-" + "token"}}},
        "secret_keys": ["kong-doks:gateway"],
    },
    "registry in clear": {
        "stack": "dev",
        "config": {"kong-doks:registry": OTHER_REGISTRY},
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
    **{
        f"logs to {url}": {"stack": "dev", "config": {"kong-doks:gateway": {"httpLog": {"url": url}}}}
        for url in COLLECTORS
    },
    "own namespace": {"stack": "dev", "config": {"kong-doks:namespace": "shop"}},
    "token in config": {
        "stack": "dev",
        "config": {"digitalocean:token": "planted-" + "token"},
        "secret_keys": ["digitalocean:token"],
    },
    "token in clear": {"stack": "dev", "config": {"digitalocean:token": "planted-" + "token"}},
    "no token": {
        "stack": "dev",
        "refusal": "a call returned an error: GET https://api/v2/kubernetes/options: 401 Unable",
    },
    "only images": {
        "stack": "dev",
        "config": {"kong-doks:services": [{"name": "web", "path": "/", "image": "nginx:1.29.3", "port": 8080}]},
    },
    "retired version": {"stack": "dev", "config": {"kong-doks:kubernetesVersion": "1.30"}},
    "domain": {"stack": "dev", "config": DOMAIN},
    "domain, canary": {
        "stack": "dev",
        "config": DOMAIN | {"kong-doks:services": [FOO | {"canary": {"image": "user/foo:2"}}]},
    },
    "domain in preview": {"stack": "dev", "config": DOMAIN, "preview": True},
    "domain kept elsewhere": {"stack": "dev", "config": DOMAIN | {"kong-doks:domain": "api.example.org"}},
    "domain itself": {"stack": "dev", "config": DOMAIN | {"kong-doks:domain": "shop.example.com"}},
    "production": {"stack": "dev", "config": DOMAIN | {"kong-doks:acme": {"server": "production"}}},
    "own authority": {"stack": "dev", "config": DOMAIN | {"kong-doks:acme": OWN_AUTHORITY}},
    "domain on an own cluster": {
        "stack": "local",
        "config": DOMAIN | {"kong-doks:proxyServiceType": "LoadBalancer"},
    },
    **{
        f"fleet of {size}": {"stack": "dev", "config": fleet(size), "secret_keys": ["kong-doks:consumers"]}
        for size in FLEETS
    },
    **{f"example {name}": {"stack": "dev", "config": config} for name, config in EXAMPLES.items()},
    "domain, canary, monitoring": {
        "stack": "dev",
        "config": DOMAIN
        | {
            "kong-doks:gateway": {"monitoring": True, "replicas": 2, "rateLimit": {"minute": 60}},
            "kong-doks:services": [FOO | {"canary": {"image": "user/foo:2"}}],
        },
    },
    "mistakes": {"stack": "dev", "config": {"kong-doks:nodeCount": "0", "kong-doks:nodSize": "s-1vcpu-2gb"}},
}


@dataclass(frozen=True)
class Resource:
    """What the program registered, or looked up (by its `id`): `needs` exists before it and is deleted after it."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    needs: list[str]
    created: bool
    parent: str = ""
    id: str = ""
    deleted_with: str = ""
    retained: bool = False
    ignore_changes: list[str] = field(default_factory=list)
    create_timeout: str = ""
    update_timeout: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def annotations(self) -> dict[str, Any]:
        """Annotations of a Kubernetes object, but for patchForce, which every object has in the stack's own cluster."""
        found: dict[str, Any] = self.inputs["metadata"].get("annotations", {})
        return {name: value for name, value in found.items() if name != "pulumi.com/patchForce"}


@dataclass(frozen=True)
class Recording:
    """One run of the program."""

    resources: list[Resource]
    outputs: dict[str, Any]
    invoked: list[str]
    errors: list[str]
    status: int

    def of(self, kind: str) -> list[Resource]:
        """All resources of a type, by the last part of its token; components of this project have none of these."""
        return [r for r in self.resources if r.type.rpartition(":")[2] == kind and not r.type.startswith("kong-doks:")]

    def one(self, kind: str, name: str | None = None) -> Resource:
        (found,) = [r for r in self.of(kind) if name in (None, r.name)]
        return found

    @cached_property
    def _by_urn(self) -> dict[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    def before(self, resource: Resource) -> set[str]:
        """Everything that has to exist before a resource, directly or not, as "Type name"."""
        found: set[str] = set()
        waiting = list(resource.needs)
        while waiting:
            if (urn := waiting.pop()) in self._by_urn and urn not in found:
                found.add(urn)
                waiting += self._by_urn[urn].needs
        custom = [self._by_urn[urn] for urn in found if not self._by_urn[urn].type.startswith("kong-doks:")]
        return {f"{each.type.rpartition(':')[2]} {each.name}" for each in custom}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need recordings come after the others, during which these are made."""
    items.sort(key=_needs_recordings)


def _needs_recordings(item: pytest.Item) -> bool:
    return "recordings" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session", autouse=True)
def recording(request: pytest.FixtureRequest) -> Iterator[list[Future[dict[str, Recording]]]]:
    """Begins, if any test needs it, in two processes."""
    names = list(RUNS) if any(map(_needs_recordings, request.session.items)) else []
    with ThreadPoolExecutor() as at_once:
        yield [at_once.submit(_recorded, part) for part in (names[::2], names[1::2]) if part]


@pytest.fixture(scope="session")
def recordings(recording: list[Future[dict[str, Recording]]]) -> dict[str, Recording]:
    return functools.reduce(operator.or_, (part.result() for part in recording))


def _recorded(names: list[str]) -> dict[str, Recording]:
    process = subprocess.run(
        [sys.executable, "-m", "tests.unit.record"],
        input=json.dumps({name: RUNS[name] for name in names}),
        capture_output=True,
        text=True,
        check=False,
        # An output that is formatted into a string by mistake is an error instead of a warning in the string.
        env=os.environ | {"PULUMI_ERROR_OUTPUT_STRING": "true"},
        cwd=PROJECT,
    )
    assert process.returncode == 0, process.stderr
    return {
        name: Recording(**{**run, "resources": [Resource(**resource) for resource in run["resources"]]})
        for name, run in json.loads(process.stdout).items()
    }


@pytest.fixture(scope="session")
def run(recordings: dict[str, Recording]) -> Callable[[str], Recording]:
    return recordings.__getitem__


@pytest.fixture(scope="session")
def dev(recordings: dict[str, Recording]) -> Recording:
    return recordings["dev"]
