"""HTTP/1.1 on one kept connection: one request at a time, every reply bounded in octets and in time (RFC 9112, T8, A6).

The parser is llhttp. What it takes is held against what we asked for: no interim replies, no upgrade, no redirection
followed, nothing before a request or behind a reply.
"""

from __future__ import annotations

from typing import Any

import httptools

from authproxy.backends.answer import Answer
from authproxy.backends.cloud.failures import BrokenReply, NoReply, ReplyTimeout
from authproxy.backends.cloud.stream import Stream
from authproxy.backends.deadline import Deadline
from authproxy.backends.tls import describe, is_untrusted
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.protocols.cloud.envelope import MAX_BODY
from authproxy.values import light_dataclass

MAX_HEAD = 64 * 1024  # octets of status line and headers
_VERSIONS = frozenset({"1.0", "1.1"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_OK = 200


@light_dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    retry_after: str = ""  # the Retry-After header, unless the status is 200


class Connection:
    """One connection, kept open between exchanges as long as both sides want."""

    __slots__ = ("_answered", "_answering", "_deadline", "_stream", "idle_since", "on_lost", "used")

    def __init__(self, reactor: Any, stream: Stream) -> None:
        self._stream = stream
        self._deadline = Deadline(reactor, self._timed_out)
        self._answered: Answer[Reply] | None = None
        self._answering: _Answering | None = None
        self.used = False  # a reply has come over it
        self.idle_since = 0.0
        self.on_lost: Any = None  # called when an idle connection ends
        stream.receiver = self

    @property
    def is_open(self) -> bool:
        return self._stream.is_open

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing has arrived that the next request would take for its reply."""
        return self._stream.is_quiet

    def exchange(self, request: bytes, deadline: float) -> Answer[Reply]:
        """Send a request, and wait for its whole reply. `deadline`: the reactor's seconds.

        Raises NoReply, fails with CloudFailure. The connection is then closed, and also if this is cancelled.
        """
        if not self._stream.is_open:
            raise NoReply("the connection has ended")
        answered: Answer[Reply] = Answer(self.close)
        self._answered = answered
        self._deadline.begin(deadline)
        self._stream.write(request)
        return answered

    def close(self) -> None:
        self.on_lost = None
        self._answered = self._answering = None
        self._deadline.end()
        self._stream.close()

    def abort(self, why: CloudFailure) -> None:
        """Close it, which ends the exchange in progress."""
        self._fail(why)

    # ---- what the stream calls

    def received(self, octets: bytes) -> None:
        if self._answered is None:
            # Nobody asked: the next request would take it for its own reply.
            self.ended(None)
            return
        try:
            if self._answering is None:
                self._answering = _Answering()
            reply = self._answering.feed(octets)
        except Exception as error:  # noqa: BLE001 - a bug here must not look like a dead network
            self._fail(error)
            return
        if reply is not None:
            self._finish(reply)

    def ended(self, error: Exception | None) -> None:
        answering = self._answering
        if self._answered is None:
            lost = self.on_lost
            self.close()
            if lost is not None:
                lost(self)
        elif error is None and answering is not None and (reply := answering.at_end()) is not None:
            self._finish(reply)
        else:
            self._fail(_failure(error, began=answering is not None))

    # ---- within

    def _timed_out(self) -> None:
        self._fail(
            ReplyTimeout("no reply in time")
            if self._answering is None
            else BrokenReply("the reply was not finished in time")
        )

    def _finish(self, reply: Reply) -> None:
        answered, answering = self._answered, self._answering
        self._answered = self._answering = None
        self._deadline.over()
        self.used = True
        if answering is None or not answering.keeps_alive:
            self.close()
        if answered is not None:
            answered.callback(reply)

    def _fail(self, error: Exception) -> None:
        answered = self._answered
        self.close()
        if answered is not None:
            answered.errback(error)


def _failure(error: Exception | None, *, began: bool) -> Exception:
    """What the end of a connection means in the middle of an exchange."""
    if error is not None and is_untrusted(error):
        return CloudFailure(FailureClass.UNTRUSTED, describe(error))
    if error is not None and not isinstance(error, OSError):
        return error
    detail = "connection closed" if error is None else describe(error)
    if began:
        return BrokenReply(f"the reply was cut short: {detail}")
    return NoReply(f"no reply: {detail}")


class _Answering:
    """One reply while it comes in."""

    __slots__ = (
        "_body",
        "_head",
        "_head_is_whole",
        "_headers",
        "_length",
        "_parser",
        "_status",
        "_whole",
        "keeps_alive",
        "on_header",
    )

    def __init__(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        # Called for each header: all of them are of no interest in nearly every reply, so none is looked at here.
        self.on_header = self._headers.__setitem__
        self._parser: Any = httptools.HttpResponseParser(self)
        self._head = 0
        self._head_is_whole = False
        self._whole = False
        self._status = 0
        self._body: list[bytes] = []
        self._length = 0
        self.keeps_alive = False

    def feed(self, octets: bytes) -> Reply | None:
        """Raises BrokenReply."""
        self._head += len(octets)
        try:
            self._parser.feed_data(octets)
        except httptools.HttpParserUpgrade:
            raise BrokenReply("an upgrade that nobody asked for") from None
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise BrokenReply(f"not HTTP: {error}") from None
        if not self._head_is_whole and self._head > MAX_HEAD:
            raise BrokenReply(f"a head of more than {MAX_HEAD} octets")
        return self._reply() if self._whole else None

    def at_end(self) -> Reply | None:
        """The reply, if its end was to be the connection's (RFC 9112 §6.3)."""
        return self._reply() if self._head_is_whole and not self._is_framed() else None

    def _reply(self) -> Reply:
        self._parser = None  # they hold each other
        retry_after = "" if self._status == _OK else self._header(b"retry-after")
        return Reply(self._status, b"".join(self._body), retry_after)

    def _is_framed(self) -> bool:
        """Whether the head says where the body ends."""
        return any(name.lower() in _FRAMING for name in self._headers)

    def _header(self, wanted: bytes) -> str:
        found = [value.decode("latin-1") for name, value in self._headers.items() if name.lower() == wanted]
        return found[-1] if found else ""

    # ---- what the parser calls

    def on_message_begin(self) -> None:
        if self._whole:
            raise BrokenReply("more than one reply to one request")

    def on_headers_complete(self) -> None:
        self._head_is_whole = True
        self._status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if version not in _VERSIONS:
            raise BrokenReply(f"HTTP/{version}")
        if self._status < 200:
            raise BrokenReply(f"an interim reply, {self._status}")
        self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, octets: bytes) -> None:
        self._length += len(octets)
        if self._length > MAX_BODY:
            raise BrokenReply(f"a body of more than {MAX_BODY} octets")
        self._body.append(octets)

    def on_message_complete(self) -> None:
        self._whole = True
