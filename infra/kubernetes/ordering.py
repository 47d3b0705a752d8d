"""The order in which objects are made, where none depends on the other."""

from collections.abc import Sequence
from typing import Any

import pulumi


def after(first: pulumi.Output[Any], others: Sequence[pulumi.Output[Any]]) -> pulumi.Output[list[pulumi.Resource]]:
    """Returns a `depends_on` that delays a resource until outputs are resolved, without a dependency in the state.

    Args:
        first: an output.
        others: more, in a list that may grow until the end of the program.
    """

    async def resolved() -> list[pulumi.Resource]:
        # Runs when the whole program has.
        for output in (first, *others):
            await output.future()
        return []

    return pulumi.Output.from_input(resolved())
