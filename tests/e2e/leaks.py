"""Finds secrets in plain text and in reversible encodings."""

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

Place = TypeVar("Place")
PLANTED = {
    "consumers[0].jwt.secret": "planted-token-secret-of-32-letters",
    "consumers[0].apiKey": "planted-key-of-20-letters",
    "services[0].env.PASSWORD": "planted-password-of-foo",
}
"""Secrets of a stack file by their path in it, written so that they are recognised."""


def forms(secret: str) -> Iterator[str]:
    """A secret as it is, in JSON, and in base64 wherever in the encoded text it begins."""
    yield secret
    yield json.dumps(secret)[1:-1]
    for offset, mixed in enumerate((0, 2, 3)):
        text = b"-" * offset + secret.encode()
        # The first characters and the last ones have something of the neighbours in them.
        yield base64.b64encode(text)[mixed : len(text) // 3 * 4].decode()


def leaks(secrets: Collection[str], places: Mapping[Place, str]) -> list[Place]:
    """The places, with their texts, that have one of the secrets."""
    # Or pieces of them are found by chance.
    assert all(len(secret) >= 20 for secret in secrets)
    searched = {form for secret in secrets for form in forms(secret)}
    return [place for place, text in places.items() if any(form in text for form in searched)]
