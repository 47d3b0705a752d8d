"""Questions to the DigitalOcean account that the program asks before it creates anything."""

from collections.abc import Callable
from typing import Any, TypeVar

import pulumi
import pulumi_digitalocean as digitalocean

from infra.config import versions
from infra.loader import config_key, exit_with_error

Answer = TypeVar("Answer")


def ask(question: Callable[[], Answer]) -> Answer:
    """The answer; ends the program with one line if there is none, as without a token that is valid."""
    try:
        return question()
    except Exception as error:  # noqa: BLE001 -- Pulumi raises no narrower one
        # Pulumi's own call comes first, what went wrong last.
        reason = " ".join(str(error).rpartition("returned an error: ")[2].split())
        exit_with_error(
            f"DigitalOcean refuses: {reason}; allowed: a token that is valid and may read this; "
            "fix: export DIGITALOCEAN_TOKEN=dop_v1_..."
        )


def newest_version(minor: str) -> str:
    """The newest patch of a minor version, such as 1.35.7-do.0.

    Ends the program if DigitalOcean doesn't offer that minor version (any more).
    """
    newest = ask(lambda: digitalocean.get_kubernetes_versions(version_prefix=f"{minor}.")).latest_version
    if not newest:
        offered = ask(digitalocean.get_kubernetes_versions).valid_versions
        minors = list(dict.fromkeys(".".join(version.split(".")[:2]) for version in offered))
        supported = [each for each in minors if int(each.split(".")[1]) <= int(versions.KUBERNETES.split(".")[1])]
        exit_with_error(
            f'{config_key("kubernetesVersion")}: "{minor}" is not on offer; allowed: {", ".join(minors)}; '
            f"fix: pulumi config set kubernetesVersion {(supported or minors)[0]} "
            "(a cluster that exists keeps its version)"
        )
    return newest


def existing_registry(name: str | None) -> digitalocean.GetContainerRegistryResult:
    """The account's registry of that name; ends the program if there is none."""
    found = ask(lambda: digitalocean.get_container_registry(name=name))
    if not found.endpoint:
        exit_with_error(
            f'{config_key("registry.name")}: "{name}" is not a registry of this account; '
            "allowed: the name of one that is; fix: write that name, or remove existing to have one made"
        )
    return found


def previous_output(name: str) -> Any:  # noqa: ANN401 -- whatever an earlier `up` exported
    """Returns an output of this stack as its last complete `up` left it; None where there is none."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value
    return answer["outputs"].get(name)
