"""Enforcement of NetworkPolicies, as by Cilium on DigitalOcean's nodes: kube-network-policies (Kubernetes SIGs).

The node's firewall hands the first packet of each connection from or to a pod over to it. It brings rules for that, but
with the `queue` of nftables, which not every kernel has; these are for iptables, which kube-proxy needs anyway.
"""

import subprocess
from pathlib import Path

from sandbox.cluster.control_plane import Command
from sandbox.cluster.linux_namespaces import Namespaces
from sandbox.host.addresses import CONTROL_PLANE, PODS
from sandbox.toolchain.build import tool

NAME = "network-policies"

_QUEUE = 100

# Packets from the node itself pass: probes; and from the control plane: DOKS has an agent on each node that hands them
# on. Packets to both, such as requests to the API server, go to the agent, as with Cilium; so do those of other nodes.
# While nothing answers the queue, pods have no network. No route leads to pods from outside of the cluster, so their
# packets to the outside are masqueraded.
_RULES = f"""\
*mangle
-A POSTROUTING -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A POSTROUTING -m addrtype --src-type LOCAL -j ACCEPT
-A POSTROUTING -s {CONTROL_PLANE} -j ACCEPT
-A POSTROUTING -s {PODS} -j NFQUEUE --queue-num {_QUEUE}
-A POSTROUTING -d {PODS} -j NFQUEUE --queue-num {_QUEUE}
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -s {PODS} -j NFQUEUE --queue-num {_QUEUE}
COMMIT
*nat
-A POSTROUTING -s {PODS} ! -d {PODS} -j MASQUERADE
COMMIT
"""


def close(namespaces: Namespaces) -> None:
    """Closes the pods' network: packets pass only through the agent."""
    subprocess.run(namespaces.command("iptables-restore"), input=_RULES, text=True, check=True)


def command(node: str, kubeconfig: Path) -> Command:
    return [tool("hyperkube"), NAME, f"--kubeconfig={kubeconfig}", f"--node={node}", f"--queue={_QUEUE}"]


def answers(namespaces: Namespaces) -> bool:
    """Reports whether the agent has seen all policies and pods, and answers the queue."""
    queues = namespaces.read("/proc/net/netfilter/nfnetlink_queue").splitlines()
    return any(line.split()[0] == str(_QUEUE) for line in queues)
