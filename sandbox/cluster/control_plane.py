"""The command lines of Kubernetes' control plane: etcd, API server, controller manager and scheduler."""

from pathlib import Path

from sandbox.host.addresses import CONTROL_PLANE, KUBERNETES_PORT, SERVICES
from sandbox.toolchain.build import tool

KUBERNETES_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"

AGGREGATOR = "aggregator"
"""Name of the API server towards APIs that run as pods."""
_ETCD = "http://127.0.0.1:2379"
_ETCD_PEER = "http://127.0.0.1:2380"

Command = list[str | Path]


def commands(directory: Path) -> dict[str, Command]:
    """Commands by name. They read certificates, tokens and kubeconfigs from `directory`; etcd keeps its data there."""
    flags = {
        "etcd": [
            f"--data-dir={directory}/etcd",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            f"--listen-peer-urls={_ETCD_PEER}",
            f"--initial-advertise-peer-urls={_ETCD_PEER}",
            f"--initial-cluster=default={_ETCD_PEER}",
            # etcd ends with its cluster and has no peers, so it needs no durability and no election.
            "--unsafe-no-fsync",
            "--heartbeat-interval=10",
            "--election-timeout=50",
        ],
        "kube-apiserver": [
            f"--etcd-servers={_ETCD}",
            f"--secure-port={KUBERNETES_PORT}",
            f"--advertise-address={CONTROL_PLANE}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--tls-cert-file={directory}/kube-apiserver.crt",
            f"--tls-private-key-file={directory}/kube-apiserver.key",
            f"--client-ca-file={directory}/ca.crt",
            f"--kubelet-certificate-authority={directory}/ca.crt",
            f"--kubelet-client-certificate={directory}/kubelet-client.crt",
            f"--kubelet-client-key={directory}/kubelet-client.key",
            # A node's name is in no DNS.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={directory}/service-accounts.pub",
            f"--service-account-signing-key-file={directory}/service-accounts.key",
            f"--token-auth-file={directory}/tokens.csv",
            f"--authentication-token-webhook-config-file={directory}/token-webhook.kubeconfig",
            "--authentication-token-webhook-version=v1",
            "--authentication-token-webhook-cache-ttl=1s",
            # APIs that run as pods, such as that of metrics-server: they trust whom this certificate's holder names.
            f"--proxy-client-cert-file={directory}/{AGGREGATOR}.crt",
            f"--proxy-client-key-file={directory}/{AGGREGATOR}.key",
            f"--requestheader-client-ca-file={directory}/ca.crt",
            f"--requestheader-allowed-names={AGGREGATOR}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
        ],
        "kube-controller-manager": [
            f"--kubeconfig={directory}/kube-controller-manager.kubeconfig",
            f"--service-account-private-key-file={directory}/service-accounts.key",
            f"--root-ca-file={directory}/ca.crt",
            f"--cluster-signing-cert-file={directory}/ca.crt",
            f"--cluster-signing-key-file={directory}/ca.key",
            f"--service-cluster-ip-range={SERVICES}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            # The default of 20 requests a second delays the first namespaces and rollouts by seconds.
            "--kube-api-qps=300",
            "--kube-api-burst=600",
        ],
        "kube-scheduler": [
            f"--kubeconfig={directory}/kube-scheduler.kubeconfig",
            "--leader-elect=false",
        ],
    }
    return {name: [tool("hyperkube"), name, *flags[name]] for name in flags}
