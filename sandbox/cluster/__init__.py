"""Kubernetes on one node: control plane, kubelet, containerd and network policies."""
