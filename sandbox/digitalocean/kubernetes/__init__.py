"""Kubernetes clusters, their node pools, and the cloud controller that runs with each."""
