"""A stack, with its configuration as Pulumi evaluates it and the Pulumi CLI."""

import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from infra.config.api_access import ENDPOINT, token_fix, token_problem
from infra.config.errors import InvalidConfigError
from infra.config.load import load
from infra.config.settings import Settings
from infra.config.stack_file import file_name, stack_file
from ops.digitalocean import Api, one_line
from ops.errors import OpsError
from ops.pulumi.cli import Cli, PulumiError

_NO_STACK = "no stack named"
_UPDATES = 100
_NAME = re.compile(r"([\w.-]+/){0,2}[\w.-]{1,100}", re.ASCII)
"""As Pulumi has it, alone or after organization and project."""


class NoStackError(OpsError):
    """Pulumi has no such stack."""


class Stack(Cli):
    """A stack of the project in `folder`.

    Args:
        folder: the project's folder, with its Pulumi.yaml.
        name: as Pulumi takes it: dev, or org/project/dev; empty for the stack that is selected.

    Raises:
        OpsError: no stack is selected, or there is no project.
        NoStackError: Pulumi has no such stack.
    """

    def __init__(self, folder: Path, name: str = "") -> None:
        super().__init__(folder)
        self.project = _project(folder)
        if name and not _NAME.fullmatch(name):
            raise OpsError(
                f'stack {name[:40]!a}: no stack has this name; allowed: at most 100 letters, digits and "._-", '
                "after <organization>/<project>/ or not; fix: --stack with a name of `pulumi stack ls`"
            )
        self.name = name or self._selected()
        self._check_exists()

    @property
    def short_name(self) -> str:
        """The name without organization and project."""
        return self.name.rpartition("/")[2]

    def is_named(self, other: str) -> bool:
        """Compares with a name from `pulumi stack ls`; either may lack organization and project."""
        (*here, name), (*there, same) = self.name.split("/"), other.split("/")
        # An organization alone, or organization and project.
        return name == same and all(mine == theirs for mine, theirs in zip(here, there, strict=False))

    @cached_property
    def _entries(self) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = self.pulumi_json("config", "--json", "--stack", self.name)
        return entries

    @property
    def config(self) -> dict[str, Any]:
        """All of the configuration by its full keys, as Pulumi gives it to the program; None for a secret.

        It has Pulumi.yaml's defaults, the stack's file and its environments, whatever notation they use.
        """
        return {key: entry.get("value") for key, entry in self._entries.items()}

    @property
    def values(self) -> dict[str, Any]:
        """The project's own keys, without its name; None for a secret."""
        return own_keys(self.project, self.config)

    @cached_property
    def settings(self) -> Settings:
        """The configuration as the program understands it.

        Raises:
            OpsError: it is wrong, with a line for each error as `pulumi preview` prints it; or Pulumi can't read it.
        """
        entries = self._entries
        if any(entry["secret"] for entry in entries.values()):
            entries = self.pulumi_json("config", "--json", "--show-secrets", "--stack", self.name)
        secret = [key for key, entry in entries.items() if entry["secret"]]
        try:
            values = {key: entry["value"] for key, entry in entries.items()}
            return load(values, secret, self.project, stack_file(self.folder, self.short_name, os.environ))
        except InvalidConfigError as error:
            raise OpsError(str(error)) from None

    @property
    def missing_file(self) -> str:
        """The name of the stack's file if there is none; else empty."""
        file = file_name(self.short_name, os.environ)
        return "" if (self.folder / file).exists() else file

    def account(self) -> Api:
        """The account that the stack lives in, found as Pulumi's provider finds it: the stack's keys come first.

        Raises:
            OpsError: no token.
        """
        configured = self.config.get("digitalocean:apiEndpoint")
        return Api(self._token(), str(configured or os.environ.get("DIGITALOCEAN_API_URL") or ENDPOINT))

    def _selected(self) -> str:
        try:
            return self.pulumi("stack", "--show-name").strip()
        except PulumiError as error:
            if "no stack selected" not in str(error):
                raise
            raise OpsError("no stack is selected; fix: pulumi stack select, or --stack NAME") from None

    def _check_exists(self) -> None:
        """Reads the configuration once, which Pulumi refuses for a stack that it doesn't have."""
        try:
            _ = self._entries
        except PulumiError as error:
            if _NO_STACK not in str(error):
                raise
            known = ", ".join(listed["name"] for listed in self.pulumi_json("stack", "ls", "--json"))
            raise NoStackError(
                f"stack {self.name}: Pulumi has no such stack; allowed: {known or 'none yet'}; "
                f"fix: --stack with another name, or pulumi stack init {self.name}"
            ) from None

    def _token(self) -> str:
        name, token = self._named_token()
        if problem := token_problem(token):
            raise OpsError(f"{name}: {problem}; allowed: one word; fix: {token_fix(name)}")
        return token

    def _named_token(self) -> tuple[str, str]:
        """Returns the name of the token's source, and the token."""
        key, name, other = "digitalocean:token", "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"
        if key in self._entries:
            return key, self.pulumi("config", "get", key, "--stack", self.name).removesuffix("\n")
        if not os.environ.get(name) and (token := os.environ.get(other)):
            return other, token
        return name, os.environ.get(name, "")


def history(stack: Stack) -> list[dict[str, Any]]:
    """Returns the stack's last updates, the newest first.

    Raises:
        OpsError: Pulumi can't read them.
    """
    # Without a page size, Pulumi lists ten: they may all be previews, refreshes or failures.
    arguments = ("stack", "history", "--json", f"--page-size={_UPDATES}", "--stack", stack.name)
    updates: list[dict[str, Any]] = stack.pulumi_json(*arguments)
    return updates


def own_keys(project: str, config: dict[str, Any]) -> dict[str, Any]:
    """The keys of the project's namespace, without it."""
    prefix = f"{project}:"
    return {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}


def plain(value: object) -> object:
    """Lists and objects are JSON text in Pulumi's configuration."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _project(folder: Path) -> str:
    file = folder / "Pulumi.yaml"
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError:
        raise OpsError(f"Pulumi.yaml: not in {folder} nor above; fix: run this in the project's folder") from None
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise OpsError(f"Pulumi.yaml: can't be read: {one_line(str(error))}") from None
    name = document.get("name") if isinstance(document, dict) else None
    if not isinstance(name, str):
        raise OpsError("Pulumi.yaml: name is missing; fix: write name: kong-doks")
    return name
