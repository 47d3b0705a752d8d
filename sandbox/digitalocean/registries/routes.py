"""/v2/registry and /v2/registries, and the token service that the registry sends its clients to."""

import base64
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError, NotFoundError
from sandbox.digitalocean.ledger import timestamp
from sandbox.digitalocean.middleware import Family, body, cloud, require_scope
from sandbox.digitalocean.registries.models import DeniedError
from sandbox.host.addresses import REGISTRY

family = Family("registry")
TOKEN_SECONDS = 300


@family.serves("POST /v2/registry", "registry:create")
@family.serves("POST /v2/registries", "registry:create")
def create() -> ResponseReturnValue:
    requested = body()
    region = requested.get("region") or catalog.REGISTRY_REGIONS[0]
    tier = requested.get("subscription_tier_slug", "")
    return {"registry": cloud.registries.create(requested.get("name", ""), tier, region)}, 201


@family.serves("GET /v2/registries", "registry:read")
def list_registries() -> ResponseReturnValue:
    return {"registries": [cloud.registries.document(name) for name in cloud.registries.documents]}


@family.serves("GET /v2/registries/<name>", "registry:read")
def get(name: str) -> ResponseReturnValue:
    return {"registry": cloud.registries.document(name)}


@family.serves("DELETE /v2/registries/<name>", "registry:delete")
def delete(name: str) -> ResponseReturnValue:
    cloud.registries.delete(name)
    return "", 204


@family.serves("GET /v2/registries/options", "registry:read")
def options() -> ResponseReturnValue:
    tiers = [tier.document() | {"eligible": True, "eligibility_reasons": []} for tier in catalog.TIERS.values()]
    return {"options": {"available_regions": catalog.REGISTRY_REGIONS, "subscription_tiers": tiers}}


@family.serves("GET /v2/registries/subscription", "registry:read")
def subscription() -> ResponseReturnValue:
    if not cloud.registries.documents:
        raise NotFoundError
    return {"subscription": cloud.registries.subscription()}


@family.serves("POST /v2/registries/subscription", "registry:update")
def subscribe() -> ResponseReturnValue:
    cloud.registries.subscribe(body().get("tier_slug", ""))
    return {"subscription": cloud.registries.subscription()}


@family.serves("POST /v2/registry/validate-name", "registry:create")
def validate_name() -> ResponseReturnValue:
    cloud.registries.check_name(body().get("name", ""))
    return "", 204


@family.serves("GET /v2/registries/<name>/docker-credentials", "registry:read", "registry:update")
def docker_credentials(name: str) -> ResponseReturnValue:
    cloud.registries.document(name)
    push = request.args.get("read_write", "").lower() == "true"
    if push:
        require_scope("registry:create")
    token = cloud.registries.issue(request.args.get("expiry_seconds", 0, int), push=push)
    auth = base64.b64encode(f"{token}:{token}".encode()).decode()
    return {"auths": {REGISTRY: {"auth": auth}}}


@family.serves("POST /v2/registries/<name>/garbage-collection", "registry:update")
def collect_garbage(name: str) -> ResponseReturnValue:
    """Completes at once and frees nothing."""
    cloud.registries.document(name)
    return {"garbage_collection": {"registry_name": name, "status": "succeeded", "created_at": timestamp()}}, 201


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
