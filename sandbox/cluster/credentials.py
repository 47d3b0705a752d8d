"""Certificates, tokens and kubeconfigs of the cluster's components, as files in its directory."""

import json
import secrets
from pathlib import Path

from sandbox.cluster import control_plane, network_policies
from sandbox.host.addresses import CONTROL_PLANE, KUBERNETES_PORT
from sandbox.host.certificate_authority import Authority

# Static tokens, not client certificates: half the files, and as good on a loopback.
_USERS = {
    "admin": ("admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    network_policies.NAME: ("system:network-policies", ""),
}
_PAIR = {"client-certificate": "crt", "client-key": "key"}


class Credentials:
    """Writes what the control plane needs; `add_node` what a node needs.

    Attributes:
        ca_pem: The authority that signs the API server's certificate.
        admin_token: A cluster administrator's bearer token that never expires.
    """

    def __init__(self, directory: Path, token_webhook: str) -> None:
        self.admin_token = secrets.token_hex(32)
        self._directory = directory
        self._authority = Authority(directory, "kong-doks")
        self.ca_pem = self._authority.pem
        service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        addresses = ("127.0.0.1", CONTROL_PLANE, control_plane.KUBERNETES_SERVICE)
        self._authority.server("kube-apiserver", ["localhost", *service, *addresses])
        self._authority.client("kubelet-client", group="system:masters")
        self._authority.client(control_plane.AGGREGATOR)
        self._authority.key_pair("service-accounts")
        rows = []
        for name, (user, group) in _USERS.items():
            token = self.admin_token if name == "admin" else secrets.token_hex(32)
            rows.append(f"{token},{user},{user},{group}\n")
            on_node = name in {"kube-proxy", network_policies.NAME}
            self._write_kubeconfig(name, self._server(CONTROL_PLANE if on_node else "127.0.0.1"), {"token": token})
        self._write("tokens.csv", "".join(rows))
        self._write_kubeconfig("token-webhook", {"server": token_webhook}, {})

    def add_node(self, name: str, address: str) -> tuple[Path, Path]:
        """Issues a node's certificates.

        Returns:
            Its kubeconfig, and its server's certificate, beside which the key lies (`.key`).
        """
        server, client = f"{name}-kubelet", f"{name}-client"
        self._authority.server(server, [name, address])
        self._authority.client(client, group="system:nodes", user=f"system:node:{name}")
        pair = {kind: f"{self._directory}/{client}.{end}" for kind, end in _PAIR.items()}
        self._write_kubeconfig(client, self._server(CONTROL_PLANE), pair)
        return self._directory / f"{client}.kubeconfig", self._directory / f"{server}.crt"

    def _server(self, host: str) -> dict[str, str]:
        return {"server": f"https://{host}:{KUBERNETES_PORT}", "certificate-authority": f"{self._directory}/ca.crt"}

    def _write_kubeconfig(self, name: str, cluster: dict[str, str], user: dict[str, str]) -> None:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        self._write(f"{name}.kubeconfig", json.dumps(content))

    def _write(self, name: str, content: str) -> None:
        path = self._directory / name
        path.touch(mode=0o600)
        path.write_text(content)
