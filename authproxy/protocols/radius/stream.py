"""RADIUS on a stream: packets one behind the other, each as long as its Length says (RFC 6613 §2.6)."""

from __future__ import annotations

from collections.abc import Iterator

from authproxy.protocols.radius.packet import HEADER, MAX_PACKET, Malformed, MalformedPacket

_HEAD = 4  # octets, up to the end of Length


class PacketStream:
    """What has arrived of a stream. It holds at most what was fed at once, and one packet."""

    def __init__(self) -> None:
        self._octets = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a packet has begun that isn't complete."""
        return bool(self._octets)

    def feed(self, octets: bytes) -> None:
        self._octets += octets

    def packets(self) -> Iterator[bytes]:
        """Each complete packet, which is then gone from here; one at a time, so that the caller may stop between.

        Raises MalformedPacket for a Length that none can have: where the next packet begins is then unknown, and
        the stream has to end (RFC 6613 §2.6.4). It is raised before the packet's octets are there.
        """
        while len(self._octets) >= _HEAD:
            length = self._octets[2] << 8 | self._octets[3]
            if not HEADER <= length <= MAX_PACKET:
                raise MalformedPacket(Malformed.LENGTH, f"Length is {length}, on a stream")
            if len(self._octets) < length:
                return
            packet = bytes(self._octets[:length])
            del self._octets[:length]
            yield packet
