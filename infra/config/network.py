"""Whom pods may connect to inside of the cluster and out of it, beside what always is allowed."""

from pydantic import Field

from infra.config.types import Label, Model, Network, ServiceName


class Egress(Model):
    """Where connections may go. DNS always is allowed."""

    internet: bool = Field(False, description="true or false: public addresses", examples=[True])
    namespaces: list[Label] = Field([], description="namespaces of the cluster", examples=[["redis"]])
    networks: list[Network] = Field(
        [], description="addresses and CIDR blocks outside of the cluster", examples=[["10.108.0.0/20"]]
    )


class ServiceEgress(Egress):
    """A service may use the internet unless it is told not to, and other services if it is told so."""

    internet: bool = Field(True, description="true or false: public addresses", examples=[False])
    services: list[ServiceName] = Field([], description="services of the stack", examples=[["bar"]])


class Ingress(Model):
    """Where connections may come from. The gateway always is allowed."""

    namespaces: list[Label] = Field([], description="namespaces of the cluster", examples=[["monitoring"]])
