"""Reads the stack's configuration: the only reader of what Pulumi hands to the program."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pulumi

from infra.config import capacity
from infra.config.errors import InvalidConfigError, error_line
from infra.config.load import load
from infra.config.settings import Settings
from infra.config.stack_file import other_file_errors, stack_file

_ERROR_SHOWN = 32
"""Exit status after an error that is already shown; with any other, Pulumi adds an "unhandled error"."""

_SECRETS = ("digitalocean:token", "digitalocean:spacesSecretKey", "docker-build:registries")
"""Secrets among the providers' own keys: a value in clear stays readable in the state."""


def load_config() -> Settings:
    """Returns the stack's settings. An invalid configuration ends the program with a line for each error."""
    config = pulumi.runtime.get_config_env()
    secret_keys = {key for key in config if pulumi.runtime.is_config_secret(key)}
    try:
        written = stack_file(Path(), pulumi.get_stack(), os.environ)
        if errors := list(other_file_errors(config, written, pulumi.get_project())):
            exit_with_error(*(error_line(error, hidden=False) for error in errors))
        settings = load(config, secret_keys, pulumi.get_project(), written)
    except InvalidConfigError as error:
        exit_with_error(*error.lines)
    if settings.creates_cluster and (shortage := capacity.shortage(settings)):
        pulumi.log.warn(f"{config_key(shortage.key)}: {shortage}")
    return settings


@dataclass(frozen=True, kw_only=True)
class Account:
    """Access to DigitalOcean's API, as the provider's own keys configure it.

    Attributes:
        api_endpoint: None: DigitalOcean's, or what the environment names.
        stack: the stack whose configuration holds `digitalocean:token`; None: the token is in the environment.
        token: of the API; None: there is none.
    """

    api_endpoint: str | None
    stack: str | None
    token: str | None = field(default=None, repr=False)


def load_account() -> Account:
    config = pulumi.Config("digitalocean")
    stack = pulumi.get_stack() if config.get("token") is not None else None
    present = pulumi.runtime.get_config_env()
    if clear := [key for key in _SECRETS if key in present and not pulumi.runtime.is_config_secret(key)]:
        exit_with_error(
            *(
                f"{key}: is in clear in the stack's file; allowed: only encrypted values; "
                f"fix: pulumi config set --secret {key}"
                for key in clear
            )
        )
    token = config.get("token") or os.environ.get("DIGITALOCEAN_TOKEN") or os.environ.get("DIGITALOCEAN_ACCESS_TOKEN")
    return Account(api_endpoint=config.get("apiEndpoint"), stack=stack, token=token)


def config_key(path: str) -> str:
    """Returns the full name of a key, as `pulumi config` shows it."""
    return f"{pulumi.get_project()}:{path}"


def exit_with_error(*lines: str) -> NoReturn:
    """Ends the program with these lines as its only error."""
    pulumi.log.error("\n".join(lines))
    sys.exit(_ERROR_SHOWN)
