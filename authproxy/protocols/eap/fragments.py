"""TLS in pieces inside EAP: flags, lengths, acknowledgements (RFC 5216 §3.1, RFC 5281 §9.1)."""

from __future__ import annotations

from authproxy.protocols.eap.packet import MalformedEap

_LENGTH, _MORE, _START = 0x80, 0x40, 0x20
# A handshake is some 2 KiB; a peer with a long chain of certificates, which nobody asked for, has room still.
MAX_MESSAGE = 64 * 1024  # octets
MIN_FRAGMENT = 64
OVERHEAD = 6 + 4  # EAP header, type, flags; the length


START = bytes((_START,))  # version 0
ACKNOWLEDGE = b"\0"


class Incoming:
    """A message of the peer's, assembled from its fragments."""

    def __init__(self) -> None:
        self._pieces = bytearray()
        self._expected: int | None = None

    def add(self, data: bytes) -> bytes | None:
        """The whole message, b"" for an acknowledgement; None: more fragments are to come. Raises MalformedEap."""
        if not data:
            raise MalformedEap("no flags")
        flags, at = data[0], 1
        if flags & _START:
            raise MalformedEap("a peer that starts")
        if flags & _LENGTH:
            if len(data) < 5:
                raise MalformedEap("half a length")
            self._expect(int.from_bytes(data[1:5], "big"))
            at = 5
        piece = data[at:]
        if flags & _MORE and not piece:
            raise MalformedEap("an empty piece, and more to come")
        self._pieces += piece
        if len(self._pieces) > (MAX_MESSAGE if self._expected is None else self._expected):
            raise MalformedEap(f"{len(self._pieces)} octets, more than was said or allowed")
        if flags & _MORE:
            return None
        if self._expected is not None and len(self._pieces) != self._expected:
            raise MalformedEap(f"{len(self._pieces)} octets of {self._expected}")
        whole = bytes(self._pieces)
        self._pieces.clear()
        self._expected = None
        return whole

    def _expect(self, length: int) -> None:
        if length > MAX_MESSAGE:
            raise MalformedEap(f"a message of {length} octets, at most {MAX_MESSAGE}")
        if self._expected not in (None, length):
            raise MalformedEap(f"first {self._expected} octets, then {length}")
        self._expected = length


class Outgoing:
    """A message of ours, fragment by fragment. `size`: the maximum length of an EAP packet, in octets."""

    def __init__(self, size: int) -> None:
        self._room = max(size, MIN_FRAGMENT) - OVERHEAD
        self._rest = b""

    @property
    def pending(self) -> bool:
        return bool(self._rest)

    def begin(self, message: bytes) -> bytes:
        """Flags and the first fragment; an empty message is an acknowledgement."""
        self._rest = message
        if len(message) <= self._room:
            return self.next()
        head = bytes((_LENGTH | _MORE,)) + len(message).to_bytes(4, "big")
        piece, self._rest = message[: self._room], message[self._room :]
        return head + piece

    def next(self) -> bytes:
        piece, self._rest = self._rest[: self._room], self._rest[self._room :]
        return bytes((_MORE if self._rest else 0,)) + piece
