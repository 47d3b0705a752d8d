"""The sandbox's two image registries, both Debian's docker-registry, and the signer of tokens for one of them."""

import base64
import datetime as dt
import secrets
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import jwt
import trustme
import yaml

from sandbox.host.addresses import API, MIRROR, REGISTRY
from sandbox.host.paths import CACHE, RUN
from sandbox.host.process import Child

SERVICE = "registry.digitalocean.com"
TOKEN_LIFETIME = dt.timedelta(minutes=5)
_ISSUER = "api.digitalocean.com"


class Signer:
    """Signs registry tokens. The key never leaves the process; the registry has its certificate."""

    def __init__(self, folder: Path = RUN) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        issued = authority.issue_cert(_ISSUER, key_type=trustme.KeyType.ECDSA)
        self._key = issued.private_key_pem.bytes()
        der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
        self._chain = [base64.b64encode(der).decode()]
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "registry-tokens.pem"
        authority.cert_pem.write_to_path(str(self.certificate))

    def token(self, account: str, access: Sequence[dict[str, Any]]) -> str:
        """Returns a token that grants `access` to `account` for TOKEN_LIFETIME.

        Args:
            account: the name in the registry's log.
            access: for each scope `{"type": "repository", "name": "mine/foo", "actions": ["pull", "push"]}`; actions
                are those of the requested ones that the account may do. Empty: log in and nothing else.
        """
        now = dt.datetime.now(dt.UTC)
        claims = {
            "iss": _ISSUER,
            "aud": SERVICE,
            "sub": account,
            "iat": now,
            "nbf": now - dt.timedelta(seconds=10),
            "exp": now + TOKEN_LIFETIME,
            "jti": secrets.token_hex(16),
            "access": list(access),
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"x5c": self._chain})


def start_mirror() -> Child:
    """Starts the mirror of Docker Hub, whose images are kept between runs.

    Raises:
        ChildFailedError: it isn't serving.
    """
    return _start("mirror", MIRROR, RUN, CACHE / "mirror", {})


def start_digitalocean_registry(signer: Signer, address: str = REGISTRY, folder: Path = RUN) -> Child:
    """DigitalOcean's container registry: its clients need tokens of `signer`, which the API issues.

    Its images are in `folder`.

    Raises:
        ChildFailedError: it isn't serving.
    """
    token = {
        "realm": f"{API}/_registry/token",
        "service": SERVICE,
        "issuer": _ISSUER,
        "rootcertbundle": str(signer.certificate),
    }
    return _start("registry", address, folder, folder / "registry", {"auth": {"token": token}})


def _start(name: str, address: str, folder: Path, storage: Path, more: dict[str, Any]) -> Child:
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
            # A layer's link on disk is empty for a moment each time that a push writes it. With the cache, another
            # push of the same layer doesn't read it.
            "cache": {"blobdescriptor": "inmemory"},
        },
        "http": {"addr": address, "secret": secrets.token_hex(16)},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
    child = Child(name, ["docker-registry", "serve", file])
    # A registry with token authentication is ready when it answers 401.
    ready = {httpx.codes.OK, httpx.codes.UNAUTHORIZED}
    child.wait_until(lambda: httpx.get(f"http://{address}/v2/", trust_env=False).status_code in ready)
    return child
