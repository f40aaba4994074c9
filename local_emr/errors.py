"""The errors that the API answers with."""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than success.

    Attributes:
        code: The exception's name in EMR's API, by which clients tell errors apart.
        status: The HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def validation_error(message: str) -> ApiError:
    """The request makes no sense, or the cluster's state does not allow it."""
    return ApiError("ValidationException", message)


def invalid_request(message: str) -> ApiError:
    """The request names something that is not there."""
    return ApiError("InvalidRequestException", message)
