"""Signatures of the second-factor API: what both sides make a digest of, and how a service checks one.

A request names neither its form nor its hash. A service infers the hash from the digest's length, and tries the forms
that it allows. Each line is made of what was sent, octet for octet: nothing is parsed and written anew, except the
parameters, whose form on the wire (space as `+`) differs from the one that is signed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from enum import IntEnum
from hashlib import sha512
from urllib.parse import parse_qsl, quote

from authproxy.protocols.cloud.dates import MalformedDate, read_date
from authproxy.secret import Secret
from authproxy.values import light_dataclass

WINDOW = 300.0  # seconds that a date may be off
_MOST_PARAMETERS = 256
_HASH_OF = {128: "sha512", 40: "sha1"}  # by hexadecimal digits
_BLOCK = 128  # octets that SHA-512 takes at a time
_FORM = "application/x-www-form-urlencoded"
_HASH_OF_NOTHING = sha512(b"").hexdigest()
# What a request of nobody we know is held against, so that it takes as long.
_NOBODY = Secret(b"0" * 40)


class Version(IntEnum):
    """The forms that clients sign. There is no third."""

    V1 = 1  # no date: a captured request is valid for ever
    V2 = 2
    V4 = 4
    V5 = 5


# Python 3.11 takes 900 instructions to find a member in its Enum, and a signed call asks for four.
_V1, _V4, _V5 = Version.V1, Version.V4, Version.V5


class Refusal(IntEnum):
    """The service's codes for a request whose signature it doesn't accept."""

    MISSING_CREDENTIALS = 40101
    UNKNOWN_KEY = 40102
    WRONG_SIGNATURE = 40103
    MISSING_TIMESTAMP = 40104
    BAD_TIMESTAMP = 40105


class Unsigned(Exception):
    """The signature doesn't prove who the peer is."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name.lower())
        self.refusal = refusal


# ---- what is signed -----------------------------------------------------------------------------


def canonical_params(pairs: Iterable[tuple[str, str]]) -> str:
    """Line 5 of the signed text: RFC 3986 encoding with %20 for spaces, sorted by encoded name, then
    by encoded value.
    """
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def canonical_headers(headers: Iterable[tuple[str, str]]) -> str:
    """What line 7 hashes: the X-Duo- headers, with NUL between names and values."""
    vendor = sorted((name.lower(), value) for name, value in headers if name.lower().startswith("x-duo-"))
    return "\0".join(part for pair in vendor for part in pair)


def canonical(
    version: Version,
    *,
    date: str,
    method: str,
    host: str,
    path: str,
    params: str,
    body: bytes = b"",
    headers: str = "",
) -> bytes:
    """The text that is signed. `params` and `headers` are canonical already."""
    lines = [method.upper(), host.lower(), path, params]
    if version is not _V1:
        lines.insert(0, date)
    if version >= _V4:
        lines.append(sha512(body).hexdigest())
    if version >= _V5:
        lines.append(sha512(headers.encode()).hexdigest() if headers else _HASH_OF_NOTHING)
    return "\n".join(lines).encode()


def digest_of(skey: Secret, text: bytes, hash_name: str = "sha512") -> str:
    return hmac.digest(skey.reveal(), text, hash_name).hex()


# ---- the client's side ----------------------------------------------------------------------------


class _Keyed:
    """HMAC-SHA-512 (RFC 2104 §2) with the key already in it: each use goes on from copies, at half the price."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= _BLOCK else sha512(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = sha512(bytes(octet ^ 0x36 for octet in block))
        self._outer = sha512(bytes(octet ^ 0x5C for octet in block))

    def hexdigest(self, text: bytes) -> str:
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


@light_dataclass(frozen=True, slots=True)
class Signer:
    """Signs one application's requests, in form v5 without X-Duo headers."""

    ikey: str
    skey: Secret = field(repr=False)
    host: str  # without port
    _keyed: _Keyed = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keyed", _Keyed(self.skey.reveal()))

    def authorization(self, *, date: str, method: str, path: str, params: str = "", body: bytes = b"") -> str:
        """The value of the Authorization header."""
        text = canonical(_V5, date=date, method=method, host=self.host, path=path, params=params, body=body)
        credentials = f"{self.ikey}:{self._keyed.hexdigest(text)}"
        return "Basic " + binascii.b2a_base64(credentials.encode("ascii"), newline=False).decode("ascii")


