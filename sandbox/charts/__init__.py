"""The Helm repository: stand-ins for Kong's and Prometheus's charts, and cert-manager's and metrics-server's own."""
