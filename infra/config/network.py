"""Connections of pods that the stack file allows."""

from pydantic import Field

from infra.config.types import Model, Namespace, Network, ServiceName


class Egress(Model):
    """Allowed destinations. DNS is always allowed."""

    internet: bool = Field(False, description="true or false: public addresses", examples=[True])
    namespaces: list[Namespace] = Field([], description="namespaces of the cluster", examples=[["redis"]])
    networks: list[Network] = Field(
        [], description="addresses and CIDR blocks outside of the cluster", examples=[["10.108.0.0/20"]]
    )


class ServiceEgress(Egress):
    """Allowed destinations of a service: the internet by default, other services by name."""

    internet: bool = Field(True, description="true or false: public addresses", examples=[False])
    services: list[ServiceName] = Field([], description="services of the stack", examples=[["bar"]])


class Ingress(Model):
    """Allowed sources. The gateway is always allowed."""

    namespaces: list[Namespace] = Field([], description="namespaces of the cluster", examples=[["monitoring"]])
