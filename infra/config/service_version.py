"""A version of a service: its image and variables, canaries, blue and green."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from infra.config.build_folder import unhashable
from infra.config.errors import ConfigError, raise_if_any
from infra.config.scaling import PodAutoscale
from infra.config.types import IMAGE, LONGEST_IMAGE_NAME, EnvironmentName, Model

LONGEST_VARIABLE = 128 << 10
"""Bytes of name and value: MAX_ARG_STRLEN of Linux."""
PROJECT = Path(__file__).resolve().parents[2]
COLOURS: tuple[Literal["blue", "green"], ...] = ("blue", "green")


class ResolvedVersion(NamedTuple):
    """One version of a service, with the service's values where it has none of its own."""

    build: str
    image: str
    replicas: int
    """The number of pods, or what an autoscaler starts from."""
    env: Mapping[str, str]
    autoscale: PodAutoscale | None = None

    @property
    def max_replicas(self) -> int:
        return self.autoscale.max if self.autoscale else self.replicas


class Source(Model):
    """The image of a version, built or existing, and its variables."""

    build: str = Field("", description="a directory with a Dockerfile", examples=["apps/foo"])
    image: str = Field("", description="an image by tag or digest", examples=["user/foo-microservice:0.1"])
    env: dict[EnvironmentName, str] = Field(
        {},
        description="names of letters, digits and ._-, not from a digit, with text as values",
        examples=[{"LOG_LEVEL": "info"}],
    )

    def source_errors(self, example: str) -> Iterator[ConfigError]:
        for name, value in self.env.items():
            if len(f"{name}={value}".encode()) >= LONGEST_VARIABLE:
                allowed = f"less than {LONGEST_VARIABLE >> 10} KiB: Linux starts no process with a longer one"
                yield ConfigError(f"env.{name}", None, allowed, "have the service read it from elsewhere")
        if "PORT" in self.env:
            yield ConfigError("env.PORT", self.env["PORT"], "unset: port sets it", "remove it, and set port")
        if bool(self.build) == bool(self.image):
            problem, verb = (
                ("has both build and image", "keep") if self.build else ("has neither build nor image", "add")
            )
            yield ConfigError("", None, "exactly one of them", f"{verb} for example build: {example}", problem)
        elif self.build and not os.path.isfile(PROJECT / self.build / "Dockerfile"):  # noqa: PTH113 -- Path's raises, where a name is too long
            yield ConfigError(
                "build", self.build, "a directory with a Dockerfile", f"add {self.build}/Dockerfile, or set image"
            )
        elif self.build:
            allowed, fix = "files, folders and links to existing ones", "remove it, or have .dockerignore leave it out"
            for problem in unhashable(PROJECT / self.build):
                yield ConfigError("build", self.build, allowed, fix, f"holds what can't be built: {problem}")
        elif self.image:
            yield from self._image_errors()

    def _image_errors(self) -> Iterator[ConfigError]:
        match = IMAGE.fullmatch(self.image)
        if not match or len(match["name"]) > LONGEST_IMAGE_NAME:
            allowed = "a registry's host, a path in lower case, a tag or a digest, as in ghcr.io/user/app:0.1"
            lower = self.image.partition("://")[2].lower() or self.image.lower()
            fix = "write for example user/foo-microservice:0.1"
            if IMAGE.fullmatch(lower):
                fix = "write it in lower case, without https://"
            yield ConfigError("image", self.image, allowed, fix, "is not the name of an image")
        # With a tag that moves, new pods may run another image without a rollout.
        elif not (match["digest"] or (match["tag"] or "latest") != "latest"):
            allowed = "an image by its digest, or by a tag that stays (latest doesn't)"
            yield ConfigError("image", self.image, allowed, "end it with a tag such as :0.1")


class Version(Source):
    """One version of a service. The service's values apply where it has none."""

    replicas: int | None = Field(None, ge=1, le=100, description="1 to 100", examples=[1])

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        raise_if_any(self.source_errors("apps/foo-next"))
        return self

    def with_defaults_of(self, service: ResolvedVersion) -> ResolvedVersion:
        """Resolves this version with its service's variables, and number of pods where it has none of its own."""
        version = service._replace(build=self.build, image=self.image, env={**service.env, **self.env})
        return version._replace(replicas=self.replicas, autoscale=None) if self.replicas else version


class Canary(Version):
    """A version that receives a part of the requests."""

    weight: int = Field(10, ge=0, le=100, description="0 to 100 of a hundred requests", examples=[10])


class BlueGreen(Model):
    """Two versions, one of which receives all requests."""

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
            raise_if_any([ConfigError("live", self.live, ", ".join(self.versions), fix)])
        return self
