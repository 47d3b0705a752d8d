"""Policies that have keys of their own: rate limit, CORS, bots, maintenance, time-outs."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from infra.config.errors import ConfigError, raise_if_any
from infra.config.types import HeaderName, Model, read_switch

# Kong treats anything else as a regular expression; browsers send hosts in lower case.
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[a-z0-9.-]+(:[0-9]+)?)$")]


class RateLimit(Model):
    """Limits the requests in each time window; Kong answers more of them with 429."""

    second: int | None = Field(None, ge=1, description="requests a second, from 1", examples=[10])
    minute: int | None = Field(None, ge=1, description="requests a minute, from 1", examples=[60])
    hour: int | None = Field(None, ge=1, description="requests an hour, from 1", examples=[1000])
    by: Literal["ip", "consumer", "header", "service"] = Field(
        "ip", description="ip, consumer, header or service (all of its requests together)", examples=["consumer"]
    )
    header: HeaderName | None = Field(None, description="a header's name", examples=["X-Tenant"])

    @property
    def windows(self) -> dict[str, int]:
        return {name: limit for name in ("second", "minute", "hour") if (limit := getattr(self, name))}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        raise_if_any(self._errors())
        return self

    def _errors(self) -> Iterator[ConfigError]:
        windows = list(self.windows.items())
        if not windows:
            yield ConfigError(
                "", None, "one of second, minute, hour or several", "add for example minute: 60", "is empty"
            )
        for (short, less), (long, more) in pairwise(windows):
            if more < less:
                yield ConfigError(long, more, f"at least as many as in a {short}", f"write {long}: {less} or more")
        if (self.by == "header") != (self.header is not None):
            yield ConfigError("header", self.header, "a header's name exactly with by: header", "set both or neither")


class Cors(Model):
    """Allows pages of other origins to use the service in a browser."""

    origins: list[Origin] = Field(
        min_length=1,
        description='origins by their own names, such as https://example.com:8443 in lower case, or "*" for all',
        examples=[["https://shop.example.com", "https://www.example.com"]],
    )
    methods: list[Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"]] = Field(
        [], description="HTTP methods (none: all)", examples=[["GET", "POST"]]
    )
    headers: list[HeaderName] = Field([], description="headers that pages may send", examples=[["Authorization"]])
    credentials: bool = Field(False, description="true or false: cookies and the like", examples=[True])
    max_age: int | None = Field(None, ge=0, description="seconds, from 0", examples=[3600])

    @model_validator(mode="after")
    def _credentials_need_names(self) -> Self:
        if self.credentials and "*" in self.origins:
            raise_if_any([ConfigError("credentials", True, "false with every origin", "name the origins")])
        return self


Agent = Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._/+-]+$", max_length=100)]


class BotDetection(Model):
    """Refuses crawlers and HTTP libraries by their User-Agent: Kong's own list, and what `deny` adds to it."""

    allow: list[Agent] = Field(
        [], description="parts of User-Agents, of letters, digits, blanks and ._/+-", examples=[["okhttp", "axios"]]
    )
    deny: list[Agent] = Field(
        [], description="parts of User-Agents, of letters, digits, blanks and ._/+-", examples=[["curl"]]
    )


BotDetectionSwitch = Annotated[
    BotDetection | None, BeforeValidator(read_switch, json_schema_input_type=bool | BotDetection | None)
]


class Termination(Model):
    """Has Kong answer every request itself, for maintenance."""

    status: int = Field(503, ge=200, le=599, description="an HTTP status from 200", examples=[503])
    message: str = Field("Service unavailable", min_length=1, description="a sentence", examples=["Back at noon"])


class Timeouts(Model):
    """Seconds that Kong waits for the service."""

    connect: float | None = Field(
        None, ge=0.001, le=3600, description="seconds, up to 3600 (default 60, with several pods 2)", examples=[5]
    )
    read: float | None = Field(None, ge=0.001, le=3600, description="seconds, up to 3600 (default 60)", examples=[60])
    write: float | None = Field(None, ge=0.001, le=3600, description="seconds, up to 3600 (default 60)", examples=[60])
