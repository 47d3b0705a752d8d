"""Container registries: subscription, credentials and authorization."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.digitalocean import catalog
from sandbox.digitalocean.context import Context
from sandbox.digitalocean.errors import ApiError, find
from sandbox.digitalocean.ledger import timestamp
from sandbox.digitalocean.tokens import Tokens

Document = dict[str, Any]
NO_EXPIRY = 1_576_800_000
"""Seconds; DigitalOcean's default."""


class DeniedError(Exception):
    """The registry's token service refuses; the message goes to the client."""


class Registries:
    def __init__(self, context: Context, tokens: Tokens) -> None:
        self.documents: dict[str, Document] = {}
        self.repositories: dict[str, set[str]] = {}
        """The repositories of each registry that a push was granted for."""
        self.tier = catalog.TIERS["starter"]
        self._context = context
        self._tokens = tokens
        self._subscribed = ""
        self.credentials: dict[str, tuple[set[str], datetime]] = {}

    def create(self, name: str, tier: str, region: str) -> Document:
        """Raises ApiError: bad name, tier or region, a taken name, or no registry left in the subscription."""
        if not re.fullmatch(r"[a-z0-9-]{1,63}", name):
            raise ApiError(422, "invalid name: lower-case letters, digits and dashes, at most 63")
        if tier not in catalog.TIERS:
            raise ApiError(422, f"invalid subscription tier: one of {', '.join(catalog.TIERS)}")
        if region not in catalog.REGISTRY_REGIONS:
            raise ApiError(422, f"invalid region: one of {', '.join(catalog.REGISTRY_REGIONS)}")
        self.check_name(name)
        if not self.documents:
            self.tier = catalog.TIERS[tier]
            self._subscribed = timestamp()
        elif len(self.documents) >= self.tier.registries:
            raise ApiError(422, "user already has a registry")
        self.documents[name] = {
            "name": name,
            "region": region,
            "created_at": timestamp(),
            "storage_usage_bytes": 0,
            "storage_usage_bytes_updated_at": timestamp(),
            "read_only": False,
        }
        self.repositories[name] = set()
        self._bill()
        return self.document(name)

    def check_name(self, name: str) -> None:
        """Names are global. Raises ApiError: taken."""
        if name in self.documents or name in self._context.settings.registry_names_taken:
            raise ApiError(409, "name already exists")

    def document(self, name: str) -> Document:
        """Raises NotFoundError."""
        return find(self.documents, name) | {"subscription": self.subscription()}

    def delete(self, name: str) -> None:
        self.document(name)
        del self.documents[name], self.repositories[name]
        self._context.ledger.end("registry", name)
        self._bill()

    def subscription(self) -> Document:
        return {"tier": self.tier.document(), "created_at": self._subscribed, "updated_at": self._subscribed}

    def subscribe(self, slug: str) -> None:
        """Changes the tier. Raises ApiError: unknown, or too small for what is there."""
        if slug not in catalog.TIERS:
            raise ApiError(422, f"invalid subscription tier: one of {', '.join(catalog.TIERS)}")
        tier = catalog.TIERS[slug]
        if len(self.documents) > tier.registries:
            raise ApiError(412, f"account has {len(self.documents)} registries, limit is {tier.registries}")
        for repositories in self.repositories.values():
            if tier.repositories and len(repositories) > tier.repositories:
                raise ApiError(412, f"registry contains {len(repositories)} repositories, limit is {tier.repositories}")
        self.tier = tier
        self._bill()

    def _bill(self) -> None:
        # One subscription pays for all registries: it is on the first one's line.
        for position, name in enumerate(self.documents):
            self._context.ledger.bill("registry", name, name, 0 if position else self.tier.price_monthly, [])

    def issue(self, seconds: int, *, push: bool) -> str:
        """A docker token for all of the account's registries; 0 seconds means practically never ending."""
        token = secrets.token_hex(32)
        expires = datetime.now(UTC) + timedelta(seconds=seconds or NO_EXPIRY)
        self.credentials[token] = ({"pull", "push"} if push else {"pull"}, expires)
        return token

    def actions(self, *candidates: str) -> set[str]:
        """The actions (pull, push) that a token allows, given as user name or password."""
        for word in candidates:
            if word in self._tokens.scopes:
                scopes = {"pull": "registry:read", "push": "registry:create"}
                return {action for action, scope in scopes.items() if self._tokens.allow(word, scope)}
            if word in self.credentials:
                actions, expires = self.credentials[word]
                return set() if expires < datetime.now(UTC) else actions
        return set()

    def grant(self, actions: set[str], scopes: list[str]) -> list[Document]:
        """The access for a registry token, as far as `actions` reach.

        Raises:
            DeniedError: nothing of it can be granted, or a new repository is one too many for the tier.
        """
        granted: list[Document] = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, requested = rest.rpartition(":")
            registry, _, repository = name.partition("/")
            if kind != "repository" or not repository or registry not in self.documents:
                continue
            # The push permission includes deletion: the registry has no finer one.
            rights = actions | ({"delete", "*"} if "push" in actions else set())
            allowed = [action for action in requested.split(",") if action in rights]
            if "push" in allowed:
                self._admit(registry, repository)
            if allowed:
                granted.append({"type": "repository", "name": name, "actions": allowed})
        if scopes and not granted:
            raise DeniedError("requested access to the resource is denied")
        return granted

    def _admit(self, registry: str, repository: str) -> None:
        repositories, limit = self.repositories[registry], self.tier.repositories
        if limit and repository not in repositories and len(repositories) >= limit:
            raise DeniedError(f"registry contains {len(repositories)} repositories, limit is {limit}")
        repositories.add(repository)
