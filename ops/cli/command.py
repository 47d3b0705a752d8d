"""The commands' common parts: the program, options, exit statuses, the stack and its account."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Annotated, Any, NoReturn

import typer

from infra.config.settings import Settings
from ops.account import ownership
from ops.account.inventory import Inventory
from ops.account.inventory import inventory as read_inventory
from ops.account.ownership import Names, Ownership
from ops.cli.terminal import show, show_json, warn
from ops.digitalocean import Api
from ops.errors import UNCHECKED, OpsError
from ops.pulumi import state as states
from ops.pulumi.cli import project_folder
from ops.pulumi.stack import Stack
from ops.pulumi.state import State

POLL_SECONDS = 2
_DAY = 86_400
HELP = """python -m ops: commands beside Pulumi.

Exit status: 0 no problem, 1 problems found, 2 usage error, 3 could not check.
"""
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)

StackName = Annotated[
    str,
    typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The stack; by default the one that is selected."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_seconds(seconds: float) -> float:
    """Refuses seconds for which a command would never end; a comparison with NaN is false."""
    if not 0 <= seconds <= _DAY:
        raise typer.BadParameter(f"{seconds}; allowed: seconds from 0 to {_DAY}")
    return seconds


def check_identifier(text: str) -> str:
    """Refuses what is no id of DigitalOcean's and no name of Kubernetes', such as text of several lines."""
    if not re.fullmatch(r"[\w./-]{0,255}", text, re.ASCII):
        allowed = 'at most 255 letters, digits and "._-/"'
        raise typer.BadParameter(f"{text[:40]!a}; allowed: {allowed}; fix: copy it from python -m ops doctor or bill")
    return text


ClusterId = Annotated[str, typer.Argument(metavar="CLUSTER", callback=check_identifier, help="The cluster's id.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


class Command:
    """A running command: its stack, the stack's account, and the result that it prints."""

    def __init__(self, stack: str, *, as_json: bool) -> None:
        self.stack = Stack(project_folder(), stack)
        self.as_json = as_json

    @property
    def settings(self) -> Settings:
        return self.stack.settings

    @cached_property
    def api(self) -> Api:
        return self.stack.account()

    @cached_property
    def state(self) -> State:
        return states.read(self.stack)

    @cached_property
    def _ownership(self) -> Ownership:
        return ownership.read(self.stack, self.state, self.api.clock_error)

    def inventory(self) -> Inventory:
        """Reads the account as it is now."""
        return read_inventory(self.api, Names.of(self.stack.values), self._ownership)

    def check_own(self, cluster: str) -> None:
        """Refuses to change a cluster that the state doesn't have.

        Raises:
            OpsError: the cluster is somebody else's, or lost.
        """
        if cluster not in self.state.of(states.CLUSTER):
            raise OpsError(
                f"cluster {cluster} is not in the state of stack {self.stack.name}; "
                f"fix: python -m ops doctor --stack {self.stack.name}"
            )

    def show_json(self, **document: object) -> None:
        show_json({"stack": self.stack.name} | document)

    def show_verdict(self, text: str) -> None:
        show(f"stack {self.stack.name}: {text}")

    def done(self, what: str, result: str, then: str = "") -> None:
        """Prints the result of a repair, and the command of Pulumi's or of ops that comes next."""
        if then:
            result += f" ({then} --stack {self.stack.name})"
        if self.as_json:
            self.show_json(what=what, said=result)
        else:
            self.show_verdict(f"{what}: {result}")


@contextmanager
def errors_in_one_line(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except OpsError as error:
        refuse(str(error), UNCHECKED, as_json=as_json)


def refuse(message: str, status: int, *, as_json: bool) -> NoReturn:
    """Prints an error and ends the command."""
    if as_json:
        show_json({"error": message})
    else:
        warn(message, style="red")
    raise typer.Exit(status) from None


@contextmanager
def opened(stack: str, *, as_json: bool, needs_token: bool = True) -> Iterator[Command]:
    """Opens a command; an error ends it with one line. A missing token is one before anything is read."""
    with errors_in_one_line(as_json=as_json):
        command = Command(stack, as_json=as_json)
        if needs_token:
            _ = command.api
        yield command


def plain(items: Sequence[Any]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(item) for item in items]
