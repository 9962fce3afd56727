"""The parameters of a call, from a query, a form or a JSON object; each is limited in length."""

from __future__ import annotations

import json
from collections.abc import Mapping

from authproxy.embedded.cloud.api.errors import ApiError, Code
from authproxy.embedded.cloud.web import Call
from authproxy.protocols.cloud.signing import parse_params

_MOST = 64
_DEFAULT_LIMIT = 1024  # characters
_FORM = "application/x-www-form-urlencoded"


class Parameters:
    """Texts by name. Numbers and booleans, which v5 clients can send, are text here too."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, name: str, most: int = _DEFAULT_LIMIT) -> str:
        """The value; '' if there is none. Raises ApiError if it is longer than `most` characters, or contains a NUL."""
        value = self._values.get(name, "")
        if len(value) > most or "\0" in value:
            raise ApiError(Code.INVALID_PARAMETER, name)
        return value

    def need(self, name: str, most: int = _DEFAULT_LIMIT) -> str:
        """The value. Raises ApiError if it is missing or empty."""
        value = self.get(name, most)
        if not value:
            raise ApiError(Code.MISSING_PARAMETER, name)
        return value

    def flag(self, name: str) -> bool:
        return self.get(name).lower() in {"1", "true"}

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self.get(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and least <= int(text[:12]) <= most):
            raise ApiError(Code.INVALID_PARAMETER, name)
        return int(text)


def read_parameters(call: Call) -> Parameters:
    """Raises ApiError."""
    if call.oversize:
        raise ApiError(Code.INVALID_PARAMETER, "body is too large")
    if call.method in {"GET", "HEAD", "DELETE"}:
        return Parameters(_pairs(call.query))
    kind = call.header("content-type").partition(";")[0].strip().lower()
    if kind == "application/json":
        return Parameters(_json(call.body))
    if kind in {_FORM, ""}:
        return Parameters(_pairs(call.body.decode("utf-8", "replace")))
    raise ApiError(Code.CONTENT_TYPE)


def _pairs(encoded: str) -> dict[str, str]:
    pairs = parse_params(encoded)  # the same that were signed
    if pairs is None or len(pairs) > _MOST:
        raise ApiError(Code.INVALID_PARAMETER, "these can't be read")
    return dict(pairs)


def _json(body: bytes) -> dict[str, str]:
    try:
        decoded = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ApiError(Code.INVALID_PARAMETER, "body is not JSON") from None
    if not isinstance(decoded, dict) or len(decoded) > _MOST:
        raise ApiError(Code.INVALID_PARAMETER, "body is not an object")
    return {name: _text(name, value) for name, value in decoded.items() if value is not None}


def _text(name: str, value: object) -> str:
    match value:
        case str():
            # A lone surrogate is no text: nothing could store or show it.
            if any("\ud800" <= character <= "\udfff" for character in value):
                raise ApiError(Code.INVALID_PARAMETER, name)
            return value
        case bool():
            return "1" if value else "0"
        case int():
            return str(value)
        case _:
            raise ApiError(Code.INVALID_PARAMETER, name)
