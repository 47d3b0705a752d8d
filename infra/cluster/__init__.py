"""The Kubernetes cluster: a DOKS cluster or an existing one, and the kubeconfig that reaches it."""
