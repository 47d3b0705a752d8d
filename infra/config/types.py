"""What configuration is made of.

People are told a field's description as what is allowed, and its example as the fix.
"""

import ipaddress
import re
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
Label = Annotated[
    str,
    Field(
        pattern=_LABEL,
        max_length=63,
        description="lower-case letters, digits and hyphens, from a letter, at most 63",
    ),
]
# The longest name made of a service's is <name>-deployment, and Kubernetes allows 63 characters.
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
# The longest name made of a cluster's is that of a node, <name>-default-pool-12345, which is a label as well.
ClusterName = Annotated[
    str,
    Field(
        pattern=_LABEL,
        max_length=63 - len("-default-pool-12345"),
        description="lower-case letters, digits and hyphens, from a letter, at most 44",
        examples=["mycluster"],
    ),
]
UrlPath = Annotated[
    str,
    Field(
        pattern=r"^/(\.?[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/\.?[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*)?$",
        description='a path from "/" on, of letters, digits and ._~-, without "." or ".." in it or a "/" at its end',
        examples=["/foo"],
    ),
]
DOMAIN = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
Quantity = Annotated[
    str,
    Field(
        pattern=r"^[0-9]+(\.[0-9]+)?(m|[kMGT]|[KMGT]i)?$",
        description="a Kubernetes quantity: a number, then m, k, M, G, Ki, Mi, Gi or nothing",
        examples=["250m", "128Mi"],
    ),
]


def _has_host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", host) or parts.port == 0:
        raise ValueError(url)
    if host.replace(".", "").isdecimal():
        ipaddress.IPv4Address(host)
    return url


Url = Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(_has_host_and_port)]
"""Of a name or an IPv4 address."""
ChartRepository = Annotated[str, Field(pattern=r"^https?://\S+$", description="a chart repository's URL")]
# HTTP allows more characters (RFC 9110, 5.6.2), Kong doesn't.
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
# As the OCI distribution specification has it: <host>/<path>:<tag>@<digest>.
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"([a-z0-9.-]+(:[0-9]+)?/)?{_COMPONENT}(/{_COMPONENT})*(:(?P<tag>\w[\w.-]*))?(?P<digest>@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)
# A first part without a dot or a port would be taken for a path on Docker Hub.
REPOSITORY_PREFIX = rf"^(localhost|[a-z0-9-]+:[0-9]+|[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]+)?)(/{_COMPONENT})*$"

_UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number: cores or bytes."""
    unit = text.lstrip("0123456789.")
    return float(text.removesuffix(unit)) * _UNITS[unit]


class Model(BaseModel):
    """A section of the configuration, with keys in camelCase; unknown keys are errors."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, coerce_numbers_to_str=True)
    _is_secret: bool = PrivateAttr(default=False)

    @property
    def is_secret(self) -> bool:
        """Whether anything below the section's top-level key was set with `--secret`."""
        return self._is_secret

    def mark_secret(self) -> None:
        self._is_secret = True

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_is_a_number(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 -- any field's
        """Pydantic would take `true` for 1."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and {int, float} & {annotation, *get_args(annotation)}:
            raise ValueError(value)
        return value


def read_switch(value: Any) -> Any:  # noqa: ANN401 -- any value of a stack file
    """Reads true as a section with its defaults, and false as none."""
    return {True: {}, False: None}[value] if isinstance(value, bool) else value