# ---- the service's side ---------------------------------------------------------------------------


@light_dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived. `host` without port, `path` without query."""

    method: str
    host: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """The header's value; '' if there is none."""
        return next((value for found, value in self.headers if found.lower() == name), "")


@light_dataclass(frozen=True, slots=True)
class Signed:
    """Who signed, in which form: v4 and v5 sign the query and the body's octets, v1 and v2 either query or form."""

    ikey: str
    version: Version


def verify(
    received: Received, *, skey_of: Callable[[str], Secret | None], now: float, legacy: bool = False
) -> Signed:
    """Raises Unsigned. `now` is in Unix seconds.

    `legacy` allows what some packaged clients have no other of: v1, and v2 with SHA-1. Signatures are not remembered:
    dates count whole seconds, and clients send the same octets again when they try again.
    """
    ikey, digest = _credentials(received.header("authorization"))
    date = received.header("x-duo-date") or received.header("date")
    known = skey_of(ikey)
    version = _version_signed(received, date, known or _NOBODY, digest, legacy=legacy)
    if known is None:
        raise Unsigned(Refusal.UNKNOWN_KEY)
    if version is None:
        raise Unsigned(Refusal.WRONG_SIGNATURE if date else Refusal.MISSING_TIMESTAMP)
    if version is not Version.V1:
        _check_date(date, now)
    return Signed(ikey, version)


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise Unsigned(Refusal.MISSING_CREDENTIALS) from None
    ikey, colon, digest = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise Unsigned(Refusal.MISSING_CREDENTIALS)
    return ikey, digest.lower()


def _allowed(hash_name: str | None, *, legacy: bool, dated: bool) -> Sequence[Version]:
    match hash_name, legacy:
        case "sha512", _:
            versions = [Version.V5, Version.V4, Version.V2] if dated else []
            return [*versions, Version.V1] if legacy else versions
        case "sha1", True:
            return [Version.V2, Version.V1] if dated else [Version.V1]
        case _:
            return []


def _version_signed(
    received: Received, date: str, skey: Secret, digest: str, *, legacy: bool
) -> Version | None:
    hash_name = _HASH_OF.get(len(digest))
    for version in _allowed(hash_name, legacy=legacy, dated=bool(date)):
        params = _params_of(received, version)
        if params is None:
            continue
        text = canonical(
            version,
            date=date,
            method=received.method,
            host=received.host,
            path=received.path,
            params=params,
            body=received.body,
            headers=canonical_headers(received.headers) if version is Version.V5 else "",
        )
        if hmac.compare_digest(digest_of(skey, text, hash_name or "").encode(), digest.encode()):
            return version
    return None


def _params_of(received: Received, version: Version) -> str | None:
    """Line 5, or None when this form would leave something unsigned that the request carries."""
    if version >= Version.V4:
        return _canonical_of(received.query)
    if not received.body:
        return _canonical_of(received.query)
    is_form = received.header("content-type").partition(";")[0].strip().lower() == _FORM
    if received.query or not is_form:
        return None
    try:
        return _canonical_of(received.body.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def _canonical_of(encoded: str) -> str | None:
    pairs = parse_params(encoded)
    return None if pairs is None else canonical_params(pairs)


def parse_params(encoded: str) -> list[tuple[str, str]] | None:
    """The pairs of a query or a form; blank values are kept. None if it can't be parsed."""
    try:
        return parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        return None


def _check_date(date: str, now: float) -> None:
    try:
        sent = read_date(date)
    except MalformedDate:
        raise Unsigned(Refusal.BAD_TIMESTAMP) from None
    if abs(sent - now) > WINDOW:
        raise Unsigned(Refusal.BAD_TIMESTAMP)
