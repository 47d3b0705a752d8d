"""Loads configurations as the program and the commands do."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from infra.config.errors import InvalidConfigError
from infra.config.load import load
from infra.config.settings import Settings

PROJECT_NAME = "kong-doks"


def loaded(config: Mapping[str, Any], secret_keys: Collection[str] = ()) -> Settings:
    """Returns the settings of a stack whose file has these keys, without their namespace."""
    texts = {
        f"{PROJECT_NAME}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }
    return load(texts, [f"{PROJECT_NAME}:{key}" for key in secret_keys], PROJECT_NAME)


def refused(config: Mapping[str, Any], secret_keys: Collection[str] = ()) -> list[str]:
    """Returns the lines of a configuration that has errors."""
    with pytest.raises(InvalidConfigError) as error:
        loaded(config, secret_keys)
    return error.value.lines
