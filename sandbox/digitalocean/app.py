"""The API as one Flask application: account, catalogue and bill here, the rest by family."""

from flask import Flask
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog, control, domains_api, kubernetes_api, registry_api, resources_api
from sandbox.digitalocean.account import Cloud
from sandbox.digitalocean.ledger import timestamp
from sandbox.digitalocean.middleware import Family, Gate, cloud, page

family = Family("account")


class Api(Flask):
    """Serves one request at a time: every view sees, and leaves, a whole state."""

    def dispatch_request(self) -> ResponseReturnValue:
        with cloud.lock:
            return super().dispatch_request()


def create_app(account: Cloud) -> Flask:
    """The API of an account. Serve it with threads: planted time-outs block."""
    app = Api(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["cloud"] = account
    families = (family, kubernetes_api.family, registry_api.family, resources_api.family, domains_api.family)
    for blueprint in (*families, control.blueprint):
        app.register_blueprint(blueprint)
    Gate(app, {endpoint: scopes for each in families for endpoint, scopes in each.scopes.items()})
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
            "status": "active",
            "status_message": "",
            "team": {"uuid": cloud.uuid, "name": "My Team"},
        }
    }


@family.serves("GET /v2/sizes", "sizes:read", "regions:read")
def sizes() -> ResponseReturnValue:
    return page("sizes", [size.document() for size in catalog.SIZES.values()])


@family.serves("GET /v2/regions", "regions:read")
def regions() -> ResponseReturnValue:
    return page("regions", [cloud.region(slug) for slug in catalog.REGIONS])


@family.serves("GET /v2/customers/my/balance", "billing:read")
def balance() -> ResponseReturnValue:
    usage = f"{cloud.ledger.month_to_date:.2f}"
    return {
        "month_to_date_balance": usage,
        "account_balance": "0.00",
        "month_to_date_usage": usage,
        "generated_at": timestamp(),
    }


@family.serves("GET /v2/customers/my/invoices", "billing:read")
def invoices() -> ResponseReturnValue:
    preview = {
        "invoice_uuid": "preview",
        "amount": f"{cloud.ledger.month_to_date:.2f}",
        "invoice_period": timestamp()[:7],
        "updated_at": timestamp(),
    }
    return page("invoices", []) | {"invoice_preview": preview}
