"""Who calls: the signature of a request, checked over what was received and never over what it would look like anew.

The version isn't told on the wire: a digest's length names its hash, then the forms that are allowed are tried.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha512
from urllib.parse import parse_qsl, quote

from authproxy.embedded.cloud.api.errors import ApiError, Code
from authproxy.embedded.cloud.model import Application, WallClock
from authproxy.embedded.cloud.store.applications import Applications
from authproxy.embedded.cloud.web import Call
from authproxy.secret import Secret

_WINDOW = 300.0  # seconds a date may be off
_HASHES = {128: "sha512", 40: "sha1"}
# Against which a call of nobody we know is checked, so that the answer takes as long.
_NOBODY = Secret(b"0" * 40)


@dataclass(frozen=True, slots=True)
class Forms:
    """Which signatures count. The legacy ones are for clients that have no other: no date, or SHA-1."""

    legacy: bool = False

    def of(self, digest: str) -> Sequence[int]:
        match _HASHES.get(len(digest)), self.legacy:
            case "sha512", False:
                return (5, 4, 2)
            case "sha512", True:
                return (5, 4, 2, 1)
            case "sha1", True:
                return (2, 1)
            case _:
                return ()


class Authenticity:
    """Checks each call. It keeps no memory of signatures: clients send the same one again when they try again."""

    def __init__(self, applications: Applications, clock: WallClock, *, legacy: bool) -> None:
        self._applications = applications
        self._clock = clock
        self._forms = Forms(legacy)

    def check(self, call: Call) -> Application:
        """The application that signed this. Raises ApiError."""
        ikey, digest = _credentials(call)
        known = self._applications.credentials(ikey)
        skey = _NOBODY if known is None else known.skey
        date = call.header("x-duo-date") or call.header("date")
        signed = [
            version for version in self._forms.of(digest) if _matches(version, call, date, skey, digest)
        ]
        if known is None:
            raise ApiError(Code.UNKNOWN_KEY)
        if not signed:
            raise ApiError(Code.WRONG_SIGNATURE if date or self._forms.legacy else Code.MISSING_TIMESTAMP)
        if signed != [1]:
            self._check_date(date)
        return known.application

    def _check_date(self, date: str) -> None:
        if not date:
            raise ApiError(Code.MISSING_TIMESTAMP)
        try:
            sent = email.utils.parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            raise ApiError(Code.BAD_TIMESTAMP) from None
        if abs(sent - self._clock()) > _WINDOW:
            raise ApiError(Code.BAD_TIMESTAMP)


def _credentials(call: Call) -> tuple[str, str]:
    scheme, _, encoded = call.header("authorization").partition(" ")
    if scheme.lower() != "basic":
        raise ApiError(Code.MISSING_CREDENTIALS)
    try:
        ikey, colon, digest = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(Code.MISSING_CREDENTIALS) from None
    if not colon:
        raise ApiError(Code.MISSING_CREDENTIALS)
    return ikey, digest.lower()


def _matches(version: int, call: Call, date: str, skey: Secret, digest: str) -> bool:
    lines = [] if version == 1 else [date]
    lines += [call.method.upper(), call.host, call.path]
    in_query = call.method.upper() in {"GET", "HEAD", "DELETE"}
    if version in {4, 5}:
        lines += [_line_of(call.query), sha512(call.body).hexdigest()]
    else:
        lines.append(_line_of(call.query if in_query else call.body.decode("utf-8", "replace")))
    if version == 5:
        lines.append(sha512("\0".join(_vendor_headers(call)).encode()).hexdigest())
    expected = hmac.new(skey.reveal(), "\n".join(lines).encode(), _HASHES[len(digest)]).hexdigest()
    return hmac.compare_digest(expected.encode(), digest.encode())


def _line_of(encoded: str) -> str:
    """Decoded and encoded again: what is sent differs from what is signed (space as `+`)."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=64)
    except ValueError:
        return ""
    quoted = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in quoted)


def _vendor_headers(call: Call) -> Iterator[str]:
    found = {name.lower(): value for name, value in call.headers if name.lower().startswith("x-duo-")}
    for name in sorted(found):
        yield from (name, found[name])
