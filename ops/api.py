"""DigitalOcean's API v2, as far as the commands ask it: retried, paged, and with errors in one line."""

import os
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx

ENDPOINT = "https://api.digitalocean.com"
ATTEMPTS = 5
LONGEST_WAIT = 30.0
"""Seconds; the provider's own limit. Whoever is told to come back in an hour is told so."""


class OpsError(Exception):
    """A question can't be answered; the message is one line with the fix."""


class ApiError(OpsError):
    """The API refused, or didn't answer: then `status` is 0."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """An account, by its token.

    Args:
        token: with the scopes that `preflight` checks.
        endpoint: where the API is.
        pause: seconds before the first repetition, doubled for each further one; DIGITALOCEAN_HTTP_RETRY_WAIT_MIN as
            for Pulumi's provider, else 1.
    """

    def __init__(self, token: str, endpoint: str = ENDPOINT, pause: float | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._pause = float(os.environ.get("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN") or 1) if pause is None else pause
        self._http = httpx.Client(
            base_url=f"{self.endpoint}/v2/", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def call(self, method: str, path: str, body: object = None, **query: object) -> dict[str, Any]:
        """The JSON object that the API answers, empty if it answers nothing.

        Raises:
            ApiError: any status of 400 or above, or no answer, after the repetitions.
        """
        answer = self._answer(method, path, body, query)
        if answer.is_error:
            raise ApiError(answer.status_code, f"{method} /v2/{path}: {answer.status_code} {_message(answer)}")
        return dict(answer.json()) if answer.content else {}

    def get(self, path: str, **query: object) -> dict[str, Any]:
        return self.call("GET", path, **query)

    def find(self, path: str) -> dict[str, Any] | None:
        """Like `get`; None if there is no such thing."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def all(self, path: str, key: str, **query: object) -> Iterator[dict[str, Any]]:
        """Everything in a list, page by page."""
        number = 1
        while True:
            page = self.get(path, page=number, per_page=200, **query)
            yield from page.get(key) or []
            if not ((page.get("links") or {}).get("pages") or {}).get("next"):
                return
            number += 1

    def _answer(self, method: str, path: str, body: object, query: dict[str, object]) -> httpx.Response:
        attempt = 0
        while True:
            attempt += 1
            wait = self._pause * 2 ** (attempt - 1)
            try:
                answer = self._http.request(method, path, json=body, params={k: str(v) for k, v in query.items()})
            except httpx.TransportError as error:
                if attempt == ATTEMPTS:
                    raise ApiError(0, f"{self.endpoint} doesn't answer: {error}") from None
            else:
                again = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error
                wait = max(wait, float(answer.headers.get("retry-after") or 0))
                if not again or attempt == ATTEMPTS or wait > LONGEST_WAIT:
                    return answer
            time.sleep(min(wait, LONGEST_WAIT))


def _message(answer: httpx.Response) -> str:
    fix = {
        HTTPStatus.UNAUTHORIZED: "; fix: export DIGITALOCEAN_TOKEN=... with a token that is valid",
        HTTPStatus.FORBIDDEN: "; fix: give the token that scope (python -m ops preflight says which)",
        HTTPStatus.TOO_MANY_REQUESTS: f"; fix: try again in {answer.headers.get('retry-after', 'some')} s",
    }.get(HTTPStatus(answer.status_code), "")
    try:
        return f"{answer.json()['message']}{fix}"
    except (ValueError, KeyError, TypeError):
        return f"{answer.reason_phrase}{fix}"
