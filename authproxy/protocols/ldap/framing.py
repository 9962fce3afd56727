"""LDAP messages out of a byte stream: the envelope alone (RFC 4511 §4.1.1), linear in time, bounded in memory.

Serves both roles: a relay forwards `frame.octets` untouched, an endpoint decodes the operation inside.
"""

from __future__ import annotations

from authproxy.protocols.ldap.ber import (
    INTEGER,
    SEQUENCE,
    Cursor,
    MalformedMessage,
    element,
    expect,
    number,
    read_header,
)
from authproxy.values import light_dataclass

CONTROLS = 0xA0
EXTENDED_RESPONSE = 0x78

_CLASS = 0xC0
_APPLICATION = 0x40


@light_dataclass(frozen=True, slots=True)
class Frame:
    """One message. The operation's content is `octets[start:stop]`; controls, if any, follow it."""

    message_id: int
    tag: int  # which operation
    octets: bytes  # the whole message
    start: int
    stop: int


class Framer:
    """Takes a stream's octets in any pieces. After MalformedMessage the stream is lost: close it.

    `limit`: octets of a whole message; may be raised between two of them, as after a bind.
    `unsolicited`: a server may send message id 0 in an ExtendedResponse (§4.4), a client never (L4).
    """

    def __init__(self, limit: int, *, unsolicited: bool = False) -> None:
        self.limit = limit
        self._unsolicited = unsolicited
        self._pending = bytearray()
        self._needed = 0  # octets without which looking again is pointless

    @property
    def pending(self) -> int:
        """How many octets of an incomplete message have arrived."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that are complete now. Raises MalformedMessage, also if bad octets follow good messages."""
        if self._pending:
            self._pending += data
            if len(self._pending) < self._needed:
                return []
            data = bytes(self._pending)
            self._pending.clear()
        frames: list[Frame] = []
        at, end = 0, len(data)
        while at < end:
            header = self._header(data, at, end)
            if header is None or (whole := header[1]) > end - at:
                self._needed = end - at + 1 if header is None else whole
                self._pending += data[at:] if at else data
                break
            # The usual read is one message: then it isn't copied.
            octets = data if whole == end else data[at : at + whole]
            frames.append(_open(octets, header[0] - at, self._unsolicited))
            at += whole
        return frames

    def _header(self, data: bytes, at: int, end: int) -> tuple[int, int] | None:
        """(where the content starts, octets of the message) of the one at `at`. Decided on the header (L2)."""
        if data[at] != SEQUENCE:
            raise MalformedMessage(
                "not_ldap", f"first octet 0x{data[at]:02x}, an LDAP message starts with 0x30"
            )
        header = read_header(data, at, end)
        if header is None:
            return None
        _, start, length = header
        whole = start - at + length
        if whole > self.limit:
            raise MalformedMessage("oversize", f"a message of {whole} octets, at most {self.limit}")
        return start, whole


def frame_of(octets: bytes, *, unsolicited: bool = False) -> Frame:
    """The one message in these octets. Raises MalformedMessage."""
    outer = Cursor(octets, 0, len(octets))
    start, _ = outer.expect(SEQUENCE)
    outer.finish()
    return _open(octets, start, unsolicited)


def _open(octets: bytes, at: int, unsolicited: bool) -> Frame:
    """A whole message whose content starts at `at`: id, operation, perhaps controls, and nothing else."""
    end = len(octets)
    start, at = expect(octets, at, end, INTEGER)
    message_id = number(octets, start, at)
    tag, start, stop = element(octets, at, end)
    if tag & _CLASS != _APPLICATION:
        raise MalformedMessage("operation", f"tag 0x{tag:02x} is no operation")
    if message_id == 0 and not (unsolicited and tag == EXTENDED_RESPONSE):
        raise MalformedMessage("message_id", "message id 0")
    if stop != end:
        cursor = Cursor(octets, stop, end)
        cursor.expect(CONTROLS)
        cursor.finish()
    return Frame(message_id, tag, octets, start, stop)
