"""/_control/: faults, settings, calls and the bill, for tests. It needs no token; the API listens on loopback only."""

import time
from dataclasses import asdict
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError

from sandbox.digitalocean.errors import ApiError
from sandbox.digitalocean.faults import Fault
from sandbox.digitalocean.middleware import body, cloud
from sandbox.digitalocean.settings import Settings

blueprint = Blueprint("control", __name__, url_prefix="/_control")


@blueprint.errorhandler(ValidationError)
def explain(error: ValidationError) -> ResponseReturnValue:
    first = error.errors()[0]
    return {"id": "bad_request", "message": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 400


@blueprint.get("/ledger")
def ledger() -> ResponseReturnValue:
    """The bill. With ?wait=SECONDS the answer waits until nothing is billed, for at most that long."""
    end = time.monotonic() + request.args.get("wait", 0.0, float)
    while cloud.ledger.hourly and time.monotonic() < end:
        # Releases the account's lock meanwhile, so that other requests are served.
        cloud.scheduler.lock.wait(0.1)
    return cloud.ledger.document()


@blueprint.get("/calls")
def calls() -> ResponseReturnValue:
    return [asdict(call) for call in cloud.calls]


@blueprint.delete("/calls")
def forget_calls() -> ResponseReturnValue:
    cloud.calls.clear()
    return {}


@blueprint.get("/faults")
def faults() -> ResponseReturnValue:
    return [fault.model_dump() for fault in cloud.faults]


@blueprint.post("/faults")
def plant() -> ResponseReturnValue:
    fault = Fault.model_validate(body())
    cloud.faults.append(fault)
    return fault.model_dump(), 201


@blueprint.delete("/faults")
def clear_faults() -> ResponseReturnValue:
    cloud.faults.clear()
    return {}


@blueprint.get("/settings")
def settings() -> ResponseReturnValue:
    return cloud.settings.model_dump()


@blueprint.put("/settings")
def change_settings() -> ResponseReturnValue:
    """Changes the given keys and keeps the others."""
    changed = Settings.model_validate(cloud.settings.model_dump() | body())
    for key in changed.model_fields_set:
        setattr(cloud.settings, key, getattr(changed, key))
    return cloud.settings.model_dump()


@blueprint.put("/tokens")
def change_tokens() -> ResponseReturnValue:
    """{token: list of scopes, or null for all}: replaces every API token."""
    tokens = body()
    if not all(scopes is None or isinstance(scopes, list) for scopes in tokens.values()):
        raise ApiError(400, "a token has a list of scopes, or null for all")
    cloud.tokens = tokens
    return {}


@blueprint.get("/addresses")
def addresses() -> ResponseReturnValue:
    """The account's zones: name -> IPv4 addresses."""
    return cloud.domains.addresses()


@blueprint.get("/secrets")
def secrets() -> ResponseReturnValue:
    """Every token that the account has issued, for tests that look for leaks."""
    records = cloud.clusters.records.values()
    return [*cloud.tokens, *cloud.registries.credentials, *(token for record in records for token in record.tokens)]


@blueprint.post("/clusters/<cluster_id>/expire-tokens")
def expire_tokens(cluster_id: str) -> ResponseReturnValue:
    """Ends every token of the cluster. Its API server caches a token's review for some 10 s."""
    cloud.clusters.get(cluster_id).tokens.clear()
    return {}


@blueprint.post("/tokenreview")
def review_token() -> ResponseReturnValue:
    """The webhook of the cluster's API server that authenticates bearer tokens (authentication.k8s.io/v1)."""
    review: dict[str, Any] = request.get_json()
    record = cloud.clusters.authenticate(review["spec"].get("token", ""))
    status: dict[str, Any] = {"authenticated": False}
    if record:
        user = {"username": f"{record.document['name']}-admin", "uid": cloud.uuid, "groups": ["system:masters"]}
        status = {"authenticated": True, "user": user}
    return {"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}
