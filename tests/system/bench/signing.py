"""The cloud's side of a request's signature, for the tests alone: forms v5, v4 and v2 with SHA-512."""

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

WINDOW = 300


class Unsigned(Exception):
    """`code` is the service's own: 401xx."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def _canonical(pairs: Sequence[tuple[str, str]]) -> str:
    quoted = sorted((quote(key, safe="~"), quote(value, safe="~")) for key, value in pairs)
    return "&".join(f"{key}={value}" for key, value in quoted)


def _sha512(octets: bytes) -> str:
    return hashlib.sha512(octets).hexdigest()


def check(
    method: str,
    host: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    ikey: str,
    skey: str,
    *,
    skew: float = 0,
) -> None:
    """Raises Unsigned. Header names are lower case; `skew` is how far the service's clock is ahead."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    try:
        who, _, signature = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unsigned(40101, "credentials are not base64") from None
    if scheme != "Basic" or not signature:
        raise Unsigned(40101, "no credentials")
    if who != ikey:
        raise Unsigned(40102, "another integration key")
    date = headers.get("x-duo-date", headers.get("date"))
    if date is None:
        raise Unsigned(40104, "no date")
    path, _, query = target.partition("?")
    lines = [date, method.upper(), host.lower(), path]
    params = parse_qsl(query, keep_blank_values=True)
    extra = sorted((name, value) for name, value in headers.items() if name.startswith("x-duo-"))
    extension = "\0".join(part for pair in extra for part in pair)
    v4 = [*lines, _canonical(params), _sha512(body)]
    form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    pairs = parse_qsl(body.decode(), keep_blank_values=True) if form else []
    forms = [[*v4, _sha512(extension.encode())], v4, [*lines, _canonical(params + pairs)]]
    digests = [hmac.new(skey.encode(), "\n".join(form).encode(), "sha512").hexdigest() for form in forms]
    if not any(hmac.compare_digest(signature, digest) for digest in digests):
        raise Unsigned(40103, "wrong signature")
    stamp = email.utils.parsedate_to_datetime(date).timestamp()
    if abs(time.time() + skew - stamp) > WINDOW:
        raise Unsigned(40105, "bad timestamp")


def parameters(target: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """A request's parameters as text, wherever they stand."""
    _, _, query = target.partition("?")
    found = dict(parse_qsl(query, keep_blank_values=True))
    if headers.get("content-type", "").startswith("application/json"):
        found |= {key: str(value) for key, value in json.loads(body or b"{}").items()}
    elif body:
        found |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    return found
