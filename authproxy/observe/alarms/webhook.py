"""Sends an alarm by HTTP POST, over verified TLS, signed."""

from __future__ import annotations

import contextlib
import hmac
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from authproxy.observe.alarms.hook import NotDelivered
from authproxy.secret import Secret
from authproxy.values import light_dataclass

PATIENCE = 10.0  # seconds for one try, beside what the look-up of the name takes (A6)
_AGAIN = frozenset({408, 429})  # of 4xx; every 5xx is tried again as well


class UnusableWebhook(Exception):
    """The URL is invalid, or the CA file can't be read; the administrator has to act. The text doesn't
    contain the URL.
    """


@light_dataclass(frozen=True, slots=True)
class Target:
    """Where to send. The URL's path may be a secret (many services put one there), so it is never shown."""

    secure: bool
    host: str
    port: int
    path: str = field(repr=False)

    @classmethod
    def of(cls, url: str) -> Target:
        """Raises UnusableWebhook."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UnusableWebhook("not a URL") from None
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise UnusableWebhook("not a URL such as https://alarms.example.com/authproxy")
        if (
            parts.username is not None
            or parts.fragment
            or not url.isascii()
            or not url.isprintable()
            or " " in url
        ):
            raise UnusableWebhook("has a user name, a fragment, or a character that no URL has")
        secure = parts.scheme == "https"
        query = f"?{parts.query}" if parts.query else ""
        return cls(secure, parts.hostname, port or (443 if secure else 80), (parts.path or "/") + query)

    @property
    def is_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Webhook:
    """`token`: sent as a bearer token; `key`: signs time and body, so that an alarm can't be replayed for long."""

    name = "webhook"
    pauses: Sequence[float] = (1.0, 4.0)

    def __init__(
        self,
        target: Target,
        *,
        token: Secret | None = None,
        key: Secret | None = None,
        ca_file: Path | None = None,
        patience: float = PATIENCE,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`ca_file` None: the system's CAs. Raises UnusableWebhook."""
        self._target = target
        self._token = token
        self._key = key
        self._patience = patience
        self._wall_clock = wall_clock
        self._context = _context(ca_file) if target.secure else None

    def deliver(self, octets: bytes) -> None:
        """Raises NotDelivered."""
        connection = self._connection()
        # http.client's own limit is for each read; somebody who drips octets would outlast it.
        watch = threading.Timer(self._patience, _cut, [connection])
        watch.daemon = True
        watch.start()
        try:
            connection.request("POST", self._target.path, body=octets, headers=self._headers(octets))
            status = connection.getresponse().status
        except (OSError, HTTPException, ValueError) as error:
            raise NotDelivered(f"{self._target.host}: {_why(error)}") from None
        finally:
            watch.cancel()
            connection.close()
        if not 200 <= status < 300:  # a redirect is not followed: it would carry the token elsewhere
            raise NotDelivered(
                f"{self._target.host}: answered {status}", again=status >= 500 or status in _AGAIN
            )

    def _connection(self) -> HTTPConnection:
        target = self._target
        if self._context is None:
            return HTTPConnection(target.host, target.port, timeout=self._patience)
        return HTTPSConnection(target.host, target.port, timeout=self._patience, context=self._context)

    def _headers(self, octets: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "authproxy"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal().decode('latin-1')}"
        if self._key is not None:
            headers["X-Authproxy-Signature"] = signature(self._key, int(self._wall_clock()), octets)
        return headers


def signature(key: Secret, at: int, body: bytes) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA-256 over `SECONDS.BODY`."""
    return f"t={at},v1={hmac.new(key.reveal(), b'%d.' % at + body, 'sha256').hexdigest()}"


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise UnusableWebhook(f"{ca_file}: {error.strerror or 'holds no certificate in PEM form'}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _cut(connection: HTTPConnection) -> None:
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    """Without what the peer sent, which may be anything."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
