"""The stack's cluster as it is on DigitalOcean now.

It is read over HTTP: the provider's look-up finds clusters by name, and creates a credential each time.
"""

import os
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from infra.config.api_access import ENDPOINT, PAUSE_VARIABLE, endpoint_problem, first_pause, token_fix, token_problem
from infra.config.cluster_changes import GOING, LiveCluster
from infra.loader import Account, exit_with_error

_ATTEMPTS = 5
_SECONDS = 30
_PAGE = 200
"""The most that DigitalOcean lists at once."""

Found = TypeVar("Found")


def live_cluster(account: Account, identifier: str) -> LiveCluster | None:
    """Reads the cluster; None if the account doesn't have it. A failure ends the program with one line."""
    return _get(
        account,
        f"kubernetes/clusters/{identifier}",
        lambda document: LiveCluster.read(document["kubernetes_cluster"]),
    )


def cluster_named(account: Account, name: str) -> str | None:
    """Returns the id of the account's cluster of that name, which DigitalOcean allows once; None: there is none.

    The name of a cluster that is being deleted may be free already.
    """
    page = 1
    while listed := _get(account, f"kubernetes/clusters?page={page}&per_page={_PAGE}", _listed):
        for cluster in listed:
            if cluster["name"] == name and cluster["status"]["state"] not in GOING:
                return str(cluster["id"])
        if len(listed) < _PAGE:
            break
        page += 1
    return None


def _listed(document: Any) -> list[Any]:  # noqa: ANN401 -- JSON
    return list(document["kubernetes_clusters"] or [])


def with_vpc(account: Account, cluster: LiveCluster) -> LiveCluster:
    """Returns the cluster with the name and the addresses of its VPC."""

    def read(document: Any) -> LiveCluster:  # noqa: ANN401 -- JSON
        return cluster._replace(vpc_name=document["vpc"]["name"], vpc_range=document["vpc"]["ip_range"])

    return (_get(account, f"vpcs/{cluster.vpc}", read) if cluster.vpc else None) or cluster


def available_upgrades(account: Account, identifier: str) -> list[str]:
    """Returns the versions that DigitalOcean can upgrade the cluster to."""
    return _get(account, f"kubernetes/clusters/{identifier}/upgrades", _upgrades) or []


def _upgrades(document: Any) -> list[str]:  # noqa: ANN401 -- JSON
    return [version["slug"] for version in document["available_upgrade_versions"] or []]


def _get(account: Account, path: str, read: Callable[[Any], Found]) -> Found | None:
    """Returns the part of an API document that `read` selects; None on 404.

    An answer without the keys that `read` needs comes from another server, such as a proxy, and is retried.
    """
    # Importing httpx takes 0.1 s, which a first `up` doesn't need.
    import httpx  # noqa: PLC0415

    endpoint, pause = check_access(account), _pause()
    headers = {"Authorization": f"Bearer {account.token}"}
    problem = ""
    # A plain-HTTP endpoint is on this machine: a proxy from the environment would read the token.
    is_remote = endpoint.startswith("https:")
    with httpx.Client(base_url=endpoint, headers=headers, timeout=_SECONDS, trust_env=is_remote) as client:
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(pause * 2 ** (attempt - 1))
            try:
                answer = client.get(f"/v2/{path}")
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
                continue
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return None
            if answer.is_success:
                try:
                    return read(answer.json())
                except (ValueError, LookupError, TypeError, AttributeError):
                    problem = "the answer isn't DigitalOcean's"
                    continue
            problem = f"{answer.status_code} {answer.reason_phrase}"
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS and not answer.is_server_error:
                break
    return exit_with_error(
        f"DigitalOcean API call failed: GET {path}: {problem}; allowed: a valid token with permission to read; "
        "fix: export DIGITALOCEAN_TOKEN=dop_v1_..."
    )


def check_access(account: Account) -> str:
    """Returns the API's endpoint. An invalid endpoint or token ends the program with one line."""
    _check_token(account)
    endpoint = account.api_endpoint or os.environ.get("DIGITALOCEAN_API_URL") or ENDPOINT
    if problem := endpoint_problem(endpoint):
        exit_with_error(
            f"digitalocean:apiEndpoint: {endpoint}: {problem}; allowed: https, or http to this machine; "
            "fix: pulumi config set digitalocean:apiEndpoint https://..., or export DIGITALOCEAN_API_URL=https://..."
        )
    return endpoint


def _check_token(account: Account) -> None:
    """Ends the program for a token that can't be a header: httpx would repeat it in its own error."""
    name = "digitalocean:token" if account.stack else "DIGITALOCEAN_TOKEN"
    if problem := token_problem(account.token or ""):
        exit_with_error(f"{name}: {problem}; allowed: one word; fix: {token_fix(name)}")


def _pause() -> float:
    text = os.environ.get(PAUSE_VARIABLE)
    pause = first_pause(text)
    if pause is None:
        exit_with_error(f'{PAUSE_VARIABLE}: "{text}"; allowed: seconds; fix: unset {PAUSE_VARIABLE}')
    return pause
