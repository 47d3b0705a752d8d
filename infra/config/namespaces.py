"""Namespaces that the stack creates for itself. Services live in another one, which the stack file names."""

GATEWAY = "kong"
MONITORING = "monitoring"
CERTIFICATES = "cert-manager"
RESERVED = (GATEWAY, MONITORING, CERTIFICATES)
