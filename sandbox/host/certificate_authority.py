"""A certificate authority that writes what it issues into a folder."""

from collections.abc import Sequence
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


class Authority:
    """Writes `<name>.crt` and `<name>.key` (0600) pairs, and its own `ca` pair, into `directory`."""

    def __init__(self, directory: Path, common_name: str) -> None:
        self._directory = directory
        self._ca = trustme.CA(organization_name=common_name, key_type=trustme.KeyType.ECDSA)
        self.pem = self._ca.cert_pem.bytes()
        self._write("ca", self.pem, self._ca.private_key_pem.bytes())

    def server(self, name: str, hosts: Sequence[str]) -> None:
        """Issues a certificate for a server that is reached by `hosts`, DNS names or IP addresses."""
        self._issue(name, self._ca.issue_cert(*hosts, common_name=name, key_type=trustme.KeyType.ECDSA))

    def client(self, name: str, group: str | None = None, user: str = "") -> None:
        """Issues a client certificate for `user`, by default `name`, of a group, as Kubernetes reads certificates."""
        user = user or name
        issued = self._ca.issue_cert(name, common_name=user, organization_name=group, key_type=trustme.KeyType.ECDSA)
        self._issue(name, issued)

    def key_pair(self, name: str) -> None:
        """Writes a bare key with its public half, `<name>.key` and `<name>.pub`."""
        issued = self._ca.issue_cert(name, key_type=trustme.KeyType.ECDSA)
        self._issue(name, issued)
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self._directory / f"{name}.pub").write_bytes(pem)

    def _issue(self, name: str, issued: trustme.LeafCert) -> None:
        self._write(name, issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())

    def _write(self, name: str, certificate: bytes, key: bytes) -> None:
        (self._directory / f"{name}.crt").write_bytes(certificate)
        path = self._directory / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(key)
