"""Building blocks for Kubernetes objects: raw objects, CRDs, namespaces, pod security, network policies."""
