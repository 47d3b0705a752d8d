"""A client for DigitalOcean's API v2: retries, pages, typed documents, errors in one line."""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from infra.config.api_access import ENDPOINT, PAUSE_VARIABLE, endpoint_problem, first_pause
from ops.errors import OpsError

ATTEMPTS = 5
LONGEST_WAIT = 30.0
"""Seconds; the limit of Pulumi's provider. A longer Retry-After is reported instead of waited for."""

DocumentT = TypeVar("DocumentT", bound=BaseModel)


class ApiError(OpsError):
    """The API refused the call; `status` is 0 if the response isn't DigitalOcean's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """An account, identified by its token.

    Args:
        token: an API token with the scopes that `preflight` checks.
        endpoint: the API's URL; plain HTTP is accepted on the loopback interface only.
        pause: seconds before the first retry, doubled for each further one; the default is
            DIGITALOCEAN_HTTP_RETRY_WAIT_MIN as for Pulumi's provider, else 1.

    Raises:
        OpsError: the endpoint or the pause is malformed.
    """

    def __init__(self, token: str, endpoint: str = ENDPOINT, pause: float | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._pause = _pause_from_environment() if pause is None else pause
        _check_endpoint(endpoint)
        self._clock_error = timedelta()
        # Redirects aren't followed: the token would go to another host.
        # Plain HTTP is for this machine itself: a proxy of the environment would read the token.
        self._http = httpx.Client(
            base_url=f"{self.endpoint}/v2/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=urlsplit(endpoint).scheme == "https",
        )

    def clock_error(self) -> timedelta:
        """Returns the difference between this machine's clock and the API's in its last answer; 0 without a date."""
        return self._clock_error

    def call(self, method: str, path: str, body: object = None, **query: object) -> dict[str, Any]:
        """Sends a request and returns the JSON object of the answer, empty for an empty answer.

        Raises:
            ApiError: any status but 2xx, or an answer that isn't DigitalOcean's, after the retries.
        """
        return self._document(method, path, body, query, once=False)

    def create(self, path: str, body: object) -> dict[str, Any]:
        """Sends a POST that is not retried once DigitalOcean may have acted on it.

        Raises:
            ApiError: as for `call`.
        """
        return self._document("POST", path, body, {}, once=True)

    def get(self, path: str, **query: object) -> dict[str, Any]:
        return self.call("GET", path, **query)

    def read(self, path: str, key: str, model: type[DocumentT]) -> DocumentT:
        """Reads one document, which the answer has under this key; empty: it is the answer.

        Raises:
            ApiError: as for `call`; also if a field that ops needs is missing or of another type.
        """
        answer = self.get(path)
        if not key:
            return self._parse(path, "answer", answer, model)
        if key not in answer:
            raise self._malformed(f"GET /v2/{path}: {key} is missing")
        return self._parse(path, key, answer[key], model)

    def find(self, path: str, key: str, model: type[DocumentT]) -> DocumentT | None:
        """Reads one document; None if DigitalOcean answers 404."""
        try:
            return self.read(path, key, model)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(
        self,
        path: str,
        key: str,
        model: type[DocumentT],
        *,
        query: Mapping[str, str] | None = None,
        null_is_empty: bool = False,
    ) -> Iterator[DocumentT]:
        """Reads a list, page by page.

        Raises:
            ApiError: as for `read`.
        """
        number = 1
        while True:
            page = self.get(path, page=number, per_page=200, **(query or {}))
            meta, links = page.get("meta"), page.get("links")
            items = page.get(key)
            # A list is empty only if the API says so: a missing or null list is no proof.
            is_null = null_is_empty and key in page
            if items is None and (is_null or (isinstance(meta, dict) and meta.get("total") == 0)):
                items = []
            if not isinstance(items, list):
                raise self._malformed(f"GET /v2/{path}: {key} is no list")
            for item in items:
                yield self._parse(path, key, item, model)
            pages = links.get("pages") if isinstance(links, dict) else None
            if not (isinstance(pages, dict) and pages.get("next")):
                return
            number += 1

    def _parse(self, path: str, key: str, document: object, model: type[DocumentT]) -> DocumentT:
        try:
            return model.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, (key, *first["loc"])))
            raise self._malformed(f"GET /v2/{path}: {place}: {first['msg']}") from None

    def _document(
        self, method: str, path: str, body: object, query: dict[str, object], *, once: bool
    ) -> dict[str, Any]:
        answer = self._answer(method, path, body, query, once=once)
        call = f"{method} /v2/{path}: {answer.status_code}"
        if answer.has_redirect_location:
            raise self._malformed(f"{call} redirects to another address")
        if not answer.is_success:
            raise ApiError(answer.status_code, f"{call} {_message(answer)}")
        if not answer.content:
            return {}
        document = _json(answer)
        if not isinstance(document, dict):
            raise self._malformed(f"{call} without a JSON object")
        return document

    def _malformed(self, problem: str) -> ApiError:
        return ApiError(0, f"{problem}; fix: check what answers at {self.endpoint} (DIGITALOCEAN_API_URL, a proxy)")

    def _answer(self, method: str, path: str, body: object, query: dict[str, object], *, once: bool) -> httpx.Response:
        attempt = 0
        while True:
            attempt += 1
            wait = self._pause * 2 ** (attempt - 1)
            try:
                answer = self._http.request(method, path, json=body, params={k: str(v) for k, v in query.items()})
            except httpx.RequestError as error:
                if attempt == ATTEMPTS or (once and not isinstance(error, httpx.ConnectError)):
                    raise ApiError(
                        0,
                        f"{self.endpoint} doesn't answer: {one_line(str(error))}; fix: check this machine's network, "
                        "proxy and clock, DIGITALOCEAN_API_URL, and https://status.digitalocean.com",
                    ) from None
            else:
                self._clock_error = _clock_error(answer)
                retry = answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or (answer.is_server_error and not once)
                wait = max(wait, _retry_after(answer))
                if not retry or attempt == ATTEMPTS or wait > LONGEST_WAIT:
                    return answer
            time.sleep(min(wait, LONGEST_WAIT))


def segment(identifier: str) -> str:
    """Quotes an identifier as one segment of a path.

    Raises:
        OpsError: it is empty, or would lead to another path.
    """
    if not identifier.strip(".") or not identifier.isprintable():
        raise OpsError(f'"{one_line(identifier)}" is no id; fix: copy it from python -m ops doctor or bill')
    return quote(identifier, safe="")


def one_line(text: str) -> str:
    return " ".join(text.split())


def _pause_from_environment() -> float:
    text = os.environ.get(PAUSE_VARIABLE)
    pause = first_pause(text)
    if pause is None:
        raise OpsError(f'{PAUSE_VARIABLE}: "{one_line(text or "")}"; allowed: seconds; fix: unset {PAUSE_VARIABLE}')
    return pause


def _check_endpoint(endpoint: str) -> None:
    problem = endpoint_problem(endpoint)
    try:
        httpx.URL(endpoint)
    except httpx.InvalidURL as error:
        problem = problem or str(error)
    if problem:
        raise OpsError(f"{one_line(endpoint)}: {problem}; fix: export DIGITALOCEAN_API_URL=https://...")


def _message(answer: httpx.Response) -> str:
    fixes: dict[int, str] = {
        HTTPStatus.UNAUTHORIZED: "; fix: export DIGITALOCEAN_TOKEN=... with a token that is valid",
        HTTPStatus.FORBIDDEN: "; fix: give the token that scope (python -m ops preflight shows which)",
        HTTPStatus.TOO_MANY_REQUESTS: f"; fix: try again in {_retry_after(answer) or 60:.0f} s",
    }
    fix = fixes.get(answer.status_code, "")
    document = _json(answer)
    message = document.get("message") if isinstance(document, dict) else None
    return f"{one_line(str(message or answer.reason_phrase))}{fix}"


def _clock_error(answer: httpx.Response) -> timedelta:
    try:
        there = parsedate_to_datetime(answer.headers.get("date") or "")
    except ValueError:
        return timedelta()
    return abs(datetime.now(UTC) - there)


def _json(answer: httpx.Response) -> object:
    """The parsed body; None if it isn't JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def _retry_after(answer: httpx.Response) -> float:
    """Seconds of the Retry-After header, which may be a date; 0 without one."""
    wait = answer.headers.get("retry-after") or ""
    if wait.isdecimal():
        return float(wait)
    try:
        return max(parsedate_to_datetime(wait).timestamp() - time.time(), 0)
    except ValueError:
        return 0
