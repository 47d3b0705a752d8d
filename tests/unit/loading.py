"""Loads configurations as the program and the commands do."""

import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.config.errors import InvalidConfigError
from infra.config.load import load
from infra.config.settings import Settings
from tests.unit.configurations import FOO

PROJECT_NAME = "kong-doks"


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY = public(ec.generate_private_key(ec.SECP256R1()))
ALICE = {"name": "alice", "groups": ["team-a"], "jwt": {"algorithm": "ES256", "publicKey": KEY}}


def services(**policies: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """Returns a configuration of one service with these policies, and a consumer that may use it."""
    return {"services": [FOO | policies], "consumers": [ALICE]}


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
