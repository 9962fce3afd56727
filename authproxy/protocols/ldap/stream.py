"""A server's messages on their way through a relay: the envelope is read, the rest passes (RFC 4511 §4.1.1).

A message that is longer than what is worth waiting for is given out in pieces, so that an entry of any size costs a
relay no more memory than one read does.
"""

from __future__ import annotations

from typing import NamedTuple

from authproxy.protocols.ldap.ber import INTEGER, SEQUENCE, MalformedMessage, read_header
from authproxy.protocols.ldap.responses import EXTENDED_RESPONSE

# Longer ones pass in pieces, unless they are wanted whole.
_WORTH_WAITING_FOR = 16_384
# What is wanted whole is no longer than this.
MAX_WHOLE = 1024 * 1024
_APPLICATION, _CLASS = 0x40, 0xC0


class Piece(NamedTuple):
    """Octets of one message. `first`, `last`: whether they begin and end it; both: they are the whole message."""

    message_id: int
    tag: int
    octets: bytes
    first: bool
    last: bool


class Stream:
    """Takes a server's octets in any pieces. After MalformedMessage the stream is lost: close it."""

    def __init__(self) -> None:
        self.held: set[int] = set()  # ids of messages that are wanted whole
        self._pending = b""
        self._needed = 0  # octets without which looking again is pointless
        self._passing: tuple[int, int] = (0, 0)  # id and tag of the message that is passing
        self._left = 0  # octets of it that are still to come

    @property
    def inside(self) -> bool:
        """Whether part of a message has been given out, but not its end."""
        return self._left > 0

    def feed(self, data: bytes) -> list[Piece]:
        """What can be passed on now. Raises MalformedMessage, also if bad octets follow good messages."""
        pieces: list[Piece] = []
        if self._left:
            part = data[: self._left]
            self._left -= len(part)
            pieces.append(Piece(*self._passing, part, False, not self._left))
            if len(part) == len(data):
                return pieces
            data = data[len(part) :]
        if self._pending:
            data = self._pending + data
            if len(data) < self._needed:
                self._pending = data
                return pieces
            self._pending = b""
        at, end = 0, len(data)
        while at < end:
            head = _head(data, at, end)
            if head is None:
                self._keep(data, at, end + 1)
                break
            whole, message_id, tag = head
            stop = at + whole
            if stop > end:
                self._incomplete(pieces, data, at, head)
                break
            octets = data if whole == end else data[at:stop]
            pieces.append(Piece(message_id, tag, octets, True, True))
            at = stop
        return pieces

    def _incomplete(self, pieces: list[Piece], data: bytes, at: int, head: tuple[int, int, int]) -> None:
        whole, message_id, tag = head
        if message_id in self.held or message_id == 0:
            if whole > MAX_WHOLE:
                raise MalformedMessage("oversize", f"a message of {whole} octets, at most {MAX_WHOLE}")
            self._keep(data, at, at + whole)
        elif whole <= _WORTH_WAITING_FOR:
            self._keep(data, at, at + whole)
        else:
            octets = data[at:] if at else data
            pieces.append(Piece(message_id, tag, octets, True, False))
            self._passing = message_id, tag
            self._left = whole - len(octets)

    def _keep(self, data: bytes, at: int, needed: int) -> None:
        self._pending = data[at:] if at else data
        self._needed = needed - at


def _head(data: bytes, at: int, end: int) -> tuple[int, int, int] | None:
    """(octets of the message, id, operation's tag); None when they aren't all there. Raises MalformedMessage."""
    if data[at] != SEQUENCE:
        raise MalformedMessage("not_ldap", f"first octet 0x{data[at]:02x}, an LDAP message starts with 0x30")
    header = read_header(data, at, end)
    if header is None:
        return None
    _, start, length = header
    stop = start + length
    limit = min(stop, end)
    if start + 2 > limit:
        _check_cut(stop, end)
        return None
    if data[start] != INTEGER:
        raise MalformedMessage("message_id", "a message without an id")
    octets = data[start + 1]
    tag_at = start + 2 + octets
    if not 1 <= octets <= 4:
        raise MalformedMessage("message_id", f"a message id of {octets} octets")
    if tag_at >= limit:
        _check_cut(stop, end)
        return None
    tag = data[tag_at]
    if octets == 1:
        message_id = data[start + 2]
        negative = message_id >= 0x80
    else:
        message_id = int.from_bytes(data[start + 2 : tag_at], "big")
        negative = data[start + 2] >= 0x80
    if negative or tag & _CLASS != _APPLICATION:
        raise MalformedMessage("operation", f"tag 0x{tag:02x} is no operation, or the id is negative")
    if message_id == 0 and tag != EXTENDED_RESPONSE:
        raise MalformedMessage("message_id", "message id 0")
    return stop - at, message_id, tag


def _check_cut(stop: int, end: int) -> None:
    """The head isn't all there. Raises MalformedMessage when it never will be."""
    if stop <= end:
        raise MalformedMessage("truncated", "a message that ends before its operation")
