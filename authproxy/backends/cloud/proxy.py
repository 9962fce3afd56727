"""The way through an outbound HTTP proxy: CONNECT (RFC 9110 §9.3.6), with Basic credentials (RFC 7617); T7.

A proxy that can't reach the cloud says so with a gateway's status, and that is an outage. One that refuses, or lies,
is none (F3). What the environment says of proxies is not read anywhere.
"""

from __future__ import annotations

import base64
import re
from dataclasses import field
from http import HTTPStatus
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.backends.cloud.failures import BrokenReply, NoReply, ReplyTimeout
from authproxy.backends.cloud.stream import Stream
from authproxy.backends.tls import describe
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.secret import Secret
from authproxy.values import light_dataclass

MAX_HEAD = 16 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_GATEWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


@light_dataclass(frozen=True, slots=True)
class OutboundProxy:
    host: str
    port: int = 80
    username: str = ""
    password: Secret | None = field(default=None, repr=False)


def connect_request(proxy: OutboundProxy, host: str, port: int) -> bytes:
    """The request that asks the proxy for a tunnel."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    head = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n".encode("ascii")
    if proxy.username:
        password = proxy.password.reveal() if proxy.password is not None else b""
        credentials = base64.b64encode(proxy.username.encode() + b":" + password)
        head += b"Proxy-Authorization: Basic " + credentials + b"\r\n"
    return head + b"\r\n"


async def ask_for_tunnel(
    reactor: Any, stream: Stream, proxy: OutboundProxy, host: str, port: int, deadline: float
) -> None:
    """Return when the proxy has answered 2xx. `deadline`: the reactor's seconds. Raises CloudFailure."""
    tunnel = _Tunnel(stream)
    timer = reactor.callLater(max(0.0, deadline - reactor.seconds()), tunnel.timed_out)
    stream.receiver = tunnel
    stream.write(connect_request(proxy, host, port))
    try:
        status = await tunnel.answered
    finally:
        if timer.active():
            timer.cancel()
    if not 200 <= status < 300:
        failure = FailureClass.UNREACHABLE if status in _GATEWAY else FailureClass.REQUEST
        raise CloudFailure(failure, f"the HTTP proxy answered {status}")


class _Tunnel:
    """The proxy's one reply."""

    def __init__(self, stream: Stream) -> None:
        self.answered: Deferred[int] = Deferred(lambda _: stream.close())
        self._head = b""

    def received(self, octets: bytes) -> None:
        self._head += octets
        head, end, behind = self._head.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD:
            self._fail(BrokenReply(f"the HTTP proxy sent a head of more than {MAX_HEAD} octets"))
        elif end:
            self._read(head.partition(b"\r\n")[0], behind)

    def ended(self, error: Exception | None) -> None:
        said = "connection closed" if error is None else describe(error)
        if self._head:
            self._fail(BrokenReply(f"the HTTP proxy's reply was cut short: {said}"))
        else:
            self._fail(NoReply(f"no reply of the HTTP proxy: {said}"))

    def timed_out(self) -> None:
        if self._head:
            self._fail(BrokenReply("the HTTP proxy didn't finish its reply in time"))
        else:
            self._fail(ReplyTimeout("no reply of the HTTP proxy in time"))

    def _read(self, status_line: bytes, behind: bytes) -> None:
        found = _STATUS_LINE.fullmatch(status_line)
        if found is None:
            self._fail(BrokenReply("the proxy doesn't speak HTTP"))
        elif behind and found[1].startswith(b"2"):
            # The cloud speaks only when spoken to: these are the proxy's own words.
            self._fail(BrokenReply("the HTTP proxy put something behind its reply"))
        elif not self.answered.called:
            self.answered.callback(int(found[1]))

    def _fail(self, failure: CloudFailure) -> None:
        if not self.answered.called:
            self.answered.errback(failure)
