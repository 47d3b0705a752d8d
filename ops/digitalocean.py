"""DigitalOcean's API v2, as far as the commands ask it: retried, paged, and with errors in one line."""

import os
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
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

    Raises:
        OpsError: the token or the endpoint can't be one.
    """

    def __init__(self, token: str, endpoint: str = ENDPOINT, pause: float | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._pause = float(os.environ.get("DIGITALOCEAN_HTTP_RETRY_WAIT_MIN") or 1) if pause is None else pause
        if not re.fullmatch("[!-~]+", token):
            # Or the client's own complaint about it would show it.
            raise OpsError("a blank in the token for DigitalOcean; fix: export DIGITALOCEAN_TOKEN=... without")
        try:
            self._http = httpx.Client(
                base_url=f"{self.endpoint}/v2/", headers={"Authorization": f"Bearer {token}"}, timeout=30
            )
        except httpx.InvalidURL as error:
            raise OpsError(f"{endpoint}: {error}; fix: export DIGITALOCEAN_API_URL=https://...") from None

    def call(self, method: str, path: str, body: object = None, **query: object) -> dict[str, Any]:
        """The JSON object that the API answers, empty if it answers nothing.

        Raises:
            ApiError: any status of 400 or above, or no answer that is one, after the repetitions.
        """
        return self._document(method, path, body, query, once=False)

    def create(self, path: str, body: object) -> dict[str, Any]:
        """A POST that isn't repeated where it may have been done already, and would be done twice.

        Raises:
            ApiError: as of `call`.
        """
        return self._document("POST", path, body, {}, once=True)

    def _document(
        self, method: str, path: str, body: object, query: dict[str, object], *, once: bool
    ) -> dict[str, Any]:
        answer = self._answer(method, path, body, query, once=once)
        if answer.is_error:
            raise ApiError(answer.status_code, f"{method} /v2/{path}: {answer.status_code} {_message(answer)}")
        if not answer.content:
            return {}
        document = _json(answer)
        if not isinstance(document, dict):
            raise self._strange(f"{method} /v2/{path}: {answer.status_code} without a JSON object")
        return document

    def _strange(self, said: str) -> ApiError:
        return ApiError(0, f"{said}; fix: see what answers at {self.endpoint} (DIGITALOCEAN_API_URL, a proxy)")

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
            if key not in page:
                # Nothing is there only if that is what was said.
                raise self._strange(f"GET /v2/{path}: {key} is missing")
            yield from page[key] or []
            if not ((page.get("links") or {}).get("pages") or {}).get("next"):
                return
            number += 1

    def _answer(self, method: str, path: str, body: object, query: dict[str, object], *, once: bool) -> httpx.Response:
        attempt = 0
        while True:
            attempt += 1
            wait = self._pause * 2 ** (attempt - 1)
            try:
                answer = self._http.request(method, path, json=body, params={k: str(v) for k, v in query.items()})
            except httpx.RequestError as error:
                if attempt == ATTEMPTS or (once and not isinstance(error, httpx.ConnectError)):
                    raise ApiError(0, f"{self.endpoint} doesn't answer: {error}") from None
            else:
                again = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or (answer.is_server_error and not once)
                wait = max(wait, _asked_for(answer))
                if not again or attempt == ATTEMPTS or wait > LONGEST_WAIT:
                    return answer
            time.sleep(min(wait, LONGEST_WAIT))


def _message(answer: httpx.Response) -> str:
    fixes: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "; fix: export DIGITALOCEAN_TOKEN=... with a token that is valid",
        HTTPStatus.FORBIDDEN: "; fix: give the token that scope (python -m ops preflight says which)",
        HTTPStatus.TOO_MANY_REQUESTS: f"; fix: try again in {_asked_for(answer) or 60:.0f} s",
    }
    fix = fixes.get(answer.status_code, "")
    document = _json(answer)
    said = document.get("message") if isinstance(document, dict) else None
    return f"{said or answer.reason_phrase}{fix}"


def _json(answer: httpx.Response) -> object:
    """What was answered; None if that isn't JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def _asked_for(answer: httpx.Response) -> float:
    """Seconds to wait, by the Retry-After header, which may be a date; 0 without one."""
    wait = answer.headers.get("retry-after") or ""
    if wait.isdecimal():
        return float(wait)
    try:
        return max(parsedate_to_datetime(wait).timestamp() - time.time(), 0)
    except ValueError:
        return 0
