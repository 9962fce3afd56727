"""A session's own connection to the directory: what goes there, what comes back, and our own questions in between.

Message ids are the client's own on both sides (L5). An answer passes as it came; only whether it is the last word on
its operation is looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from authproxy.listeners.ldap.answers import answers, refusal
from authproxy.listeners.ldap.ports import Client, Upstream, Upstreams
from authproxy.pipeline.ports import PrimaryUnavailable
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Frame, frame_of
from authproxy.protocols.ldap.requests import AbandonRequest, encode_request
from authproxy.protocols.ldap.responses import INTERMEDIATE_RESPONSE, SEARCH_ENTRY, SEARCH_REFERENCE
from authproxy.protocols.ldap.result import ResultCode
from authproxy.protocols.ldap.stream import Piece, Stream

GONE = "The directory is gone."
_MAX_ID = 2**31 - 1
# What isn't the last word on an operation.
_MORE_FOLLOWS = frozenset({SEARCH_ENTRY, SEARCH_REFERENCE, INTERMEDIATE_RESPONSE})


class Relay:
    """Implements ports.Receiver. There is no connection before `connect` and after `lost`."""

    def __init__(
        self,
        client: Client,
        *,
        root: Callable[[bytes], bytes],
        lost: Callable[[str], None],
        reactor: Any,
    ) -> None:
        """`root` turns a root DSE's message into what the client gets (raises MalformedMessage). `lost` is called when
        the directory has closed the connection, after operations were answered.
        """
        self._client = client
        self._tell_root = root
        self._tell_lost = lost
        self._reactor = reactor
        self._upstream: Upstream | None = None
        self._closed = False
        self._stream = Stream()
        self._roots: set[int] = set()  # ids of searches of the root DSE
        # Our own questions, by id: the answer's tag, who waits for it, and until when.
        self._awaited: dict[int, tuple[int, Deferred[Frame], Any]] = {}
        self._out: list[bytes] = []  # on the way to the directory
        self._later: list[bytes] = []  # to the client, behind the message that is passing
        self._passing = False  # a part of a message is with the client, and the rest is not
        self._when_quiet: Callable[[], None] | None = None
        self.outstanding: dict[int, int] = {}  # the client's message ids, to their requests' tags
        self.authorised = False  # the directory takes this connection for somebody's, or may do so
        self.heard: float = reactor.seconds()  # when it last said something

    @property
    def connected(self) -> bool:
        return self._upstream is not None

    @property
    def passing(self) -> bool:
        """A message is being passed on in parts, so nothing else can be sent to the client now."""
        return self._passing

    async def connect(self, upstreams: Upstreams, deadline: float) -> None:
        """Raises PrimaryUnavailable."""
        upstream = await upstreams.open(self, deadline)
        if self._closed:
            upstream.close()
            raise PrimaryUnavailable("the client is gone")
        self._upstream = upstream
        self.authorised = False
        self.heard = self._reactor.seconds()

    # ---- to the directory

    def forward(self, frame: Frame) -> None:
        """Send it to the directory with the next `flush`."""
        if not self.outstanding:
            self.heard = self._reactor.seconds()
        self.outstanding[frame.message_id] = frame.tag
        self._out.append(frame.octets)

    def forward_root(self, frame: Frame) -> None:
        """A search of the root DSE."""
        self._roots.add(frame.message_id)
        self._stream.held.add(frame.message_id)
        self.forward(frame)

    def abandon(self, message_id: int, octets: bytes) -> None:
        """L5: relay an Abandon; message ids are the same on both sides."""
        if self.outstanding.pop(message_id, None) is not None:
            self._forget_root(message_id)
            self._out.append(octets)
            self._tell_quiet()

    def when_quiet(self, done: Callable[[], None]) -> None:
        """Call this once, as soon as nothing is in progress any more. Something has to be."""
        self._when_quiet = done

    def cancel(self) -> None:
        """Cancel everything in progress: tell the directory, and answer the client."""
        while self.outstanding:
            message_id, tag = next(iter(self.outstanding.items()))
            self.say(refusal(message_id, tag, ResultCode.CANCELED, "A bind follows."))
            self.abandon(message_id, encode_request(self.free_id(), AbandonRequest(message_id)))

    def _tell_quiet(self) -> None:
        if not self.outstanding and self._when_quiet is not None and not self._closed:
            done, self._when_quiet = self._when_quiet, None
            done()

    def flush(self) -> None:
        out = self._out
        if out:
            if self._upstream is not None:
                self._upstream.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def ask(self, message_id: int, tag: int, octets: bytes, deadline: float) -> Deferred[Frame]:
        """Send our own request. Returns the answer with this id and tag; a late one ends the connection. Raises
        PrimaryUnavailable, as the Deferred does.
        """
        if self._upstream is None:
            raise PrimaryUnavailable(GONE)
        waiting: Deferred[Frame] = Deferred()
        left = max(0.0, deadline - self._reactor.seconds())
        self._awaited[message_id] = tag, waiting, self._reactor.callLater(left, self._timed_out)
        self._stream.held.add(message_id)
        self._upstream.write(octets)
        return waiting

    def _timed_out(self) -> None:
        self.drop("upstream_silent", "no answer in time")

    def free_id(self) -> int:
        """A message id that no operation uses and that clients hardly use, so that late answers to it mean nothing."""
        message_id = 1 + secrets.randbelow(_MAX_ID)
        while message_id in self.outstanding or message_id in self._awaited:
            message_id = 1 + secrets.randbelow(_MAX_ID)
        return message_id

    # ---- its end

    def close(self, message_id: int = 0) -> None:
        """The client goes: send an Unbind with this id, or just close. Nobody is told."""
        self._closed = True
        self._out.clear()
        self.outstanding.clear()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close(message_id or self.free_id())
        self._fail_awaited("the client is gone")

    def drop(self, cause: str, why: str = GONE) -> None:
        """Close at once, so that the directory unbinds it. Operations in progress are answered here."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        self._answer_for_it(cause, why)
        self._tell_quiet()

    def lost(self, why: str) -> None:
        """ports.Receiver: the directory has closed it."""
        self._upstream = None
        if self._closed:
            return
        asked = bool(self._awaited)
        self._answer_for_it("upstream_lost", why)
        if not asked:  # else whoever asked has heard it
            self._tell_lost(why)
        self._tell_quiet()

    def _answer_for_it(self, cause: str, why: str) -> None:
        """L29: each operation that waits hears that nobody will answer."""
        self.authorised = False
        self._stream = Stream()  # for the next connection
        self._roots.clear()
        self._out.clear()
        outstanding, self.outstanding = self.outstanding, {}
        if self._passing:
            # Half a message is with the client; nothing can be said behind it.
            self._closed = True
            self._client.abort(cause)
        else:
            for message_id, tag in outstanding.items():
                self._client.write(refusal(message_id, tag, ResultCode.UNAVAILABLE, GONE))
        self._fail_awaited(why)

    def _fail_awaited(self, why: str) -> None:
        awaited, self._awaited = self._awaited, {}
        for _, waiting, timer in awaited.values():
            if timer.active():
                timer.cancel()
            waiting.errback(PrimaryUnavailable(why))

    # ---- from the directory (ports.Receiver)

    def received(self, octets: bytes) -> None:
        self.heard = self._reactor.seconds()
        upstream = self._upstream
        try:
            self._pass(self._stream.feed(octets))
        except MalformedMessage as malformed:
            if upstream is not None:
                upstream.close()
            self.lost(f"malformed answer: {malformed}")
        self._tell_quiet()

    def _pass(self, pieces: list[Piece]) -> None:
        relayed: list[bytes] = []
        upstream = self._upstream
        for piece in pieces:
            if not piece.first:
                self._continue(piece, relayed)
            elif piece.message_id in self.outstanding:
                self._begin(piece, relayed)
            else:
                self._write(relayed)
                relayed.clear()
                self._ours(piece)
                if self._upstream is not upstream or self._closed:
                    return
        self._write(relayed)

    def _begin(self, piece: Piece, relayed: list[bytes]) -> None:
        message_id, tag, octets, _, last = piece
        if not answers(self.outstanding[message_id], tag, octets, whole=last):
            raise MalformedMessage("operation", f"tag 0x{tag:02x} answers no such operation")
        if message_id in self._roots and tag == SEARCH_ENTRY:
            octets = self._tell_root(octets)
        relayed.append(octets)
        if not last:
            self._passing = True
        elif tag not in _MORE_FOLLOWS:
            del self.outstanding[message_id]
            self._forget_root(message_id)

    def _continue(self, piece: Piece, relayed: list[bytes]) -> None:
        if not self._passing:
            return
        relayed.append(piece.octets)
        if piece.last:
            self._passing = False
            if piece.tag not in _MORE_FOLLOWS:
                self.outstanding.pop(piece.message_id, None)
            relayed += self._later
            self._later.clear()

    def _ours(self, piece: Piece) -> None:
        """What isn't the answer to an operation of the client's: to a question of ours, or a notice, or stray."""
        message_id, tag, octets, _, _ = piece
        if message_id == 0:
            # L28: the directory says goodbye, and what the client then hears is ours.
            upstream = self._upstream
            if upstream is not None:
                upstream.close()
            self.lost("notice of disconnection")
            return
        awaited = self._awaited.get(message_id)
        if awaited is not None and awaited[0] == tag:
            _, waiting, timer = awaited
            frame = frame_of(octets)
            del self._awaited[message_id]
            self._stream.held.discard(message_id)
            timer.cancel()
            waiting.callback(frame)

    def _forget_root(self, message_id: int) -> None:
        if message_id in self._roots:
            self._roots.discard(message_id)
            self._stream.held.discard(message_id)

    # ---- to the client

    def say(self, octets: bytes) -> None:
        """Send to the client, after a message that is being passed on in parts."""
        if self._passing:
            self._later.append(octets)
        else:
            self._client.write(octets)

    def _write(self, relayed: list[bytes]) -> None:
        if relayed and not self._closed:
            self._client.write(relayed[0] if len(relayed) == 1 else b"".join(relayed))

    # ---- back-pressure

    def pause(self) -> None:
        """The client doesn't read: stop reading from the directory."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._client.pause()

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self._client.resume()

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """The connection is over; `lost` follows."""
