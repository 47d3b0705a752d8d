"""Kubernetes: a control plane, nodes with kubelet and containerd, their network and its policies."""
