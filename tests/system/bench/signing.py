"""The cloud's side of a request's signature, form v5, for the tests alone (a second opinion, not authproxy's)."""

from __future__ import annotations

import base64
import binascii
import email.utils
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, quote

from tests.system.bench.http1 import HttpRequest

WINDOW = 300  # seconds that a request's date may differ


class Refused(Exception):
    """`code` is the service's own: 400xx, 401xx."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def _canonical(pairs: Sequence[tuple[str, str]]) -> str:
    quoted = sorted((quote(key, safe="~"), quote(value, safe="~")) for key, value in pairs)
    return "&".join(f"{key}={value}" for key, value in quoted)


def _sha512(octets: bytes) -> str:
    return hashlib.sha512(octets).hexdigest()


def signature(request: HttpRequest, host: str, date: str, skey: str) -> str:
    """What the Authorization header has to say, v5."""
    path, _, query = request.target.partition("?")
    extra = sorted((name, value) for name, value in request.headers.items() if name.startswith("x-duo-"))
    extension = "\0".join(part for pair in extra for part in pair)
    params = _canonical(parse_qsl(query, keep_blank_values=True))
    bodies = [_sha512(request.body), _sha512(extension.encode())]
    lines = [date, request.method.upper(), host.lower(), path, params, *bodies]
    return hmac.new(skey.encode(), "\n".join(lines).encode(), "sha512").hexdigest()


def check(request: HttpRequest, host: str, keys: Mapping[str, str], *, skew: float = 0) -> str:
    """The integration key that signed. Raises Refused. `skew`: seconds that the service's clock is ahead."""
    who, given = _credentials(request)
    if who not in keys:
        raise Refused(40102, "another integration key")
    date = request.headers.get("x-duo-date", request.headers.get("date"))
    if date is None:
        raise Refused(40104, "no date")
    expected = signature(request, host, date, keys[who])
    if not hmac.compare_digest(given, expected):
        raise Refused(40103, "wrong signature")
    try:
        stamp = email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        raise Refused(40104, f"date {date!r}") from None
    if abs(time.time() + skew - stamp) > WINDOW:
        raise Refused(40105, "bad timestamp")
    return who


def _credentials(request: HttpRequest) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        who, _, given = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(40101, "credentials are not base64") from None
    if scheme != "Basic" or not given:
        raise Refused(40101, "no credentials")
    return who, given


def parameters(request: HttpRequest) -> dict[str, str]:
    """A request's parameters: of a GET in the target, of a POST in a JSON body, nowhere else. Raises Refused."""
    _, _, query = request.target.partition("?")
    if request.method == "GET":
        if request.body:
            raise Refused(40002, "a GET with a body")
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    if query or request.headers.get("content-type") != "application/json":
        raise Refused(40106, f"Content-Type {request.headers.get('content-type')}, query {query!r}")
    try:
        found = json.loads(request.body)
    except ValueError:
        raise Refused(40002, "the body is not JSON") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refused(40002, "the body is no object of strings")
    return found
