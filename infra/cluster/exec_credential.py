"""Prints a short-lived credential for a DigitalOcean Kubernetes cluster, as kubectl asks its exec plugins for one.

The stack's kubeconfig carries this text whole, so that it works wherever there is a python3: standard library only.
DigitalOcean's API token comes from the environment, or with --stack from that stack's configuration, never from an
argument.
"""

import argparse
import http.client
import ipaddress
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

# Long enough for one command. Every run leaves its token on the cluster until then; clients ask again by themselves.
LIFETIME = 900
ATTEMPTS = 4
LONGEST_WAIT = 60  # seconds; after a burst DigitalOcean is busy for that long
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
# What a status says of the token.
REFUSALS = {
    401: "isn't valid",
    403: "lacks a scope (kubernetes:access_cluster)",
    404: "is another team's, or the cluster is gone",
}


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Turns a redirect into an error: urllib would send the API token to whatever host it names."""

    def redirect_request(self, *_: object) -> None:
        return None


def api_token(stack: str | None) -> tuple[str, str]:
    """Returns DigitalOcean's API token, after the name of what holds it.

    The named stack comes first. A stack that was renamed has another name than the kubeconfig in its state, so the
    environment and the stack that is selected follow.
    """
    problems = []
    for options in [["--stack", stack], None, []] if stack else [None]:
        try:
            name, token = environment_token() if options is None else stack_token(*options)
        except LookupError as error:
            problems.append(str(error.args[0]))
            continue
        if problem := token_problem(token):
            sys.exit(f"credential: {name}: {problem}; allowed: one word; fix: {token_fix(name)}")
        return name, token
    sys.exit(f"credential: {problems[0]}; fix: {token_fix('DIGITALOCEAN_TOKEN')}")


def environment_token() -> tuple[str, str]:
    for name in ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"):
        if token := os.environ.get(name):
            return name, token
    raise LookupError("DIGITALOCEAN_TOKEN: is missing")


def stack_token(*options: str) -> tuple[str, str]:
    """Reads the token from a stack's configuration; without options, from that of PULUMI_STACK or the selected one."""
    command = ["pulumi", "config", "get", "digitalocean:token", *options]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LookupError(f"{' '.join(command)}: {error}") from error
    if result.returncode:
        raise LookupError(f"{' '.join(command)}: {' '.join(result.stderr.split())}")
    return "digitalocean:token", result.stdout.removesuffix("\n")


# The functions below are those of infra/config/api_access.py, down to `fetch`.


def token_problem(token: str) -> str:
    """Returns why the token can't be sent; empty if it can. An HTTP client would repeat it in its own error."""
    if not token:
        return "is missing"
    return "" if re.fullmatch("[!-~]+", token) else "has a blank, a line break or another character that no token has"


def token_fix(name: str) -> str:
    """Returns the command that sets another token where this one comes from."""
    if name == "digitalocean:token":
        return "pulumi config set --secret digitalocean:token"
    return "export DIGITALOCEAN_TOKEN=dop_v1_..."


def endpoint_problem(endpoint: str) -> str:
    """Returns why the token must not be sent there; empty if it may."""
    if not re.fullmatch("[!-~]+", endpoint):
        return "not a URL"
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")  # an empty or too long label, which an HTTP client would raise as no error of its own
        if re.fullmatch("[0-9.]+", host):
            ipaddress.ip_address(host)
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https") or not host:
        return "not a URL"
    if parts.scheme == "http" and not is_loopback(host):
        return "the token would go over plain HTTP"
    return ""


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def fetch(url: str, token: str, name: str) -> dict[str, str]:
    handlers: list[type[urllib.request.BaseHandler] | urllib.request.BaseHandler] = [NoRedirects]
    if urlsplit(url).scheme != "https":
        handlers.append(urllib.request.ProxyHandler({}))  # this machine itself: a proxy would read the token
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    for attempt in range(1, ATTEMPTS + 1):
        wait = 2**attempt
        try:
            with opener.open(request, timeout=30) as response:
                credentials = json.load(response)
            return {key: credentials[key] for key in ("token", "expires_at")}
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code} {error.reason}"
            if refusal := REFUSALS.get(error.code):
                problem += f": the token of {name} {refusal}; fix: {token_fix(name)}"
            if error.code != TOO_MANY_REQUESTS and error.code < SERVER_ERROR:
                break
            wait = max(wait, asked_for(error.headers.get("Retry-After", "")))
        except (OSError, http.client.HTTPException) as error:
            problem = str(error)
        except (ValueError, KeyError, TypeError):
            problem = "no credential in the answer"
        if attempt < ATTEMPTS:
            time.sleep(wait)
    sys.exit(f"credential: {url.partition('?')[0]}: {problem}")


def asked_for(retry_after: str) -> int:
    """Seconds."""
    return min(int(retry_after), LONGEST_WAIT) if retry_after.isdecimal() else 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cluster")
    parser.add_argument("--api", default=os.environ.get("DIGITALOCEAN_API_URL") or "https://api.digitalocean.com")
    parser.add_argument("--stack")
    options = parser.parse_args()
    url = f"{options.api.rstrip('/')}/v2/kubernetes/clusters/{options.cluster}/credentials?expiry_seconds={LIFETIME}"
    if problem := endpoint_problem(options.api):
        sys.exit(
            f"credential: {options.api}: {problem}; allowed: https, or http to this machine; "
            "fix: export DIGITALOCEAN_API_URL=https://..."
        )
    name, token = api_token(options.stack)
    credentials = fetch(url, token, name)
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": credentials["token"], "expirationTimestamp": credentials["expires_at"]},
    }
    print(json.dumps(credential))


if __name__ == "__main__":
    main()
