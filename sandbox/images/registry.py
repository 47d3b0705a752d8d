"""The sandbox's two image registries, both Debian's docker-registry, and the signer of the tokens that one asks for."""

import base64
import datetime as dt
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import jwt
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sandbox.host.addresses import API, MIRROR, REGISTRY
from sandbox.host.paths import CACHE, RUN
from sandbox.host.process import Child

SERVICE = "registry.digitalocean.com"
TOKEN_LIFETIME = dt.timedelta(minutes=5)
_ISSUER = "api.digitalocean.com"
_CERTIFICATE_LIFETIME = dt.timedelta(days=30)  # more than a sandbox stays up


class Signer:
    """Signs registry tokens. The key never leaves the process; the registry knows its certificate."""

    def __init__(self, folder: Path = RUN) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ISSUER)])
        now = dt.datetime.now(dt.UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + _CERTIFICATE_LIFETIME)
            .sign(self._key, hashes.SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "registry-tokens.pem"
        self.certificate.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def token(self, account: str, access: Sequence[dict[str, Any]]) -> str:
        """A token that lets `account` do `access`, for TOKEN_LIFETIME.

        Args:
            account: whom the registry's log names.
            access: for each scope `{"type": "repository", "name": "mine/foo", "actions": ["pull", "push"]}`; actions
                are what the account may do of what its client asked for. Empty: log in and nothing else.
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
        certificate = base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"x5c": [certificate]})


def start_mirror() -> Child:
    """Docker Hub as far as the sandbox has it; its images are kept between runs.

    Raises:
        ChildFailedError: it isn't serving.
    """
    return _start("mirror", MIRROR, RUN, CACHE / "mirror", {})


def start_digitalocean_registry(signer: Signer, address: str = REGISTRY, folder: Path = RUN) -> Child:
    """DigitalOcean's container registry: its clients need tokens of `signer`, which they ask the API for.

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
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": {"addr": address, "secret": secrets.token_hex(16)},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yml"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
    child = Child(name, ["docker-registry", "serve", file])
    # 401 is how one with token authentication says that it is there.
    child.wait_until(lambda: _status(f"http://{address}/v2/") in {httpx.codes.OK, httpx.codes.UNAUTHORIZED})
    return child


def _status(url: str) -> int:
    try:
        return httpx.get(url, trust_env=False).status_code
    except httpx.TransportError as error:
        raise ConnectionError(str(error)) from error
