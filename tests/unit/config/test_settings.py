"""Mistakes in a stack's file: each is one line that names key, value, what is allowed and the fix."""

from typing import Any

import pytest
import yaml

from infra.config.gateway import GatewayPolicies
from infra.config.registry import Registry
from infra.config.service_version import ResolvedVersion
from infra.config.settings import Settings
from infra.config.tls import Acme
from tests.unit.configurations import FOO, PROJECT
from tests.unit.loading import loaded, refused

BAR = {"name": "bar", "path": "/bar", "image": "user/bar-microservice:0.1"}

WEB = {"name": "web", "path": "/"}
BLUE = {"name": "blue", "path": "/blue"}

PULLING = {"name": "foo", "path": "/foo", "image": "ghcr.io/user/foo:1"}
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"nodeCont": "1"}, "nodeCont: is not a known key; allowed: clusterName, "),
    "the fix for a slip of the pen": ({"nodeCont": "1"}, "; fix: write nodeCount"),
    "snake case": ({"node_count": "1"}, "node_count: is not a known key"),
    "a list of nothing": (
        {"services": [FOO | {"resources": None}]},
        "services[0].resources: is empty; allowed: requests, limits; fix: remove resources, ",
    ),
    "limits of nothing": ({"services": [FOO | {"resources": {"limits": None}}]}, "resources.limits: is empty"),
    "a path upwards": ({"services": [FOO | {"path": "/a/../b"}]}, 'services[0].path: "/a/../b" is not allowed'),
    "two tags": ({"services": [WEB | {"image": "a:1:2"}]}, 'services[0].image: "a:1:2" is not the name of an image'),
    "an image in capitals": ({"services": [WEB | {"image": "ghcr.io/User/x:1"}]}, "services[0].image: "),
    "the port as a variable": ({"services": [FOO | {"env": {"PORT": "80"}}]}, "services[0].env.PORT: "),
    "a user for a registry": (
        {"registry": {"kind": "other", "server": "user"}},
        'registry.server: "user" is not allowed; allowed: a registry\'s host (docker.io/<user> for Docker Hub)',
    ),
    "Docker Hub without a user": ({"registry": {"kind": "other", "server": "docker.io"}}, "write docker.io/<user>"),
    "Docker Hub's other name": (
        {"registry": {"kind": "other", "server": "index.docker.io/u"}},
        'registry.server: "index.docker.io/u" is not allowed; allowed: for Docker Hub, docker.io/<user>',
    ),
    "an empty path": ({"registry": {"kind": "other", "server": "ghcr.io//u"}}, 'registry.server: "ghcr.io//u" is'),
    "an infinite number": (
        {"services": [FOO | {"plugins": {"cors": {"max_age": float("inf")}}}]},
        "a list of services",
    ),
    "a key of two lines": ({"services": [FOO | {"po\nrt": 1}]}, "services[0].po\\nrt: is not a known key"),
    "nobody's name": ({"consumers": [{"name": None}]}, "consumers[0].name: is empty; allowed: lower-case"),
    "a number in words": ({"nodeCount": "two"}, 'nodeCount: "two" is not allowed; allowed: 1 to 512 nodes; fix: '),
    "a second registry's URL": (
        {"services": [PULLING | {"pull": {"server": "https://ghcr.io", "username": "u", "password": "p"}}]},
        'services[0].pull.server: "https://ghcr.io" is not allowed; allowed: a registry\'s host; fix: ',
    ),
    "a second registry's user with a colon": (
        {"services": [PULLING | {"pull": {"server": "ghcr.io", "username": "us:er", "password": "p"}}]},
        'services[0].pull.username: "us:er" is not allowed',
    ),
    "credentials for another registry than the image's": (
        {"services": [PULLING | {"pull": {"server": "quay.io", "username": "u", "password": "p"}}]},
        '"quay.io" is not allowed; allowed: the registry of its image, which is ghcr.io; fix: write server: ghcr.io',
    ),
    "credentials for another registry than Docker Hub": (
        {"services": [PULLING | {"image": "u/a:1", "pull": {"server": "ghcr.io", "username": "u", "password": "p"}}]},
        "which is docker.io; fix: write server: docker.io",
    ),
    "credentials for an image that is built": (
        {"services": [FOO | {"pull": {"server": "ghcr.io", "username": "u", "password": "p"}}]},
        'services[0].pull.server: "ghcr.io" is not allowed; allowed: unset without an image; fix: remove pull',
    ),
    "a probe's path that begins with a host": ({"services": [FOO | {"health": "//healthz"}]}, "services[0].health: "),
    "a short API key": (
        {"consumers": [{"name": "alice", "apiKey": "x"}]},
        "fix: write for example what openssl rand -hex 32 prints",
    ),
    "an API key with a line break": (
        {"consumers": [{"name": "alice", "apiKey": "x" * 20 + "\n"}]},
        "consumers[0].apiKey: is not allowed; allowed: what a header can have: one line, without a blank",
    ),
    "an API key with a blank before it": ({"consumers": [{"name": "a", "apiKey": " " + "x" * 20}]}, "].apiKey: is not"),
    "a domain with a dot at its end": ({"domain": "a.example.com."}, "without a wildcard or a dot at its end"),
    "an address without a domain": ({"email": "ops@localhost"}, 'email: "ops@localhost" is not allowed'),
    "an address with an empty label": ({"email": "a@b..de"}, 'email: "a@b..de" is not allowed'),
    "no nodes": ({"nodeCount": "0"}, 'nodeCount: "0" is not allowed'),
    "a version of its own": ({"kubernetesVersion": "latest"}, 'kubernetesVersion: "latest" is not allowed'),
    "a version without quotes": ({"kubernetesVersion": "1.3"}, "allowed: a minor version, in quotes; fix: write for"),
    "a region's name": ({"region": "New York"}, 'region: "New York" is not allowed'),
    "a size's name": ({"nodeSize": "small"}, 'nodeSize: "small" is not allowed'),
    "a bad cluster name": ({"clusterName": "My_Cluster"}, 'clusterName: "My_Cluster" is not allowed'),
    "neither yes nor no": ({"ha": "maybe"}, 'ha: "maybe" is not allowed; allowed: true or false'),
    "no such service type": ({"proxyServiceType": "Ingress"}, "allowed: LoadBalancer, NodePort or ClusterIP"),
    "not a URL": ({"chartRepository": "charts"}, 'chartRepository: "charts" is not allowed'),
    "a cluster name too long for its nodes": ({"clusterName": "c" * 45}, "at most 44; fix: "),
    "yes for a port": ({"services": [FOO | {"port": True}]}, "services[0].port: true is not allowed"),
    "Kubernetes' namespace": ({"namespace": "kube-system"}, 'namespace: "kube-system" is not allowed'),
    "the gateway's namespace": (
        {"namespace": "kong"},
        'namespace: "kong" is not allowed; allowed: any namespace except',
    ),
    "services that aren't a list": ({"services": "foo"}, 'services: "foo" is not allowed; allowed: a list of services'),
    "a bad service name": ({"services": [FOO | {"name": "Foo_"}]}, 'services[0].name: "Foo_" is not allowed'),
    "a name too long for its objects": ({"services": [FOO | {"name": "f" * 53}]}, "at most 52; fix: "),
    "a name that an output has": ({"services": [FOO | {"name": "proxy"}]}, 'services[0].name: "proxy" is not allowed'),
    "a build too long for a path": ({"services": [FOO | {"build": "b" * 300}]}, "services[0].build: "),
    "the same name twice": ({"services": [FOO, BAR | {"name": "foo"}]}, 'services[1].name: "foo" is not allowed'),
    "the same path twice": ({"services": [FOO, BAR | {"path": "/foo"}]}, 'services[1].path: "/foo" is not allowed'),
    "a group twice": (
        {"consumers": [{"name": "a", "apiKey": "planted-key-of-20-ch", "groups": ["team-a", "team-a"]}]},
        'consumers[0].groups[1]: "team-a" is not allowed; allowed: each group once',
    ),
    "the certificate's name": (
        {"domain": "api.example.com", "email": "ops@example.com", "services": [FOO | {"name": "gateway-tls"}]},
        'services[0].name: "gateway-tls" is not allowed; allowed: any but gateway-tls with domain',
    ),
    "a number without quotes": (
        {"services": [FOO | {"env": {"VERSION": 1.1}}]},
        "services[0].env.VERSION: 1.1 is not allowed; allowed: text; fix: write it in quotes",
    ),
    "an octal number": ({"services": [FOO | {"env": {"MODE": 493}}]}, "services[0].env.MODE: 493 is not allowed"),
    "yes": (
        {"services": [FOO | {"env": {"DEBUG": True}}]},
        "services[0].env.DEBUG: true is not allowed; allowed: text; fix: write it in quotes",
    ),
    "a date": (
        {"services": [FOO | {"env": {"DAY": "2024-01-02 00:00:00 +0000 UTC"}}]},
        'services[0].env.DAY: "2024-01-02 00:00:00 +0000 UTC" is not allowed; allowed: text; YAML reads this as a date',
    ),
    "a number in a header": (
        {"services": [FOO | {"requestHeaders": {"set": {"X-Version": 1.1}}}]},
        "services[0].requestHeaders.set.X-Version: 1.1 is not allowed; allowed: text; fix: write it in quotes",
    ),
    "a number in the query": (
        {"services": [FOO | {"requestQuery": {"add": {"page": 1}}}]},
        "services[0].requestQuery.add.page: 1 is not allowed; allowed: text; fix: write it in quotes",
    ),
    "a number in a field of a body": (
        {"services": [FOO | {"responseBody": {"add": {"page": 1}}}]},
        "services[0].responseBody.add.page: 1 is not allowed; allowed: text; fix: write it in quotes",
    ),
    "a number to ask for": ({"services": [FOO | {"whenHeaders": {"X-Try": 1}}]}, "fix: write it in quotes"),
    "an issuer without quotes": (
        {"consumers": [{"name": "a", "jwt": {"key": 83, "secret": "planted-secret-of-32-characters!"}}]},
        "consumers[0].jwt.key: 83 is not allowed; allowed: text; fix: write it in quotes",
    ),
    "half a character": ({"services": [FOO | {"env": {"A": "\ud800"}}]}, "services[0].env.A: is not allowed"),
    "half a character in a plugin": (
        {"services": [FOO | {"plugins": {"cors": {"origins": ["\ud800"]}}}]},
        "services[0].plugins.cors.origins[0]: is not allowed; allowed: text without zero bytes",
    ),
    "a zero byte": ({"services": [FOO | {"env": {"A": "a\0b"}}]}, "services[0].env.A: is not allowed"),
    "too long a variable": (
        {"services": [FOO | {"env": {"A": "a" * (128 * 1024 - 2)}}]},
        "services[0].env.A: is not allowed; allowed: less than 128 KiB",
    ),
    "thousandths of a byte": (
        {"services": [FOO | {"resources": {"limits": {"memory": "128m"}}}]},
        'services[0].resources.limits.memory: "128m" is not allowed; allowed: bytes with k, M, G, Ki, Mi or Gi',
    ),
    "thousandths of a byte asked for": (
        {"services": [FOO | {"resources": {"requests": {"memory": "64m"}}}]},
        'services[0].resources.requests.memory: "64m" is not allowed',
    ),
    "memory without its unit": (
        {"services": [FOO | {"resources": {"requests": {"memory": "0"}, "limits": {"memory": 128}}}]},
        'services[0].resources.limits.memory: "128" is not allowed; allowed: at least 8Mi',
    ),
    "an image in capitals, and why": (
        {"services": [WEB | {"image": "GHCR.io/User/app:1.0"}]},
        "allowed: a registry's host, a path in lower case, a tag or a digest, as in ghcr.io/user/app:0.1; fix: ",
    ),
    "an image's URL": ({"services": [WEB | {"image": "https://ghcr.io/user/app:1"}]}, "fix: write it in lower case, "),
    "dots for a registry": ({"services": [WEB | {"image": ".../a:1"}]}, "services[0].image: "),
    "a hyphen for a registry": ({"services": [WEB | {"image": "-/a:1"}]}, "services[0].image: "),
    "too long a tag": ({"services": [WEB | {"image": f"a:{'1' * 129}"}]}, "services[0].image: "),
    "too long an image": ({"services": [WEB | {"image": f"{'a' * 256}:1"}]}, "services[0].image: "),
    "hyphens for a registry's host": ({"registry": {"kind": "other", "server": "-.-"}}, 'registry.server: "-.-" is'),
    "a user with a colon": (
        {"registry": {"kind": "other", "server": "ghcr.io/u", "username": "us:er", "password": "planted"}},
        'registry.username: "us:er" is not allowed; allowed: who may push and pull, without a colon',
    ),
    **{
        f"a collector's host {host}": (
            {"gateway": {"httpLog": {"url": f"http://{host}:9000/"}}},
            "gateway.httpLog.url: ",
        )
        for host in ("a.-b", "a.b-", "a._b", "a" * 64)
    },
    "a retention of ages": ({"gateway": {"monitoring": {"retention": "999999999999d"}}}, "monitoring.retention: "),
    "no final status": ({"services": [FOO | {"terminate": {"status": 100}}]}, "services[0].terminate.status: 100 is"),
    "too long a path": ({"services": [FOO | {"path": f"/{'a' * 1024}"}]}, "services[0].path: "),
    "yes for an address": ({"services": [FOO | {"allowIps": [True]}]}, "services[0].allowIps[0]: true is not allowed"),
    "a number for an address": ({"services": [FOO | {"denyIps": [16777216]}]}, "services[0].denyIps[0]: 16777216 is"),
    "no certificate": (
        {"domain": "api.example.com", "email": "ops@example.com"}
        | {"acme": {"ca": "-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n"}},
        "acme.ca: ",
    ),
    "a path below a weighted one with a dot": (
        {
            "services": [
                FOO | {"path": "/v1.0", "canary": {"image": "foo:2"}},
                BAR | {"path": "/v1.0/bar"},
            ]
        },
        'services[0].path: "/v1.0" is not allowed; allowed: a path without a dot with canary, since bar is below it',
    ),
    "traces to the internet, which is closed": (
        {
            "gateway": {"tracing": {"url": "https://otel.eu.example.com/v1/traces"}},
            "services": [FOO | {"egress": {"internet": False}}],
        },
        "services[0].tracing: true is not allowed; allowed: false with egress.internet: false, since otel.eu.example",
    ),
    "a path without its slash": ({"services": [FOO | {"path": "foo"}]}, 'services[0].path: "foo" is not allowed'),
    "a path that is a pattern": (
        {"services": [FOO | {"path": "/~foo"}]},
        'services[0].path: "/~foo" is not allowed; allowed: one that doesn\'t begin with "/~"',
    ),
    "a path with a slash at its end": ({"services": [FOO | {"path": "/foo/"}]}, 'path: "/foo/" is not allowed'),
    "no path": ({"services": [{"name": "foo", "build": "apps/foo"}]}, "services[0].path: is missing; allowed: "),
    "build and image": ({"services": [FOO | {"image": "a:1"}]}, "services[0]: has both build and image; allowed: "),
    "neither build nor image": (
        {"services": [{"name": "foo", "path": "/foo"}]},
        "has neither build nor image; allowed: exactly one of them; fix: add for example build: apps/foo",
    ),
    "nothing to build": ({"services": [FOO | {"build": "apps/no"}]}, 'services[0].build: "apps/no" is not allowed'),
    "an image without a tag": ({"services": [BAR | {"image": "user/bar"}]}, "fix: end it with a tag such as :0.1"),
    "an image whose tag moves": ({"services": [BAR | {"image": "user/bar:latest"}]}, 'image: "user/bar:latest" is not'),
    "not an image": (
        {"services": [BAR | {"image": "User Bar"}]},
        'services[0].image: "User Bar" is not the name of an image',
    ),
    "no such port": ({"services": [FOO | {"port": 70000}]}, "services[0].port: 70000 is not allowed"),
    "no replicas": ({"services": [FOO | {"replicas": 0}]}, "services[0].replicas: 0 is not allowed; allowed: 1 to 100"),
    "two that set the number of pods": (
        {"services": [FOO | {"replicas": 1, "autoscale": {"max": 3}}]},
        "services[0].replicas: is not allowed; allowed: unset with autoscale, which sets the number of pods; fix: ",
    ),
    "two that set the number of Kong's pods": (
        {"gateway": {"replicas": 2, "autoscale": {"max": 3}}},
        "gateway.replicas: is not allowed; allowed: unset with autoscale, which sets the number of pods; fix: ",
    ),
    "an autoscaler without bounds": (
        {"services": [FOO | {"autoscale": {}}]},
        "services[0].autoscale.max: is missing; allowed: 2 to 100 pods; fix: add for example max: 5",
    ),
    "an autoscaler that never scales": (
        {"services": [FOO | {"autoscale": {"min": 3, "max": 3}}]},
        "services[0].autoscale.min: 3 is not allowed; allowed: less than max, which is 3; fix: write replicas: 3",
    ),
    "a target of nothing": (
        {"services": [FOO | {"autoscale": {"max": 3, "cpu": 0}}]},
        "services[0].autoscale.cpu: 0 is not allowed; allowed: average use in percent of requests.cpu, 1 to 10000; fix",
    ),
    "a target above the limit": (
        {"services": [FOO | {"autoscale": {"max": 3, "memory": 534}}]},
        "services[0].autoscale.memory: 534 is not allowed; allowed: at most 533, where limits.memory is in percent",
    ),
    "a target of Kong above its limit": (
        {"gateway": {"autoscale": {"max": 3, "cpu": 3001}}},
        "gateway.autoscale.cpu: 3001 is not allowed; allowed: at most 3000, where limits.cpu is in percent",
    ),
    "a target of no request": (
        {"services": [FOO | {"autoscale": {"max": 3}, "resources": {"requests": {"cpu": "0"}}}]},
        "services[0].resources.requests.cpu: is not allowed; allowed: a request above 0",
    ),
    "more pods of Kong than there may be": (
        {"gateway": {"autoscale": {"max": 21}}},
        "gateway.autoscale.max: 21 is not allowed; allowed: 2 to 20 pods of Kong; fix: write max: 20",
    ),
    "autoscale in a cluster that may have a metrics-server": (
        {"services": [BAR | {"autoscale": {"max": 3}}], "kubeContext": "a", "registry": {"kind": "none"}},
        'metricsServer: "auto" is not allowed; allowed: install, or existing if the cluster has one, with',
    ),
    "a pod that serves on for longer than it lives": (
        {"services": [FOO | {"preStop": 30}]},
        "services[0].preStop: 30 is not allowed; allowed: less than gracePeriod, which is 30: it begins before",
    ),
    "a bad variable": ({"services": [FOO | {"env": {"1KEY": "1"}}]}, "services[0].env.1KEY: "),
    "a variable that isn't text": (
        {"services": [FOO | {"env": {"DEBUG": True}}]},
        "services[0].env.DEBUG: true is not",
    ),
    "not a quantity": (
        {"services": [FOO | {"resources": {"limits": {"memory": "1 GB"}}}]},
        'services[0].resources.limits.memory: "1 GB" is not allowed; allowed: bytes with k',
    ),
    "more than a number holds": (
        {"services": [FOO | {"resources": {"limits": {"cpu": "9" * 400}}}]},
        f'services[0].resources.limits.cpu: "{"9" * 199}... is not allowed; allowed: cores',
    ),
    "a VPC whose addresses aren't private": (
        {"vpc": {"name": "shop", "ipRange": "198.18.0.0/16"}},
        'vpc.ipRange: "198.18.0.0/16" is not allowed; allowed: a private IPv4 network (RFC 1918) from /16 to /24',
    ),
    "more asked for than allowed": (
        {"services": [FOO | {"resources": {"requests": {"memory": "1Gi"}}}]},
        'services[0].resources.requests.memory: "1Gi" is not allowed; allowed: at most limits.memory, which is 128Mi',
    ),
    "a canary of nothing": (
        {"services": [FOO | {"canary": {"weight": 5}}]},
        "services[0].canary: has neither build nor image; allowed: exactly one of them",
    ),
    "more than all requests": (
        {"services": [FOO | {"canary": {"image": "a:1", "weight": 101}}]},
        "services[0].canary.weight: 101 is not allowed; allowed: 0 to 100 of a hundred requests",
    ),
    "a canary whose tag moves": (
        {"services": [FOO | {"canary": {"image": "a"}}]},
        'services[0].canary.image: "a" is not allowed',
    ),
    "the name of a canary": (
        {"services": [FOO | {"canary": {"image": "a:1"}}, BAR | {"name": "foo-canary"}]},
        'services[1].name: "foo-canary" is not allowed; allowed: a name that no other service or version has',
    ),
    "a name too long for a canary's objects": (
        {"services": [FOO | {"name": "f" * 46, "canary": {"image": "a:1"}}]},
        "allowed: at most 45 letters with canary",
    ),
    "no colour live": (
        {"services": [BLUE | {"blueGreen": {"blue": {"image": "a:1"}}}]},
        "services[0].blueGreen.live: is missing; allowed: blue or green",
    ),
    "a colour live that isn't there": (
        {"services": [BLUE | {"blueGreen": {"blue": {"image": "a:1"}, "live": "green"}}]},
        'services[0].blueGreen.live: "green" is not allowed; allowed: blue',
    ),
    "an image beside colours": (
        {"services": [FOO | {"blueGreen": {"blue": {"image": "a:1"}, "live": "blue"}}]},
        "services[0].build: is not allowed; allowed: unset with blueGreen, which sets the versions",
    ),
    "a colour without an image": (
        {"services": [BLUE | {"blueGreen": {"blue": {"replicas": 1}, "live": "blue"}}]},
        "services[0].blueGreen.blue: has neither build nor image",
    ),
    "a canary's port as a variable": (
        {"services": [FOO | {"canary": {"image": "a:1", "env": {"PORT": "1"}}}]},
        "services[0].canary.env.PORT: ",
    ),
    "not a URL of releases": ({"gatewayApiReleases": "v1.2.1"}, 'gatewayApiReleases: "v1.2.1" is not allowed'),
    "a registry of no kind": ({"registry": {"kind": "dockerhub"}}, "allowed: digitalocean, other or none"),
    "a registry where there are none": ({"registry": {"region": "nyc1"}}, 'registry.region: "nyc1" is not allowed'),
    "no such tier": ({"registry": {"tier": "free"}}, 'registry.tier: "free" is not allowed; allowed: starter'),
    "an existing registry without a name": ({"registry": {"existing": True}}, "registry.name: is not allowed"),
    "a tier for an existing registry": (
        {"registry": {"existing": True, "name": "mine", "tier": "basic"}},
        "registry.tier: is not allowed; allowed: with existing: true, only name",
    ),
    "another registry without a server": ({"registry": {"kind": "other"}}, "registry.server: is not allowed"),
    "a key of another kind": (
        {"registry": {"server": "ghcr.io"}},
        "registry.server: is not allowed; allowed: with kind",
    ),
    "half a login": ({"registry": {"kind": "other", "server": "ghcr.io", "username": "me"}}, "registry.password: "),
    "no registry for nodes to pull from": (
        {"registry": {"kind": "none"}, "services": [FOO]},
        'registry.kind: "none" is not allowed; allowed: digitalocean or other, since nodes pull images',
    ),
    "too many repositories": (
        {"registry": {"tier": "basic"}, "services": [FOO | {"name": f"s{n}", "path": f"/{n}"} for n in range(6)]},
        'registry.tier: "basic" is not allowed; allowed: at most 5 images to build; fix: write tier: professional',
    ),
    "a cluster beside a cluster": (
        {"kubeContext": "kind-kind", "registry": {"kind": "none"}, "nodeCount": "3"},
        "nodeCount: 3 is not allowed; allowed: unset with kubeContext",
    ),
    "DigitalOcean's registry beside another's cluster": (
        {"kubeContext": "kind-kind"},
        'registry.kind: "digitalocean" is not allowed; allowed: other or none with kubeContext',
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_is_one_line_with_key_value_allowed_and_fix(mistake: str) -> None:
    config, expected = MISTAKES[mistake]
    lines = refused(config)
    (line,) = [line for line in lines if expected in line]
    assert line.startswith("kong-doks:")
    assert "; allowed: " in line
    assert "; fix: " in line
    assert "Traceback" not in "".join(lines)


def test_all_errors_are_reported_at_once() -> None:
    config = {"nodeCount": "0", "registry": {"tier": "free"}, "services": [FOO | {"port": 0, "path": "foo"}, FOO]}
    assert [line.partition(": ")[0] for line in refused(config)] == [
        "kong-doks:nodeCount",
        "kong-doks:registry.tier",
        "kong-doks:services[0].path",
        "kong-doks:services[0].port",
    ]


def test_an_error_does_not_contain_a_secret() -> None:
    planted = "planted-" + "word"
    config = {
        "registry": {"kind": "other", "server": "ghcr.io", "username": "me", "password": [planted]},
        "services": [FOO | {"path": planted}, BAR | {"image": f"{planted}:latest"}],
    }
    lines = refused(config, ["services"])
    assert planted not in "".join(lines)
    assert any(line.startswith("kong-doks:services[0].path: (secret) is not allowed") for line in lines)
    assert any(line.startswith("kong-doks:registry.password: ") for line in lines)


def test_hiding_a_short_secret_keeps_the_error_readable() -> None:
    (line,) = refused({"registry": "e"}, ["registry"])
    assert line.startswith("kong-doks:registry: (secret) is not allowed; allowed: a registry; fix: ")


@pytest.mark.parametrize(
    "image", ["nginx:1.29.3", "localhost:5001/foo:0.1", f"user/foo:latest@sha256:{'a' * 64}", "ghcr.io/a/b_c:v1-x"]
)
def test_images_by_fixed_tag_or_digest_are_accepted(image: str) -> None:
    (service,) = loaded({"services": [BAR | {"image": image}]}).services
    assert service.image == image


def test_a_service_needs_three_lines() -> None:
    (service,) = loaded({"services": [FOO]}).services
    assert service.versions == {"foo": ResolvedVersion("apps/foo", "", 1, {})}
    assert service.traffic_weights == {"foo": 100}
    assert (service.port, service.probe_path(service.versions["foo"])) == (5000, "/healthz")


def test_only_route_paths_may_not_begin_with_a_tilde() -> None:
    (service,) = loaded({"services": [FOO | {"path": "/foo/~ada", "rewrite": "/~ada"}]}).services
    assert (service.path, service.rewrite) == ("/foo/~ada", "/~ada")


def test_quantities_may_be_numbers() -> None:
    resources = {"requests": {"cpu": 0.25, "memory": "1.5Gi"}, "limits": {"cpu": 2, "memory": 4294967296}}
    (service,) = loaded({"services": [FOO | {"resources": resources}]}).services
    assert service.resources.limits.model_dump() == {"cpu": "2", "memory": "4294967296"}
    assert service.resources.requests.model_dump() == {"cpu": "0.25", "memory": "1.5Gi"}


@pytest.mark.parametrize("path", ["/health/", "/health?full=1", "/a/b%20c"])
def test_any_probe_path_is_accepted(path: str) -> None:
    (service,) = loaded({"services": [FOO | {"health": path}]}).services
    assert service.probe_path(service.versions["foo"]) == path


def test_pulumi_yaml_has_every_key_with_its_type_description_and_default() -> None:
    declared = yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"]
    fields = {field.alias: field for field in Settings.model_fields.values()}
    assert list(declared) == list(fields)
    assert Settings.model_validate({key: entry["default"] for key, entry in declared.items()}) == Settings()
    objects = {Registry, GatewayPolicies, Acme}
    types: dict[object, str] = {int: "integer", bool: "boolean", **dict.fromkeys(objects, "object")}
    mappings = {"nodeAutoscale", "nodePools", "maintenanceWindow", "vpc"}
    for key, entry in declared.items():
        assert entry["description"]
        expected = (
            "array"
            if key in {"services", "aggregates", "consumers", "controlPlaneFirewall"}
            else "object"
            if key in mappings
            else types.get(fields[key].annotation, "string")
        )
        assert entry["type"] == expected


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        # As every version of Kubernetes decides.
        *(("LOG_LEVEL", True), ("spring.datasource.url", True), ("a-b", True), ("-", True), ("_", True), (".a", True)),
        *(
            (".", False),
            ("..", False),
            ("..a", False),
            ("1A", False),
            ("A B", False),
            ("A=B", False),
            ("\u00c9", False),
        ),
    ],
)
def test_variables_have_the_names_that_kubernetes_allows(name: str, is_allowed: bool) -> None:
    config = {"services": [FOO | {"env": {name: "x"}}]}
    if is_allowed:
        assert loaded(config).services[0].env == {name: "x"}
    else:
        assert refused(config)[0].startswith(f"kong-doks:services[0].env.{name}: ")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"controlPlaneFirewall": ["10.1.2.3/20"]}, "controlPlaneFirewall[0]"),
        ({"vpc": {"name": "shop", "ipRange": "10.1.2.3/20"}}, "vpc.ipRange"),
        ({"gateway": {"denyIps": ["10.1.2.3/20"]}}, "gateway.denyIps[0]"),
        ({"gateway": {"egress": {"networks": ["10.1.2.3/20"]}}}, "gateway.egress.networks[0]"),
        ({"services": [FOO | {"allowIps": ["10.1.2.3/20"]}]}, "services[0].allowIps[0]"),
        ({"services": [FOO | {"egress": {"networks": ["10.1.2.3/20"]}}]}, "services[0].egress.networks[0]"),
    ],
)
def test_host_bits_of_a_network_are_the_reason_of_its_refusal(config: dict[str, Any], key: str) -> None:
    allowed = "the first address of a network before the slash"
    assert refused(config) == [
        f'kong-doks:{key}: "10.1.2.3/20" has host bits; allowed: {allowed}; fix: write 10.1.0.0/20'
    ]


def test_namespaces_may_begin_with_a_digit() -> None:
    config = loaded({"namespace": "2048", "services": [FOO | {"egress": {"namespaces": ["7-eleven"]}}]})
    assert config.namespace == "2048"
