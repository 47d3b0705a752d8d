"""DigitalOcean's own Python client, at the stand-in."""

from typing import Any

from azure.core.pipeline.policies import HeadersPolicy
from pydo import Client


def official_client(url: str, token: str) -> Any:  # noqa: ANN401 -- pydo has no types
    # The client's own bearer policy insists on TLS.
    bearer = HeadersPolicy({"Authorization": f"Bearer {token}"})
    return Client(token, endpoint=url, retry_total=0, authentication_policy=bearer)
