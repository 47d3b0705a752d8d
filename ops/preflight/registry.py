"""Checks of the registry."""

from collections.abc import Collection
from http import HTTPStatus

from infra.config.registry import Registry
from ops.account import documents
from ops.account.documents import RegistryOptions
from ops.digitalocean import Api, ApiError
from ops.preflight.check import Check, choice
from ops.pulumi import state as states
from ops.pulumi.state import State

REGISTRIES = {"professional": 10}
"""Registries of an account, where that isn't one (Container Registry limits page)."""


def check(api: Api, settings: Registry, existing: list[documents.Registry], state: State) -> Check:
    names, owned = [registry.name for registry in existing], state.of(states.REGISTRY)
    if settings.existing:
        return _check_existing(str(settings.name), names, owned)
    if own := next((registry for registry in existing if registry.name in owned), None):
        return _check_replacement(own, settings)
    if existing and (subscription := existing[0].subscription):
        # One subscription is for all of an account's registries: a new one doesn't change it.
        tier = subscription.tier.slug
        there = f"the account has {', '.join(names)}, and its tier {tier} allows"
        if len(existing) >= REGISTRIES.get(tier, 1):
            return Check("registry", False, f"{there} no more", _use_existing(names))
        if settings.tier != tier:
            fix = f"pulumi config set --path registry.tier {tier}"
            return Check("registry", False, f"{there} another, but not of tier {settings.tier}", fix)
    if settings.name and not _is_free(api, settings.name):
        return Check("registry", False, f'the name "{settings.name}" is taken or bad', "set another registry.name")
    regions = api.read("registries/options", "options", RegistryOptions).available_regions
    return choice("registry.region", settings.region, regions)


def _is_free(api: Api, name: str) -> bool:
    try:
        api.call("POST", "registry/validate-name", {"name": name})
    except ApiError as error:
        if error.status not in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise
        return False
    return True


def _check_existing(name: str, names: list[str], owned: Collection[str]) -> Check:
    if name in owned:
        detail = f'registry "{name}" is this stack\'s own: as an existing one, pulumi up deletes it with its images'
        return Check("registry", False, detail, "pulumi config rm --path registry.existing")
    if name not in names:
        return Check("registry", False, f'registry "{name}" is not there', _use_existing(names))
    return Check("registry", True, f'registry "{name}" is there')


def _check_replacement(own: documents.Registry, settings: Registry) -> Check:
    """A registry keeps its name and its region: to change them, `up` deletes it and pushes the images to another."""
    for key, value, actual in (
        ("name", settings.name or own.name, own.name),
        ("region", settings.region, own.region),
    ):
        if value != actual:
            detail = f'{key} "{value}" instead of {actual}: pulumi up deletes registry {own.name} with its images'
            fix = f"pulumi config set --path registry.{key} {actual}; or go on, and the images are pushed again"
            return Check("registry", False, detail, fix)
    return Check("registry", True, "exists and belongs to this stack")


def _use_existing(names: list[str]) -> str:
    """Returns the fix that uses a registry of the account, if it has one."""
    if not names:
        return "remove existing: true, and the stack creates one"
    return f"write registry: {{kind: digitalocean, name: {names[0]}, existing: true}}"
