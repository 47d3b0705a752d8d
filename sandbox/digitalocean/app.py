"""The API as one Flask application: the account and the catalogue here, the rest by family."""

from flask import Flask
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog, control
from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.compute import routes as compute
from sandbox.digitalocean.domains import routes as domains
from sandbox.digitalocean.kubernetes import pool_routes as node_pools
from sandbox.digitalocean.kubernetes import routes as kubernetes
from sandbox.digitalocean.load_balancers import routes as load_balancers
from sandbox.digitalocean.middleware import Family, Gate, cloud, page
from sandbox.digitalocean.registries import routes as registries
from sandbox.digitalocean.vpcs import routes as vpcs

family = Family("account")
FAMILIES = (
    family,
    *(part.family for part in (compute, domains, kubernetes, node_pools, load_balancers, registries, vpcs)),
)


class Api(Flask):
    """Serves one request at a time: every view sees, and leaves, a whole state."""

    def dispatch_request(self) -> ResponseReturnValue:
        with cloud.scheduler.lock:
            return super().dispatch_request()


def create_app(account: Cloud) -> Flask:
    """The API of an account. Serve it with threads: planted time-outs block."""
    app = Api(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["cloud"] = account
    for blueprint in (*FAMILIES, control.blueprint):
        app.register_blueprint(blueprint)
    Gate(app, {endpoint: scopes for blueprint in FAMILIES for endpoint, scopes in blueprint.scopes.items()})
    return app


@family.serves("GET /v2/account", "account:read")
def account() -> ResponseReturnValue:
    return {
        "account": {
            "droplet_limit": cloud.settings.droplet_limit,
            "volume_limit": 100,
            "email": "developer@example.com",
            "uuid": cloud.uuid,
            "email_verified": True,
            "status": cloud.settings.account_status,
            "status_message": cloud.settings.account_status_message,
            "team": {"uuid": cloud.uuid, "name": "My Team"},
        }
    }


@family.serves("GET /v2/sizes", "sizes:read", "regions:read")
def sizes() -> ResponseReturnValue:
    return page("sizes", [size.document() for size in catalog.SIZES.values()])


@family.serves("GET /v2/regions", "regions:read")
def regions() -> ResponseReturnValue:
    return page("regions", [catalog.region(slug) for slug in catalog.REGIONS])
