"""Marks values of the configuration as secrets of Pulumi."""

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.config.types import Model


def mark_secret(values: Mapping[str, Any], *sections: Model) -> Mapping[str, pulumi.Input[Any]]:
    """Wraps the values as secrets if one of the sections that they come from was set with `--secret`.

    An empty object stays as it is: it reveals nothing, and a secret one can't be left out of a manifest.
    """
    if any(section.is_secret for section in sections):
        return {name: value if value == {} else pulumi.Output.secret(value) for name, value in values.items()}
    return values
