"""/v2/registry and /v2/registries, and the token service that the registry sends its clients to."""

import base64
import uuid
from collections.abc import Callable
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError, NotFoundError
from sandbox.digitalocean.ledger import timestamp
from sandbox.digitalocean.middleware import Family, View, body, cloud, demand, page
from sandbox.digitalocean.registries import DeniedError

family = Family("registry")
TOKEN_SECONDS = 300


def _both(method: str, path: str, scope: str) -> Callable[[View], View]:
    """Serves a path of the older, single-registry family and of its successor alike."""

    def register(view: View) -> View:
        for base in ("/v2/registry", "/v2/registries"):
            family.serves(f"{method} {base}{path}", scope)(view)
        return view

    return register


@_both("POST", "", "registry:create")
def create() -> ResponseReturnValue:
    asked = body()
    region = asked.get("region") or catalog.REGISTRY_REGIONS[0]
    created = cloud.registries.create(asked.get("name", ""), asked.get("subscription_tier_slug", ""), region)
    return {"registry": created}, 201


@family.serves("GET /v2/registries", "registry:read")
def list_registries() -> ResponseReturnValue:
    registries = cloud.registries
    return {"registries": [registries.document(name) for name in registries.documents]}


@family.serves("GET /v2/registries/<name>", "registry:read")
@family.serves("GET /v2/registry", "registry:read")
def get(name: str = "") -> ResponseReturnValue:
    return {"registry": cloud.registries.document(name or cloud.registries.only())}


@family.serves("DELETE /v2/registries/<name>", "registry:delete")
@family.serves("DELETE /v2/registry", "registry:delete")
def delete(name: str = "") -> ResponseReturnValue:
    cloud.registries.delete(name or cloud.registries.only())
    return "", 204


@_both("GET", "/options", "registry:read")
def options() -> ResponseReturnValue:
    tiers = [tier.document() | {"eligible": True, "eligibility_reasons": []} for tier in catalog.TIERS.values()]
    return {"options": {"available_regions": catalog.REGISTRY_REGIONS, "subscription_tiers": tiers}}


@_both("GET", "/subscription", "registry:read")
def subscription() -> ResponseReturnValue:
    if not cloud.registries.documents:
        raise NotFoundError
    return {"subscription": cloud.registries.subscription()}


@_both("POST", "/subscription", "registry:update")
def subscribe() -> ResponseReturnValue:
    cloud.registries.subscribe(body().get("tier_slug", ""))
    return {"subscription": cloud.registries.subscription()}


@_both("POST", "/validate-name", "registry:create")
def validate_name() -> ResponseReturnValue:
    cloud.registries.check_name(body().get("name", ""))
    return "", 204


@family.serves("GET /v2/registries/<name>/docker-credentials", "registry:read", "registry:update")
@family.serves("GET /v2/registry/docker-credentials", "registry:read", "registry:update")
def docker_credentials(name: str = "") -> ResponseReturnValue:
    cloud.registries.document(name or cloud.registries.only())
    push = request.args.get("read_write", "").lower() == "true"
    if push:
        demand("registry:create")
    token = cloud.registries.issue(request.args.get("expiry_seconds", 0, int), push=push)
    auth = base64.b64encode(f"{token}:{token}".encode()).decode()
    return {"auths": {cloud.registry_host: {"auth": auth}}}


@_both("GET", "/<name>/repositoriesV2", "registry:read")
def repositories(name: str) -> ResponseReturnValue:
    cloud.registries.document(name)
    return page(
        "repositories", [{"registry_name": name, "name": r} for r in sorted(cloud.registries.repositories[name])]
    )


@family.serves("DELETE /v2/registries/<name>/repositories/<path:repository>", "registry:delete")
def delete_repository(name: str, repository: str) -> ResponseReturnValue:
    cloud.registries.document(name)
    if repository not in cloud.registries.repositories[name]:
        raise NotFoundError
    cloud.registries.repositories[name].remove(repository)
    return "", 204


@_both("POST", "/<name>/garbage-collection", "registry:update")
def collect_garbage(name: str) -> ResponseReturnValue:
    """Ends at once, frees nothing."""
    cloud.registries.document(name)
    collection = {
        "uuid": str(uuid.uuid4()),
        "registry_name": name,
        "status": "succeeded",
        "created_at": timestamp(),
        "updated_at": timestamp(),
        "blobs_deleted": 0,
        "freed_bytes": 0,
    }
    cloud.registries.collections[name].append(collection)
    return {"garbage_collection": collection}, 201


@_both("GET", "/<name>/garbage-collections", "registry:read")
def garbage_collections(name: str) -> ResponseReturnValue:
    cloud.registries.document(name)
    return page("garbage_collections", reversed(cloud.registries.collections[name]))


@family.route("/v1/oauth/revoke", methods=["POST"])
def revoke() -> ResponseReturnValue:
    """DigitalOcean's web site, which isn't a part of the API: revokes the token in the form."""
    cloud.registries.credentials.pop(request.form.get("token", ""), None)
    return "", 204


def _refusal(status: int, code: str, message: str) -> ResponseReturnValue:
    return {"errors": [{"code": code, "message": message}]}, status


@family.route("/_registry/token", methods=["GET", "POST"])
def registry_token() -> ResponseReturnValue:
    """The registry's token service: basic authentication, or a form with user name and password (OAuth 2)."""
    if cloud.sign is None:
        raise ApiError(503, "this API was started without a registry")
    given = request.form if request.method == "POST" else request.args
    basic = request.authorization
    user = given.get("username") or (basic.username if basic else None) or ""
    password = given.get("password") or (basic.password if basic else None) or ""
    actions = cloud.registries.actions(password, user)
    if not actions:
        return _refusal(401, "UNAUTHORIZED", "authentication required")
    scopes = " ".join(given.getlist("scope")).split()
    try:
        access = cloud.registries.grant(actions, scopes)
    except DeniedError as error:
        return _refusal(403, "DENIED", str(error))
    # The subject is shown in the registry's log: the user name may be a token.
    token = cloud.sign("digitalocean", access)
    answer: dict[str, Any] = {
        "token": token,
        "access_token": token,
        "expires_in": TOKEN_SECONDS,
        "issued_at": timestamp(),
    }
    return answer
