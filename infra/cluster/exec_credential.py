"""Prints a short-lived credential for a DigitalOcean Kubernetes cluster, as kubectl asks its exec plugins for one.

The stack's kubeconfig carries this text whole, so that it works wherever there is a python3: standard library only.
DigitalOcean's API token comes from the environment, or with --stack from that stack's configuration, never from an
argument.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

# Long enough for one command. Every run leaves its token on the cluster until then; clients ask again by themselves.
LIFETIME = 900
ATTEMPTS = 4
LONGEST_WAIT = 60  # seconds; after a burst DigitalOcean is busy for that long
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


def api_token(stack: str | None) -> str:
    if not stack:
        if token := os.environ.get("DIGITALOCEAN_TOKEN") or os.environ.get("DIGITALOCEAN_ACCESS_TOKEN"):
            return token.strip()
        sys.exit("credential: no token for DigitalOcean; fix: export DIGITALOCEAN_TOKEN=...")
    command = ["pulumi", "config", "get", "digitalocean:token", "--stack", stack]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"credential: {' '.join(command)}: {' '.join(result.stderr.split())}")
    return result.stdout.strip()


def fetch(url: str, token: str) -> dict[str, str]:
    try:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    except ValueError:
        sys.exit(f"credential: {url.partition('?')[0]}: not a URL; fix: export DIGITALOCEAN_API_URL=https://...")
    for attempt in range(1, ATTEMPTS + 1):
        wait = 2**attempt
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                found = json.load(response)
            return {key: found[key] for key in ("token", "expires_at")}
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code} {error.reason}"
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
    credentials = fetch(url, api_token(options.stack))
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": credentials["token"], "expirationTimestamp": credentials["expires_at"]},
    }
    print(json.dumps(credential))


if __name__ == "__main__":
    main()
