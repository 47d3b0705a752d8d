"""A node's configuration: containerd, kubelet, kube-proxy and pod network, with the room of a droplet of its size."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sandbox.cluster.control_plane import DNS_SERVICE, Command
from sandbox.cluster.network import Place
from sandbox.cluster.remains import node_cgroup, node_cgroups
from sandbox.host.addresses import MIRROR, PODS
from sandbox.toolchain.build import tool

_EVICTION_MIB = 100

_CONTAINERD = """\
version = 2
root = "{directory}/containerd"
state = "{directory}/containerd-state"
oom_score = 0
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:3.10"
  restrict_oom_score_adj = true  # CAP_SYS_RESOURCE may be missing
  disable_apparmor = true  # a profile that is loaded stays in the machine's kernel
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{directory}/registries"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{directory}/cni"
"""

# `server` is what containerd falls back to: an image that the mirror lacks is then not found at once.
_MIRRORED = f"""\
server = "http://{MIRROR}"
[host."http://{MIRROR}"]
  capabilities = ["pull", "resolve"]
"""


class Size(Protocol):
    """The room of a droplet. A node never has more than the machine."""

    @property
    def vcpus(self) -> int:
        """CPUs, of which DOKS keeps a tenth of one."""

    @property
    def memory_mib_for_pods(self) -> int:
        """Allocatable memory."""


class Node(Protocol):
    """A worker node."""

    @property
    def name(self) -> str: ...
    @property
    def provider_id(self) -> str:
        """`digitalocean://<droplet id>`."""

    @property
    def size(self) -> Size: ...
    @property
    def labels(self) -> Mapping[str, str]:
        """Labels beside those that the kubelet sets itself."""

    @property
    def taints(self) -> Sequence[Mapping[str, str]]:
        """Taints that the node registers with: `key`, `value` and `effect` of each."""


def configure(node: Node, place: Place, directory: Path, authority: Path, certificate: Path) -> None:
    """Writes the configuration that `commands` read, and makes the pods' cgroup.

    Args:
        node: The node.
        place: Its place in the network.
        directory: The node's own directory.
        authority: The certificate that the kubelet's clients are checked with.
        certificate: The kubelet's server certificate; its key lies beside it.
    """
    for cgroup in node_cgroups(place.number):
        cgroup.mkdir(parents=True, exist_ok=True)
    socket = runtime_socket(directory)
    (directory / "containerd.toml").write_text(_CONTAINERD.format(directory=directory, socket=socket))
    for registry in ("docker.io", "quay.io", "registry.k8s.io"):
        hosts = directory / "registries" / registry
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(_MIRRORED)
    (directory / "cni").mkdir()
    _write(directory / "cni" / "pods.conflist", _pod_network(place))
    # Pods that use the node's DNS get no name server: the machine's can't be reached.
    (directory / "resolv.conf").write_text("options timeout:1\n")
    _write(directory / "kubelet.json", _kubelet(node, place, directory, authority, certificate))
    _write(directory / "kube-proxy.json", _kube_proxy(node, authority.parent))


def commands(node: Node, place: Place, directory: Path, kubeconfig: Path) -> dict[str, Command]:
    return {
        "containerd": ["containerd", f"--config={directory}/containerd.toml"],
        "kubelet": [
            tool("hyperkube"),
            "kubelet",
            f"--config={directory}/kubelet.json",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={directory}/kubelet",
            f"--hostname-override={node.name}",
            f"--node-ip={place.address}",
            "--node-labels=" + ",".join(f"{key}={value}" for key, value in node.labels.items()),
        ],
        "kube-proxy": [tool("hyperkube"), "kube-proxy", f"--config={directory}/kube-proxy.json"],
    }


def _pod_network(place: Place) -> object:
    # Addresses are hidden where packets leave the pods' network (network_policies.py), not between nodes.
    # Point to point, not a bridge: pods' traffic to each other passes the Service rules without a kernel module's help.
    point_to_point = {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": place.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [point_to_point, ports]}


def _kubelet(node: Node, place: Place, directory: Path, authority: Path, certificate: Path) -> object:
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    reserved_cpus = max(0, (os.cpu_count() or 1) - node.size.vcpus) + 0.1
    reserved_mib = memory_mib - node.size.memory_mib_for_pods - _EVICTION_MIB
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "providerID": node.provider_id,
        "containerRuntimeEndpoint": f"unix://{runtime_socket(directory)}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(certificate.with_suffix(".key")),
        "registerWithTaints": [dict(taint) for taint in node.taints],
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{directory}/resolv.conf",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node_cgroup(place.number)}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "enforceNodeAllocatable": ["pods"],
        # The machine is larger than the droplet that it represents: the kubelet reserves the difference.
        "systemReserved": {"cpu": f"{reserved_cpus:.1f}", "memory": f"{max(0, reserved_mib)}Mi"},
        # The disk is the machine's: its usage must evict no pods.
        "evictionHard": {
            "memory.available": f"{_EVICTION_MIB}Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "nodeStatusUpdateFrequency": "5s",
        "podLogsDir": f"{directory}/pod-logs",
        "volumePluginDir": f"{directory}/volume-plugins",
    }


def _kube_proxy(node: Node, credentials: Path) -> object:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": f"{credentials}/kube-proxy.kubeconfig"},
        "clusterCIDR": PODS,
        "hostnameOverride": node.name,
        # Conntrack's limits belong to the whole machine.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
    }


def runtime_socket(directory: Path) -> Path:
    return directory / "containerd.sock"


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1))
