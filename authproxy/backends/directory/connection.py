"""One LDAP connection to a directory: one operation at a time, each with a deadline. It is closed at the first oddity.

Nothing unexpected is accepted: no second answer, no octet after a StartTLS answer in plain text (CVE-2011-0411), no
message beyond the limit. Referrals come back as values and are never followed (L25).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from cryptography.x509 import Certificate
from twisted.internet import interfaces, protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.backends.answer import Answer
from authproxy.backends.deadline import Deadline
from authproxy.backends.tls import ClientTls, describe, is_untrusted
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.controls import Control, decode_controls
from authproxy.protocols.ldap.framing import Frame, Framer
from authproxy.protocols.ldap.requests import (
    START_TLS,
    BindRequest,
    EncodedSearch,
    ExtendedRequest,
    SearchRequest,
    UnbindRequest,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    BindResponse,
    ExtendedResponse,
    IntermediateResponse,
    Response,
    Result,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    decode_response,
)
from authproxy.protocols.ldap.result import ResultCode, code_name
from authproxy.values import light_dataclass

# A login's answers are a few kilobytes; a user in a thousand groups is 100.
MAX_MESSAGE = 1024 * 1024
MAX_ANSWER = 4 * 1024 * 1024  # all messages of one search
T = TypeVar("T")
_MAX_MESSAGE_ID = 2**31 - 1
# RFC 4422 §3.7: a protected buffer is announced by four octets of length.
_BUFFER_HEADER = struct.Struct("!I")
_BUFFER_OVERHEAD = 64  # a signature and its header
_TCP = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    # Milliseconds that sent octets may stay unacknowledged.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000),
)


class ConnectionFailed(Exception):
    """The connection is closed, and the operation has failed. The text says why, for the log.

    `untrusted`: TLS failed because of what the peer is.
    """

    def __init__(self, problem: str, *, untrusted: bool = False) -> None:
        super().__init__(problem)
        self.untrusted = untrusted


class SecurityLayer(Protocol):
    """The layer that a SASL bind put over the connection (RFC 4422 §3.7). Both methods raise
    ValueError for bad input.
    """

    def wrap(self, octets: bytes) -> bytes: ...

    def unwrap(self, octets: bytes) -> bytes: ...


class Receiver(Protocol):
    """Takes a connection over: gets octets as they arrive, and the end, once."""

    def received(self, octets: bytes) -> None: ...

    def lost(self, why: str) -> None: ...


@light_dataclass(frozen=True, slots=True)
class Found:
    """A search's answer. `references`: how many continuations it named; they aren't followed."""

    result: Result
    entries: tuple[SearchResultEntry, ...]
    references: int = 0


@dataclass(slots=True)
class _Pending:
    message_id: int
    done: Answer[tuple[Response, tuple[Control, ...]]]
    kind: type[BindResponse | SearchResultDone | ExtendedResponse]
    entries: list[SearchResultEntry] = field(default_factory=list)
    references: int = 0
    received: int = 0


def _tell_nobody(connection: LdapConnection) -> None: ...


@implementer(interfaces.IHandshakeListener)
class LdapConnection(protocol.Protocol):
    """Deadlines are in the reactor's seconds. Every operation raises ConnectionFailed."""

    transport: Any

    def __init__(
        self,
        reactor: interfaces.IReactorTime,
        made: Callable[[LdapConnection], None] = _tell_nobody,
    ) -> None:
        """`made` is called when it is connected; TLS may still be to come."""
        self._made = made
        self._deadline = Deadline(reactor, self._late)
        self._awaited = ""
        self._framer = Framer(MAX_MESSAGE, unsolicited=True)
        self._message_id = 0
        self._pending: _Pending | None = None
        self._answered: tuple[Response, tuple[Control, ...]] | None = None
        self._handshake: Answer[None] | None = None
        self._layer: SecurityLayer | None = None
        self._buffered = bytearray()
        self._receiver: Receiver | None = None
        self._lost: ConnectionFailed | None = None
        self.closed = False
        self.opened = reactor.seconds()
        self.secured = False  # TLS is on, and the peer is who it should be
        self.single_use = False  # never to be kept

    @property
    def peer_certificate(self) -> Certificate | None:
        shown = self.transport.getPeerCertificate() if self.secured else None
        return None if shown is None else shown.to_cryptography()

    # ---- operations

    async def bind(
        self, request: BindRequest, deadline: float, controls: bytes = b""
    ) -> tuple[BindResponse, tuple[Control, ...]]:
        """The answer, whatever it says, and its controls. `controls`: those to send, encoded."""
        response, answered = await self._send(request, BindResponse, deadline, controls).done
        assert isinstance(response, BindResponse)  # noqa: S101 - what _receive let through
        return response, answered

    async def search(self, request: SearchRequest | EncodedSearch, deadline: float) -> Found:
        """The entries, at most as many as the request's size limit."""
        sent = self._send(request, SearchResultDone, deadline)
        response, _ = await sent.done
        assert isinstance(response, SearchResultDone)  # noqa: S101 - what _receive let through
        if 0 < request.size_limit < len(sent.entries):
            raise self._fail("more entries than asked for")
        return Found(response.result, tuple(sent.entries), sent.references)

    async def start_tls(self, tls: ClientTls, deadline: float) -> None:
        """RFC 4511 §4.14, as the first operation. Octets after the answer in plain text end the connection."""
        response, _ = await self._send(ExtendedRequest(START_TLS), ExtendedResponse, deadline).done
        assert isinstance(response, ExtendedResponse)  # noqa: S101 - what _receive let through
        if response.result.code != ResultCode.SUCCESS:
            name = code_name(response.result.code)
            raise self._fail(f"StartTLS refused: {name} {response.result.diagnostic}".rstrip())
        self.transport.startTLS(tls)
        await self.handshake(deadline)

    async def handshake(self, deadline: float) -> None:
        """Wait until TLS has proved who the peer is."""
        if self._lost is not None:
            raise self._lost
        if not self.secured:
            self._handshake = self._by(deadline, "TLS handshake")
            await self._handshake

    def protect(self, layer: SecurityLayer) -> None:
        """Use this layer for everything from now on."""
        self._layer = layer
        if self._framer.pending:
            raise self._fail("octets in front of the security layer")

    def hand_over(self, receiver: Receiver) -> None:
        """Give the connection to this receiver; no operation of this class is possible any more."""
        if self._lost is not None:
            raise self._lost
        if self._pending is not None or self._layer is not None or self._framer.pending:
            raise RuntimeError("something was said on this connection")
        self._receiver = receiver
        # Straight there: each read of what is relayed comes this way.
        self.dataReceived = receiver.received  # type: ignore[method-assign, assignment]

    def let_go(self) -> None:
        """Whoever it was given to closes it now, and needn't be told how it ended."""
        self._lost = ConnectionFailed("closed by us")
        self.closed = True

    def unbind(self) -> None:
        """Send an Unbind, and close."""
        if self._lost is None:
            self._write(encode_request(self._next_id(), UnbindRequest()))
            self._lost = ConnectionFailed("closed by us")
            self.closed = True
            self._deadline.stop()
            self.transport.loseConnection()

    def abort(self, problem: str) -> None:
        """Close at once; the operation in progress fails with this reason."""
        self._fail(problem)

    # ---- sending

    def _send(
        self,
        request: BindRequest | SearchRequest | EncodedSearch | ExtendedRequest,
        kind: type[BindResponse | SearchResultDone | ExtendedResponse],
        deadline: float,
        controls: bytes = b"",
    ) -> _Pending:
        if self._lost is not None:
            raise self._lost
        if self._pending is not None:
            raise RuntimeError("one operation at a time")
        message_id = self._next_id()
        pending = self._pending = _Pending(message_id, self._by(deadline, "answer"), kind)
        self._write(encode_request(message_id, request, controls))
        return pending

    def _next_id(self) -> int:
        self._message_id = self._message_id % _MAX_MESSAGE_ID + 1
        return self._message_id

    def _write(self, octets: bytes) -> None:
        if self._layer is not None:
            wrapped = self._layer.wrap(octets)
            octets = _BUFFER_HEADER.pack(len(wrapped)) + wrapped
        self.transport.write(octets)

    def _by(self, deadline: float, what: str) -> Answer[Any]:
        """What is waited for. The connection ends when it isn't there in time, or nobody waits for it any more."""
        self._awaited = what
        self._deadline.begin(deadline)
        return Answer(self._cancelled)

    def _late(self) -> None:
        self.abort(f"no {self._awaited} in time")

    def _cancelled(self) -> None:
        self._pending = self._handshake = None
        self.abort("cancelled")

    # ---- receiving

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        if self._lost is not None:
            return
        try:
            frames = self._framer.feed(data) if self._layer is None else self._unwrapped(data, self._layer)
            for frame in frames:
                self._receive(frame)
            self._settle()
        except MalformedMessage as malformed:
            self._fail(f"malformed answer: {malformed}")
        except ValueError as broken:
            self._fail(f"security layer: {broken}")

    def _unwrapped(self, data: bytes, layer: SecurityLayer) -> list[Frame]:
        frames = []
        self._buffered += data
        while len(self._buffered) >= _BUFFER_HEADER.size:
            (length,) = _BUFFER_HEADER.unpack_from(self._buffered)
            if length > MAX_MESSAGE + _BUFFER_OVERHEAD:
                raise ValueError(f"a buffer of {length} octets")
            end = _BUFFER_HEADER.size + length
            if len(self._buffered) < end:
                break
            wrapped = bytes(self._buffered[_BUFFER_HEADER.size : end])
            del self._buffered[:end]
            frames += self._framer.feed(layer.unwrap(wrapped))
        return frames

    def _receive(self, frame: Frame) -> None:
        response = decode_response(frame)
        if frame.message_id == 0:
            result = response.result if isinstance(response, ExtendedResponse) else Result(0)
            self._fail(f"disconnected by the server: {code_name(result.code)} {result.diagnostic}".rstrip())
            return
        pending = self._pending
        if pending is None or frame.message_id != pending.message_id or self._answered is not None:
            raise MalformedMessage("message_id", "an answer to nothing that was asked")
        pending.received += len(frame.octets)
        if pending.received > MAX_ANSWER:
            raise MalformedMessage("oversize", f"more than {MAX_ANSWER} octets in answer to one search")
        match response:
            case _ if isinstance(response, pending.kind):
                self._answered = response, decode_controls(frame)
            case IntermediateResponse():
                pass
            case SearchResultEntry() if pending.kind is SearchResultDone:
                pending.entries.append(response)
            case SearchResultReference() if pending.kind is SearchResultDone:
                pending.references += 1
            case _:
                raise MalformedMessage(
                    "operation", f"{type(response).__name__} where {pending.kind.__name__} belongs"
                )

    def _settle(self) -> None:
        """Hand the answer over, once nothing stands behind it."""
        pending, answered = self._pending, self._answered
        if pending is not None and answered is None:
            return
        behind = self._framer.pending or self._buffered
        if pending is None or answered is None:
            if behind:
                raise MalformedMessage("message_id", "octets that nobody asked for")
            return
        if behind:
            raise MalformedMessage("trailing", "octets behind the answer")
        self._pending = self._answered = None
        self._deadline.over()
        pending.done.callback(answered)

    # ---- Twisted's side

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        raw = getattr(self.transport, "socket", None)
        if isinstance(raw, socket.socket):
            with contextlib.suppress(OSError):
                for level, option, value in _TCP:
                    raw.setsockopt(level, option, value)
        made, self._made = self._made, _tell_nobody
        made(self)

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        self.secured = True
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            self._deadline.over()
            waiting.callback(None)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802 - Twisted's name
        failed = self._lost
        if failed is None:
            failed = ConnectionFailed(f"connection lost: {describe(reason)}", untrusted=is_untrusted(reason))
        self._end(failed)

    def _fail(self, problem: str) -> ConnectionFailed:
        """Close at once. Returns what to raise."""
        failed = ConnectionFailed(problem)
        self._end(failed)
        if self.transport is not None:
            self.transport.abortConnection()
        return failed

    def _end(self, failed: ConnectionFailed) -> None:
        if self._lost is None:
            self._lost = failed
            self.closed = True
        self._deadline.end()
        pending, self._pending = self._pending, None
        handshake, self._handshake = self._handshake, None
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.lost(str(failed))
        if pending is not None and not pending.done.called:
            pending.done.errback(failed)
        if handshake is not None and not handshake.called:
            handshake.errback(failed)
