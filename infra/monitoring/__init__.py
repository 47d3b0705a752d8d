"""Prometheus and Grafana for the gateway's metrics."""
