"""Values of a section that was set with --secret are secrets of Pulumi."""

import asyncio
from typing import Any

import pulumi
import pytest

from infra.config.gateway import GatewayPolicies
from infra.config.policy_models import RateLimit
from infra.secrets import mark_secret


@pytest.mark.parametrize("secret", [(), (0,), (1,), (0, 1)])
def test_one_secret_section_makes_every_value_a_secret(secret: tuple[int, ...]) -> None:
    sections = (GatewayPolicies(), RateLimit(minute=1))
    for index in secret:
        sections[index].mark_secret()

    async def marked() -> list[bool]:
        values: dict[str, Any] = {"a": "planted", "b": {"c": "planted"}, "empty": {}}
        marked = mark_secret(values, *sections)
        assert marked["empty"] == {}
        outputs = [marked[name] for name in ("a", "b")]
        return [isinstance(output, pulumi.Output) and await output.is_secret() for output in outputs]

    assert asyncio.run(marked()) == [bool(secret)] * 2
