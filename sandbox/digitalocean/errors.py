"""Refusals in the API's own form."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar

T = TypeVar("T")


class ApiError(Exception):
    """Becomes an answer with this status, and a body of id, message and request_id."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def id(self) -> str:
        """The status in words: 404 -> not_found. DigitalOcean has its own for 500 and 422."""
        own = {500: "server_error", 422: "unprocessable_entity"}
        return own.get(self.status) or HTTPStatus(self.status).phrase.lower().replace(" ", "_")


class NotFoundError(ApiError):
    STATUS = 404

    def __init__(self) -> None:
        super().__init__(self.STATUS, "The resource you were accessing could not be found.")


def find(documents: Mapping[str, T], identifier: str) -> T:
    """Raises NotFoundError."""
    if identifier not in documents:
        raise NotFoundError
    return documents[identifier]
