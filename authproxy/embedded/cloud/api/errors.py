"""The errors with which a call can be refused. The HTTP status is the first three digits of the code."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    MISSING_PARAMETER = 40001
    INVALID_PARAMETER = 40002
    MISSING_CREDENTIALS = 40101
    UNKNOWN_KEY = 40102
    WRONG_SIGNATURE = 40103
    MISSING_TIMESTAMP = 40104
    BAD_TIMESTAMP = 40105
    CONTENT_TYPE = 40106
    FORBIDDEN = 40301
    NOT_FOUND = 40401
    TOO_MANY = 42901
    INTERNAL = 50001


MESSAGES = {
    Code.MISSING_PARAMETER: "Missing required request parameters",
    Code.INVALID_PARAMETER: "Invalid request parameters",
    Code.MISSING_CREDENTIALS: "Missing request credentials",
    Code.UNKNOWN_KEY: "Invalid integration key in request credentials",
    Code.WRONG_SIGNATURE: "Invalid signature in request credentials",
    Code.MISSING_TIMESTAMP: "Missing request timestamp",
    Code.BAD_TIMESTAMP: "Bad request timestamp",
    Code.CONTENT_TYPE: "Invalid content type",
    Code.FORBIDDEN: "Access forbidden",
    Code.NOT_FOUND: "Resource not found",
    Code.TOO_MANY: "Too many requests",
    Code.INTERNAL: "Internal server error",
}


class ApiError(Exception):
    """The caller has to act. `detail` names at most the parameter, never its value."""

    def __init__(self, code: Code, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(f"{code.value} {detail}".strip())
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.code.value // 100

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return () if self.retry_after is None else (("Retry-After", str(self.retry_after)),)
