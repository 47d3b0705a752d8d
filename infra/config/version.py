"""What runs of a service: one version, or two with the requests between them, as the stack's configuration has it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from infra.config.errors import Complaint, raise_any
from infra.config.types import IMAGE, EnvironmentName, Model

PROJECT = Path(__file__).resolve().parents[2]
COLOURS: tuple[Literal["blue", "green"], ...] = ("blue", "green")


class Running(NamedTuple):
    """One version of a service with all that it takes from the service."""

    build: str
    image: str
    replicas: int
    env: Mapping[str, str]


class Source(Model):
    """Where an image comes from."""

    build: str = Field("", description="a directory with a Dockerfile", examples=["apps/foo"])
    image: str = Field("", description="an image by tag or digest", examples=["user/foo-microservice:0.1"])
    env: dict[EnvironmentName, str] = Field(
        {},
        description="names of letters, digits and _, with text as values",
        examples=[{"LOG_LEVEL": "info"}],
    )

    def source_complaints(self, example: str) -> Iterator[Complaint]:
        if "PORT" in self.env:
            yield Complaint("env.PORT", self.env["PORT"], "unset: it says what port says", "remove it, and set port")
        if bool(self.build) == bool(self.image):
            problem = "has both build and image" if self.build else "has neither build nor image"
            yield Complaint("", None, "exactly one of them", f"keep for example build: {example}", problem)
        elif self.build and not os.path.isfile(PROJECT / self.build / "Dockerfile"):  # noqa: PTH113 -- Path's raises, where a name is too long
            yield Complaint(
                "build", self.build, "a directory with a Dockerfile", f"add {self.build}/Dockerfile, or set image"
            )
        elif self.image:
            # With a tag that moves, what runs changes without a rollout.
            match = IMAGE.fullmatch(self.image)
            if not match or not (match["digest"] or (match["tag"] or "latest") != "latest"):
                allowed = "an image by its digest, or by a tag that stays (latest doesn't)"
                yield Complaint("image", self.image, allowed, "end it with a tag such as :0.1")


class Version(Source):
    """One version of a service. What it doesn't say is as the service has it."""

    replicas: int | None = Field(None, ge=1, le=100, description="1 to 100", examples=[1])

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        raise_any(self.source_complaints("apps/foo-next"))
        return self

    def over(self, env: Mapping[str, str], replicas: int) -> Running:
        """This version of a service that has such variables and pods."""
        return Running(self.build, self.image, self.replicas or replicas, {**env, **self.env})


class Canary(Version):
    """A version that gets a part of the requests."""

    weight: int = Field(10, ge=0, le=100, description="0 to 100 of a hundred requests", examples=[10])


class BlueGreen(Model):
    """Two versions, one of which gets all requests."""

    blue: Version | None = Field(None, description="build or image", examples=[{"build": "apps/foo"}])
    green: Version | None = Field(None, description="build or image", examples=[{"build": "apps/foo-next"}])
    live: Literal["blue", "green"] = Field(description="blue or green", examples=["blue"])

    @property
    def versions(self) -> Mapping[str, Version]:
        return {colour: version for colour in COLOURS if (version := getattr(self, colour))}

    @model_validator(mode="after")
    def _live_one_runs(self) -> Self:
        if self.live not in self.versions:
            fix = f"add {self.live}: {{build: apps/foo}}"
            raise_any([Complaint("live", self.live, "one that is there", fix)])
        return self
