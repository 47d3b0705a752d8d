"""API tokens and their scopes (https://docs.digitalocean.com/reference/api/scopes/)."""


class Tokens:
    """`scopes` has the scopes of each token; None: all."""

    def __init__(self, token: str) -> None:
        self.scopes: dict[str, list[str] | None] = {token: None}

    def allow(self, token: str, scope: str) -> bool:
        scopes = self.scopes[token]
        if scopes is None or scope in scopes or "api:write" in scopes:
            return True
        return scope.endswith(":read") and "api:read" in scopes
