"""Middleware of every call: planted faults, the rate limit, the token and its scopes, and the form of answers."""

import json
import math
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from sandbox.digitalocean.errors import ApiError, NotFoundError
from sandbox.digitalocean.faults import Call, Fault, Rate, hang_up

if TYPE_CHECKING:
    from sandbox.digitalocean.account import Cloud

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])
cloud = cast("Cloud", LocalProxy(lambda: current_app.extensions["cloud"]))
"""The account of the app that serves this request."""


class Family(Blueprint):
    """Endpoints of one API family, each with the token scopes that it needs."""

    def __init__(self, name: str) -> None:
        super().__init__(name, __name__)
        self.scopes: dict[str, tuple[str, ...]] = {}

    def serves(self, rule: str, *scopes: str) -> Callable[[View], View]:
        """Serves "METHOD /path"."""
        method, path = rule.split()

        def register(view: View) -> View:
            name = f"{method} {path}".replace(".", "_")
            self.scopes[f"{self.name}.{name}"] = scopes
            self.add_url_rule(path, endpoint=name, view_func=view, methods=[method])
            return view

        return register


def require_scope(scope: str) -> None:
    """Raises ApiError 403 unless the caller's token has the scope."""
    if not cloud.allows(g.token, scope):
        raise ApiError(403, "you do not have access for the attempted action")


def body() -> dict[str, Any]:
    data = request.get_json()
    if not isinstance(data, dict):
        raise ApiError(400, "the body must be a JSON object")
    return data


def page(key: str, things: Iterable[Any]) -> dict[str, Any]:
    """One page of a list, as `per_page` (20, at most 200) and `page` choose it."""
    everything = list(things)
    size = min(max(request.args.get("per_page", 20, int), 1), 200)
    number = max(request.args.get("page", 1, int), 1)
    last = max(math.ceil(len(everything) / size), 1)

    def link(target: int) -> str:
        return f"{request.base_url}?{urlencode(request.args.to_dict() | {'page': target, 'per_page': size})}"

    pages: dict[str, str] = {}
    if number > 1:
        pages |= {"first": link(1), "prev": link(number - 1)}
    if number < last:
        pages |= {"last": link(last), "next": link(number + 1)}
    return {
        key: everything[(number - 1) * size : number * size],
        "links": {"pages": pages} if pages else {},
        "meta": {"total": len(everything)},
    }


def _without_tags(value: Any) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, dict):
        return {key: _without_tags(part) for key, part in value.items() if key != "tags"}
    return [_without_tags(part) for part in value] if isinstance(value, list) else value


class Gate:
    """Wraps an app whose endpoints need `scopes`."""

    def __init__(self, app: Flask, scopes: dict[str, tuple[str, ...]]) -> None:
        self._scopes = scopes
        self._rate = Rate()
        app.before_request(self._admit)
        app.after_request(self._finish)
        app.register_error_handler(ApiError, self._refuse)
        app.register_error_handler(HTTPException, self._reject)

    def _admit(self) -> Response | None:
        g.request_id = str(uuid.uuid4())
        g.headers = {}
        g.fault = g.call = None
        if request.path.startswith("/_control/"):
            return None
        g.call = Call(request.method, request.path, request.query_string.decode())
        with cloud.scheduler.lock:
            cloud.calls.append(g.call)
            g.fault = next((f for f in cloud.faults if f.matches(request.method, request.path)), None)
        if g.fault and (answer := self._strike(g.fault)):
            return answer
        if request.path.startswith("/v2/"):
            self._identify()
        return None

    @staticmethod
    def _strike(fault: Fault) -> Response | None:
        g.call.fault = fault.kind
        if fault.kind == "status":
            g.headers = fault.headers
            raise ApiError(fault.status, fault.message)
        if fault.kind == "timeout":
            cloud.scheduler.stopped.wait(fault.seconds)
        return None if fault.kind == "drop_after" else hang_up()

    def _identify(self) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in cloud.tokens:
            raise ApiError(401, "Unable to authenticate you.")
        g.token = token
        settings = cloud.settings
        g.headers, wait = self._rate.count(g.token, settings.requests_per_hour, settings.requests_per_minute)
        if wait:
            g.headers["retry-after"] = str(math.ceil(wait))
            raise ApiError(429, "API Rate limit exceeded.")
        if request.endpoint:
            for scope in self._scopes[request.endpoint]:
                require_scope(scope)

    @staticmethod
    def _finish(response: Response) -> Response:
        if response.is_json and "token" in g and not cloud.allows(g.token, "tag:read"):
            # To a token without this scope, DigitalOcean answers without tags instead of refusing.
            response.data = json.dumps(_without_tags(response.get_json()))
        response.headers.update(g.headers)
        response.headers["x-request-id"] = g.request_id
        if g.fault and g.fault.kind == "drop_after":
            return hang_up(response)
        if g.call and not (g.fault and g.fault.kind in {"refuse", "timeout"}):
            g.call.status = response.status_code
        return response

    @staticmethod
    def _refuse(error: ApiError) -> ResponseReturnValue:
        return jsonify(id=error.id, message=error.message, request_id=g.request_id), error.status

    @staticmethod
    def _reject(error: HTTPException) -> ResponseReturnValue:
        known = NotFoundError() if error.code == NotFoundError.STATUS else None
        return Gate._refuse(known or ApiError(error.code or 500, str(error.description)))
