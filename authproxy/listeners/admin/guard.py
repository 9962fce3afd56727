"""Who may read `main.admin`. Every refusal is decided here, before anything is looked up."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import field
from http import HTTPStatus
from ipaddress import ip_address

from authproxy.secret import Secret
from authproxy.values import light_dataclass

# Needs no token: it says nothing but that the event loop turns.
OPEN_PATHS = frozenset({b"/livez"})


@light_dataclass(frozen=True, slots=True)
class Asked:
    """What the guard needs to know of a request. Header values are as sent, None if absent."""

    method: bytes
    path: bytes
    host: bytes | None
    authorization: bytes | None


@light_dataclass(frozen=True, slots=True)
class Refusal:
    status: HTTPStatus
    why: str


@light_dataclass(frozen=True, slots=True)
class Guard:
    """`names`: the host names, beside localhost and IP addresses, that a request's Host header may have."""

    names: frozenset[str] = frozenset()
    token: Secret | None = field(default=None, repr=False)

    def refuses(self, asked: Asked) -> Refusal | None:
        """Why the request is refused. None: it may be answered."""
        if asked.method not in (b"GET", b"HEAD"):
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method")
        if not self._is_us(asked.host):
            return Refusal(HTTPStatus.MISDIRECTED_REQUEST, "host")
        if self.token is None or asked.path in OPEN_PATHS:
            return None
        if not self._knows_token(asked.authorization):
            return Refusal(HTTPStatus.UNAUTHORIZED, "token")
        return None

    def _is_us(self, host: bytes | None) -> bool:
        """DNS rebinding: a page of evil.example, whose name now means 127.0.0.1, still says `Host: evil.example`.

        An address can't be rebound, so any is good.
        """
        if host is None:
            return False
        name = _without_port(host.decode("latin-1")).lower()
        try:
            ip_address(name)
        except ValueError:
            return name == "localhost" or name in self.names
        return True

    def _knows_token(self, authorization: bytes | None) -> bool:
        """`Bearer TOKEN` for programs; Basic with the token as the password, which a browser asks its user for."""
        scheme, _, credentials = (authorization or b"").partition(b" ")
        shown = credentials.strip()
        if scheme.lower() == b"basic":
            try:
                shown = base64.b64decode(shown, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != b"bearer":
            return False
        expected = b"" if self.token is None else self.token.reveal()
        return bool(expected) and hmac.compare_digest(shown, expected)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
