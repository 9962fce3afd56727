"""HTTP for the API and the pages: a request becomes one value, an answer is one value. Bounded in every direction.

Twisted's parser, without its resource tree: a target in absolute form (RFC 9112 §3.2.2, what clients send through
an outbound proxy) is split here, once.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import field
from http.cookies import CookieError, SimpleCookie
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory, IReactorTime
from twisted.python.failure import Failure
from twisted.web import http
from zope.interface import implementer

from authproxy.observe.log import Log
from authproxy.values import light_dataclass

MOST_BODY = 131_072  # octets: a `pushinfo` of 20,000 octets, escaped as JSON can escape it
_MOST_FIELDS = 64
_DRAINED = 8 * MOST_BODY  # of a body that is too large this much is read, so that the answer arrives
_PATIENCE = 30.0  # seconds for a whole request, and for an idle connection


@light_dataclass(frozen=True, slots=True)
class Call:
    """One request. `host` is lower-case and without a port, `path` and `query` are as they were sent."""

    method: str
    host: str
    authority: str
    secure: bool
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    peer: str
    oversize: bool = False

    def header(self, name: str) -> str:
        """The first value; '' when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def cookie(self, name: str) -> str:
        jar: SimpleCookie = SimpleCookie()
        with contextlib.suppress(CookieError):
            jar.load(self.header("cookie"))
        return jar[name].value if name in jar else ""

    def form(self) -> Mapping[str, str]:
        """The fields of an urlencoded body; the first of each name. {} for anything else."""
        if not self.header("content-type").startswith("application/x-www-form-urlencoded"):
            return {}
        return fields(self.body.decode("utf-8", "replace"))

    def parameters(self) -> Mapping[str, str]:
        return fields(self.query)


def fields(encoded: str) -> Mapping[str, str]:
    """The first value of each name. {} when there are unreasonably many."""
    found: dict[str, str] = {}
    with contextlib.suppress(ValueError):
        for name, value in parse_qsl(encoded, keep_blank_values=True, max_num_fields=_MOST_FIELDS):
            found.setdefault(name, value)
    return found


@light_dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


@light_dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on: server-sent events. It ends when the events do, or the client goes."""

    events: AsyncIterator[bytes]
    headers: tuple[tuple[str, str], ...] = ()


Answer = Reply | Stream
Handler = Callable[[Call], Awaitable[Answer]]


class _Channel(http.HTTPChannel):
    factory: WebFactory

    def connectionMade(self) -> None:  # noqa: N802 - twisted's name
        self.requestFactory = _Request
        self.factory.opened(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802
        self.factory.closed(self)
        super().connectionLost(reason)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - twisted's name
        """A request line or a header that is no request of anybody's. Twisted would leave its sender waiting."""
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.transport.loseConnection()

    def resetTimeout(self) -> None:  # noqa: N802 - twisted's name
        """Not at every octet: a request that drips in has to be whole when its time is over."""


@implementer(IProtocolNegotiationFactory)
class WebFactory(http.HTTPFactory):
    """Connections of one listening port."""

    protocol = _Channel  # type: ignore[assignment]  # twisted's own would offer HTTP/2, too

    def __init__(
        self,
        handler: Handler,
        *,
        broken: Callable[[str], Reply],
        secure: bool,
        connections: int,
        reactor: IReactorTime,
        log: Log,
    ) -> None:
        """`broken`: what is answered at a path where something of ours went wrong."""
        super().__init__(timeout=_PATIENCE, reactor=reactor)
        self.broken = broken
        self.handler = handler
        self.secure = secure
        self.app_log = log
        self._room = connections
        self._open: set[_Channel] = set()

    def acceptableProtocols(self) -> list[bytes]:  # noqa: N802 - twisted's name
        """For ALPN (RFC 7301), which every browser sends: without an answer to it Twisted ends the handshake."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: N802 - twisted's name
        if len(self._open) >= self._room:
            self.app_log.warn("cloud.connection_refused", connections=len(self._open))
            return None
        return super().buildProtocol(addr)

    def opened(self, channel: _Channel) -> None:
        self._open.add(channel)

    def closed(self, channel: _Channel) -> None:
        self._open.discard(channel)

    def abort_all(self) -> None:
        """Close what is open, at once."""
        for channel in list(self._open):
            channel.forceAbortClient()

    def log(self, request: http.Request) -> None:
        """No access log: the addresses of pages hold codes."""


class _Request(http.Request):
    channel: _Channel
    _oversize = False
    _received = 0
    _asked = ""

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - twisted's name
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - twisted's name
        self._received += len(data)
        if self._received > _DRAINED:
            self.channel.forceAbortClient()
        elif self._oversize or self._received > MOST_BODY:
            self._oversize = True
        elif isinstance(self.content, BytesIO):
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """Everything is there. Twisted's own form parsing stays out: signatures are over raw octets."""
        self.method, self.uri, self.clientproto = command, path, version
        if self.channel.transport is None or self._received > _DRAINED:
            return
        self.process()

    def process(self) -> None:
        factory = self.channel.factory
        work = Deferred.fromCoroutine(self._serve(factory))
        self.notifyFinish().addErrback(lambda _: work.cancel())
        work.addErrback(self._broken, factory)

    async def _serve(self, factory: WebFactory) -> None:
        call = _call(self, secure=factory.secure, oversize=self._oversize)
        if call is None:
            self._send(Reply(400, b"This is no request I can read."))
            return
        self._asked = call.path
        answer = await factory.handler(call)
        match answer:
            case Reply():
                self._send(answer)
            case Stream(events, headers):
                self._begin(
                    200, (("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), *headers)
                )
                async for event in events:
                    self.write(event)
                self.finish()

    def _send(self, reply: Reply) -> None:
        length = ("Content-Length", str(len(reply.body)))
        kind = (("Content-Type", reply.content_type),) if reply.body else ()
        self._begin(reply.status, (length, *kind, *reply.headers))
        self.write(reply.body)
        self.finish()

    def _begin(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        self.setResponseCode(status)
        self.responseHeaders.setRawHeaders("Date", [http.datetimeToString()])
        for name, value in headers:
            self.responseHeaders.addRawHeader(name, value)

    def _broken(self, failure: Failure, factory: WebFactory) -> None:
        """The one catch-all of this listener: a bug costs its own request only."""
        if failure.check(CancelledError) is not None:
            return
        factory.app_log.failure("cloud.request_failed", failure.value or RuntimeError("unknown"))
        if not self.startedWriting and not self._disconnected:
            self._send(factory.broken(self._asked))
        elif not self._disconnected:
            self.channel.forceAbortClient()


def _call(request: _Request, *, secure: bool, oversize: bool) -> Call | None:
    """The request as a value; None when its target or its host is none."""
    try:
        target = request.uri.decode("ascii")
        authority = (request.getHeader("host") or "").strip()
        if not target.startswith("/"):
            absolute = urlsplit(target)
            if absolute.scheme not in ("http", "https") or not absolute.netloc:
                return None
            authority, target = absolute.netloc, target.split(absolute.netloc, 1)[1] or "/"
        path, _, query = target.partition("?")
        host = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return None
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, values in request.requestHeaders.getAllRawHeaders()
        for value in values
    )
    return Call(
        method=request.method.decode("latin-1"),
        host=host,
        authority=authority,
        secure=secure,
        path=path,
        query=query,
        headers=headers,
        body=request.content.getvalue() if isinstance(request.content, BytesIO) else b"",
        peer=getattr(request.getClientAddress(), "host", ""),
        oversize=oversize,
    )
