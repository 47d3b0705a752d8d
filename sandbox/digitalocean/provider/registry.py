"""Container registries, and credentials for them."""
# ruff: noqa: ARG002 -- the methods' parameters are Resource's

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from sandbox.digitalocean.provider.client import Client, ProviderError
from sandbox.digitalocean.provider.node_pool import go_time
from sandbox.digitalocean.provider.properties import Properties
from sandbox.digitalocean.provider.resource import Input, PartlyCreatedError, Resource, Shape, not_empty, one_of, within
from sandbox.host.addresses import REGISTRY

FIFTY_YEARS = 1576800000
"""Seconds; the longest life of registry credentials, and the default."""


class ContainerRegistry(Resource):
    """`endpoint` and `serverUrl` name the sandbox's host; the official ones are at registry.digitalocean.com."""

    shape: ClassVar[Shape] = Shape(
        {
            "name": Input(required=True, force_new=True, invalid=not_empty),
            "subscriptionTierSlug": Input(required=True, invalid=one_of("starter", "basic", "professional")),
            "region": Input(computed=True, force_new=True, invalid=not_empty),
        },
        ("createdAt", "endpoint", "serverUrl", "storageUsageBytes"),
    )

    def create(self, api: Client, config: Properties, seconds: float) -> tuple[str, Properties]:
        body = {"name": config["name"], "subscription_tier_slug": config["subscriptionTierSlug"]}
        if config["region"]:
            body["region"] = config["region"]
        name = api.call("Error creating container registry", "POST", "registry", body)["registry"]["name"]
        return self.created(api, name, config)

    def read(self, api: Client, identity: str, state: Properties) -> Properties | None:
        answer = api.find("Error retrieving container registry", "GET", f"registries/{identity}")
        if answer is None:
            return None
        registry = answer["registry"]
        prefix = "Error retrieving container registry subscription"
        subscription = api.call(prefix, "GET", "registries/subscription")["subscription"]
        return state | {
            "name": registry["name"],
            "region": registry["region"],
            "endpoint": f"{REGISTRY}/{registry['name']}",
            "serverUrl": REGISTRY,
            "createdAt": go_time(registry.get("created_at")),
            "storageUsageBytes": registry.get("storage_usage_bytes") or 0,
            "subscriptionTierSlug": subscription["tier"]["slug"],
        }

    def update(self, api: Client, identity: str, olds: Properties, config: Properties) -> Properties | None:
        if "subscriptionTierSlug" in self.changed(olds, config):
            prefix, body = (
                "Error updating container registry subscription",
                {"tier_slug": config["subscriptionTierSlug"]},
            )
            api.call(prefix, "POST", "registries/subscription", body)
        return self.read(api, identity, olds | config)

    def delete(self, api: Client, identity: str, state: Properties, seconds: float) -> None:
        api.call("Error deleting container registry", "DELETE", f"registries/{identity}")


class ContainerRegistryDockerCredentials(Resource):
    shape: ClassVar[Shape] = Shape(
        {
            "registryName": Input(required=True, force_new=True, invalid=not_empty),
            "write": Input(default=False),
            "expirySeconds": Input(default=FIFTY_YEARS, invalid=within(0, FIFTY_YEARS)),
        },
        ("credentialExpirationTime", "dockerCredentials"),
        frozenset({"dockerCredentials"}),
    )

    def create(self, api: Client, config: Properties, seconds: float) -> tuple[str, Properties]:
        name = config["registryName"]
        if not self._has_registry(api, name):
            return "", {}
        # The date is set before the credentials are requested. A request that fails leaves a resource that is valid
        # for fifty years and has no credentials: neither an update nor a refresh requests them again.
        dated = config | self._expiry(config)
        try:
            return name, dated | self._new(api, config)
        except ProviderError as error:
            raise PartlyCreatedError(name, dated, str(error)) from None

    def read(self, api: Client, identity: str, state: Properties) -> Properties | None:
        defaults: Properties = {"registryName": identity, "write": False, "expirySeconds": FIFTY_YEARS}
        state = defaults | state
        if not self._has_registry(api, identity):
            return None
        expires = state.get("credentialExpirationTime")
        if expires and datetime.fromisoformat(expires) >= datetime.now(UTC):
            return state
        return state | self._new(api, state) | self._expiry(state)

    def update(self, api: Client, identity: str, olds: Properties, config: Properties) -> Properties | None:
        changed = self.changed(olds, config)
        state = olds | config
        if "expirySeconds" in changed:
            state |= self._expiry(config)
        return state | self._new(api, config) if changed else state

    def delete(self, api: Client, identity: str, state: Properties, seconds: float) -> None:
        """Revokes the token. Resources without credentials can't be deleted."""
        try:
            (entry,) = json.loads(state.get("dockerCredentials") or "")["auths"].values()
        except json.JSONDecodeError:
            raise ProviderError("unexpected end of JSON input") from None
        api.revoke(base64.b64decode(entry["auth"]).decode().partition(":")[0])

    @staticmethod
    def _has_registry(api: Client, name: str) -> bool:
        return api.find(f'registry "{name}" not found', "GET", f"registries/{name}") is not None

    def _expiry(self, config: Properties) -> Properties:
        expires = datetime.now(UTC) + timedelta(seconds=config["expirySeconds"])
        return {"credentialExpirationTime": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}

    def _new(self, api: Client, config: Properties) -> Properties:
        query = f"expiry_seconds={config['expirySeconds']}&read_write={str(bool(config['write'])).lower()}"
        path = f"registries/{config['registryName']}/docker-credentials?{query}"
        return {"dockerCredentials": api.text("Error retrieving docker credentials", "GET", path)}
