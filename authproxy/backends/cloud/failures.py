"""The failure class of each failed exchange with the cloud. If none fits exactly, it is one that never
lets anyone in.
"""

from __future__ import annotations

from http import HTTPStatus

from authproxy.pipeline.ports import CloudFailure, FailureClass

# What a service or a gateway in front of it says when it is the one that fails.
_SERVER_ERRORS = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class NoReply(CloudFailure):
    """The connection ended before the first octet of the reply."""

    def __init__(self, detail: str) -> None:
        super().__init__(FailureClass.UNREACHABLE, detail)


class ReplyTimeout(CloudFailure):
    """The deadline passed before the first octet of the reply."""

    def __init__(self, detail: str) -> None:
        super().__init__(FailureClass.UNREACHABLE, detail)


class BrokenReply(CloudFailure):
    """A reply began but didn't end, or isn't HTTP."""

    def __init__(self, detail: str) -> None:
        super().__init__(FailureClass.PROTOCOL, detail)


def class_of_status(status: int) -> FailureClass:
    """The class of an HTTP status other than 200."""
    if status in _SERVER_ERRORS:
        return FailureClass.SERVER_ERROR
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return FailureClass.CREDENTIAL
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return FailureClass.OVERLOAD
    # A success that isn't 200 and a redirection were asked for by nobody, and are not followed (T8).
    if 200 <= status < 500:
        return FailureClass.REQUEST
    return FailureClass.PROTOCOL
