"""Constrained types of the configuration.

A field's description is the *allowed* part of its error message, its first example the *fix*.
"""

import ipaddress
import re
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from infra.config.errors import ConfigError, raise_if_any

_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
Label = Annotated[
    str,
    Field(
        pattern=_LABEL,
        max_length=63,
        description="lower-case letters, digits and hyphens, from a letter, at most 63",
    ),
]
Namespace = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        max_length=63,
        description="lower-case letters, digits and hyphens, at most 63",
    ),
]
# The longest name derived from a service's is <name>-deployment, and Kubernetes allows 63 characters.
LONGEST_NAME = 63 - len("-deployment")
ServiceName = Annotated[
    str,
    Field(
        pattern=_LABEL,
        max_length=LONGEST_NAME,
        description="lower-case letters, digits and hyphens, from a letter, at most 52",
        examples=["foo"],
    ),
]


def default_pool_name(cluster: str) -> str:
    """Returns the name of a cluster's default pool on DigitalOcean."""
    return f"{cluster}-default-pool"


# The longest name derived from a cluster's is that of a node of its default pool, which is a label as well.
ClusterName = Annotated[
    str,
    Field(
        pattern=_LABEL,
        max_length=63 - len(f"{default_pool_name('')}-12345"),
        description="lower-case letters, digits and hyphens, from a letter, at most 44",
        examples=["mycluster"],
    ),
]
UrlPath = Annotated[
    str,
    Field(
        pattern=r"^/(\.?[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/\.?[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)?$",
        max_length=1024,  # an HTTPRoute's limit
        description='a path from "/" on, of letters, digits and ._~-, without "." or ".." in it or a "/" at its end',
        examples=["/foo"],
    ),
]
# The kubelet parses the path as a URL, so a slash at its end and a query are allowed; after two slashes comes a host.
ProbePath = Annotated[
    str, Field(pattern=r"^/([A-Za-z0-9._~!$&'()*+,;=:@%?-][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$", max_length=1024)
]
_DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = rf"({_DNS_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?"
_as_written = BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value)
"""Accepts a quantity that YAML reads as a number: 1.50 and 1.5 are equal."""
_LONGEST_QUANTITY = 24
"""Characters: a longer number may be infinite to Python."""
Cpu = Annotated[
    str,
    _as_written,
    Field(
        pattern=r"^[0-9]+(\.[0-9]{1,3})?$|^[0-9]+m$",
        max_length=_LONGEST_QUANTITY,
        description="cores, such as 0.5 or 2, or thousandths of one with m",
        examples=["250m"],
    ),
]
MIN_MEMORY = "8Mi"
"""Containers with less don't start: creating one takes some MiB."""
# Kubernetes accepts thousandths of a byte (m) as well, which is never intended.
Memory = Annotated[
    str,
    _as_written,
    Field(
        pattern=r"^[0-9]+(\.[0-9]+)?([kMGT]|[KMGT]i)?$",
        max_length=_LONGEST_QUANTITY,
        description="bytes with k, M, G, Ki, Mi or Gi",
        examples=["128Mi"],
    ),
]


def _has_host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not re.fullmatch(rf"{_DNS_LABEL}(\.{_DNS_LABEL})*\.?", host) or parts.port == 0:
        raise ValueError(url)
    if host.replace(".", "").isdecimal():
        ipaddress.IPv4Address(host)
    return url


Url = Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(_has_host_and_port)]
"""A URL whose host is a name or an IPv4 address."""
ChartRepository = Annotated[str, Field(pattern=r"^https?://\S+$", description="a chart repository's URL")]


def _is_text(value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
    """Refuses numbers: Pydantic converts true to 0.0.0.1."""
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 -- Pydantic reports no TypeError
    return value


def _is_network(value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
    """Refuses what Kubernetes, Kong and DigitalOcean take for no network, although Python does."""
    text = _is_text(value)
    network = ipaddress.ip_network(text, strict=False)
    first = network.network_address
    if isinstance(first, ipaddress.IPv6Address) and (first.scope_id or first.ipv4_mapped):
        raise ValueError(value)
    address = text.partition("/")[0]
    if ipaddress.ip_address(address) != first:
        allowed = "the first address of a network before the slash"
        raise_if_any([ConfigError("", text, allowed, f"write {network}", "has host bits")])
    return text


Network = Annotated[IPvAnyNetwork, BeforeValidator(_is_network)]
Ipv4Network = Annotated[ipaddress.IPv4Network, BeforeValidator(_is_network)]
# Kong allows fewer characters than HTTP (RFC 9110, 5.6.2).
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
# Every version of Kubernetes allows "." and "-", which Spring's settings have. 1.34 and later allow more.
EnvironmentName = Annotated[str, Field(pattern=r"^([-_A-Za-z]|\.[-_A-Za-z0-9])[-._A-Za-z0-9]*$")]
# The form of the OCI distribution specification: <host>/<path>:<tag>@<digest>.
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_HOST = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*(:[0-9]{{1,5}})?"
IMAGE = re.compile(
    rf"(?P<name>({_HOST}/)?{_COMPONENT}(/{_COMPONENT})*)(:(?P<tag>\w[\w.-]{{0,127}}))?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
LONGEST_IMAGE_NAME = 255
# A first part without a dot or a port would be a path on Docker Hub.
REPOSITORY_PREFIX = (
    rf"^(localhost|{_DNS_LABEL}:[0-9]{{1,5}}|{_DNS_LABEL}(\.{_DNS_LABEL})+(:[0-9]{{1,5}})?)(/{_COMPONENT})*$"
)

_UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str) -> float:
    """Returns a Kubernetes quantity as a number of cores or bytes."""
    unit = text.lstrip("0123456789.")
    return float(text.removesuffix(unit)) * _UNITS[unit]


class Model(BaseModel):
    """A section of the configuration, with keys in camelCase; unknown keys are errors."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)
    _is_secret: bool = PrivateAttr(default=False)

    @property
    def is_secret(self) -> bool:
        """True if anything below the section's top-level key was set with `--secret`."""
        return self._is_secret

    def mark_secret(self) -> None:
        self._is_secret = True

    @field_validator("*", mode="before")
    @classmethod
    def _reject_booleans_as_numbers(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 -- any field's
        """Refuses `true` for a number, which Pydantic converts to 1."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and {int, float} & {annotation, *get_args(annotation)}:
            raise ValueError(value)
        return value


def read_switch(value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
    """Reads true as a section with its defaults, and false as none."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value
