"""Calls of DigitalOcean's API v2, retried and reported as the official provider does."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TypeVar

import urllib3

from sandbox.digitalocean.provider.properties import Properties

T = TypeVar("T")


class ProviderError(Exception):
    """An operation failed; the message is shown to the user."""


class ApiError(ProviderError):
    """An error of the API; `status` is 0 if there was no response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class PanicError(Exception):
    """Raised where the official provider's process panics, which ends every operation that is under way."""


@contextmanager
def failing(prefix: str) -> Iterator[None]:
    """Prefixes the message of a failure in the block with the operation that failed."""
    try:
        yield
    except ProviderError as error:
        error.args = (f"{prefix}: {error}",)
        raise


class _Retry(urllib3.Retry):
    """Waits wait_min, twice that, ... up to wait_max, unless the answer says how long (urllib3 itself starts at 0)."""

    def get_backoff_time(self) -> float:
        return float(min(self.backoff_max, self.backoff_factor * 2 ** (len(self.history) - 1)))


class Client:
    """The API under an account's token.

    `config` holds the provider's settings as strings (apiEndpoint, token, httpRetryMax, httpRetryWaitMin and
    httpRetryWaitMax in seconds); the environment stands in for what is not set. A missing token isn't noticed before
    the API answers 401.
    """

    def __init__(self, config: Mapping[str, str], environment: Mapping[str, str] = os.environ) -> None:
        def setting(key: str, *variables: str, default: str) -> str:
            values = [config.get(key), *map(environment.get, variables)]
            return next((value for value in values if value), default)

        self._base = setting("apiEndpoint", "DIGITALOCEAN_API_URL", default="https://api.digitalocean.com").rstrip("/")
        token = setting("token", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN", default="")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        # Every method is retried, also a POST that took effect before its answer was lost.
        more = int(setting("httpRetryMax", "DIGITALOCEAN_HTTP_RETRY_MAX", default="4"))
        self._attempts = more + 1
        retries = _Retry(
            total=more,
            backoff_factor=float(setting("httpRetryWaitMin", "DIGITALOCEAN_HTTP_RETRY_WAIT_MIN", default="1")),
            backoff_max=float(setting("httpRetryWaitMax", "DIGITALOCEAN_HTTP_RETRY_WAIT_MAX", default="30")),
            status_forcelist={429, *range(500, 600)} - {501},
            allowed_methods=None,
            raise_on_status=False,
            redirect=False,
        )
        self._http = urllib3.PoolManager(maxsize=16, retries=retries)
        self.poll_seconds = float(environment.get("KONG_DOKS_SANDBOX_POLL_SECONDS", "10"))

    def call(self, prefix: str, method: str, path: str, body: Properties | None = None) -> Properties:
        """The JSON object that the API answers, empty if it answers nothing.

        Raises:
            ApiError: any status of 400 or above, or no answer, after the retries; the message starts with `prefix`.
        """
        return json.loads(self.text(prefix, method, path, body) or "{}") or {}

    def find(self, prefix: str, method: str, path: str, body: Properties | None = None) -> Properties | None:
        """Like `call`; None on 404."""
        try:
            return self.call(prefix, method, path, body)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def text(self, prefix: str, method: str, path: str, body: Properties | None = None) -> str:
        """Like `call`; returns the response itself."""
        url = f"{self._base}/v2/{path}"
        payload = None if body is None else json.dumps(body)
        with failing(prefix):
            try:
                answer = self._http.request(method, url, body=payload, headers=self._headers)
            except urllib3.exceptions.MaxRetryError as error:
                reason = f"giving up after {self._attempts} attempt(s): {error.reason}"
                raise ApiError(0, f'{method} "{url}": {reason}') from None
            text = answer.data.decode(errors="replace")
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise ApiError(answer.status, _describe(method, url, answer, text))
        return text

    def revoke(self, token: str) -> None:
        """Revokes an OAuth token at DigitalOcean's web site, which the sandbox has at the API's address.

        Raises:
            PanicError: no answer. An answer of any status is accepted.
        """
        try:
            self._http.request(
                "POST",
                f"{self._base}/v1/oauth/revoke",
                fields={"token": token},
                encode_multipart=False,
                headers={"Authorization": f"Bearer {token}"},
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise PanicError("runtime error: invalid memory address or nil pointer dereference") from error

    def wait(self, what: str, seconds: float, probe: Callable[[], T | None]) -> T:
        """Polls until `probe` has an answer, the first time after one interval.

        Raises:
            ProviderError: none came within `seconds` (counted in whole polls, and two more).
        """
        for _ in range(int(seconds / self.poll_seconds) + 2):
            time.sleep(self.poll_seconds)
            if (answer := probe()) is not None:
                return answer
        raise ProviderError(f"Timeout waiting to {what}")


def _describe(method: str, url: str, answer: urllib3.BaseHTTPResponse, text: str) -> str:
    try:
        error = json.loads(text)
        message = error["message"]
    except (ValueError, KeyError, TypeError):
        error, message = {}, text
    request = error.get("request_id") or answer.headers.get("x-request-id")
    named = f'(request "{request}") ' if request else ""
    tries = len(answer.retries.history) + 1 if answer.retries else 1
    given_up = f"; giving up after {tries} attempt(s)" if tries > 1 else ""
    return f"{method} {url}: {answer.status} {named}{message}{given_up}"
