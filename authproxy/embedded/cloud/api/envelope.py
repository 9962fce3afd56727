"""The envelope of every answer."""

from __future__ import annotations

import json
from typing import Any

from authproxy.embedded.cloud.api.errors import MESSAGES, ApiError
from authproxy.embedded.cloud.web import Reply

HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def succeeded(response: Any) -> Reply:
    return _json(200, {"stat": "OK", "response": response})


def refused(error: ApiError) -> Reply:
    return _json(error.status, failure(error), error.headers)


def failure(error: ApiError) -> dict[str, str | int]:
    """The envelope of an error."""
    told: dict[str, str | int] = {
        "stat": "FAIL",
        "code": error.code.value,
        "message": MESSAGES[error.code],
    }
    return told | ({"message_detail": error.detail} if error.detail else {})


def _json(status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, json.dumps(body).encode(), "application/json", (*HEADERS, *headers))
