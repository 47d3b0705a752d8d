"""Orders the creation of resources without a dependency between them."""

from collections.abc import Sequence
from typing import Any

import pulumi


def delay_until(
    first: pulumi.Output[Any], others: Sequence[pulumi.Output[Any]] = ()
) -> pulumi.Output[list[pulumi.Resource]]:
    """Returns a `depends_on` that delays a resource until outputs are resolved, without a dependency in the state.

    Args:
        first: an output.
        others: more, in a list that may grow until the end of the program.
    """

    async def resolved() -> list[pulumi.Resource]:
        # Runs after the whole program, when `others` is complete.
        for output in (first, *others):
            await output.future()
        return []

    return pulumi.Output.from_input(resolved())
