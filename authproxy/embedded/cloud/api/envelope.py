"""The envelope that every answer comes in."""

from __future__ import annotations

import json
from typing import Any

from authproxy.embedded.cloud.api.errors import MESSAGES, ApiError
from authproxy.embedded.cloud.web import Reply

_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


def succeeded(response: Any) -> Reply:
    return _json(200, {"stat": "OK", "response": response})


def refused(error: ApiError) -> Reply:
    body = {"stat": "FAIL", "code": error.code.value, "message": MESSAGES[error.code]}
    if error.detail:
        body["message_detail"] = error.detail
    wait = () if error.retry_after is None else (("Retry-After", str(error.retry_after)),)
    return _json(error.code.value // 100, body, wait)


def _json(status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    return Reply(status, json.dumps(body).encode(), "application/json", (*_HEADERS, *headers))
