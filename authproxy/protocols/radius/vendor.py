"""What stands in a Vendor-Specific attribute of RFC 2865's own format (§5.26); other formats are not looked into."""

from __future__ import annotations

from authproxy.protocols.radius.packet import VENDOR_SPECIFIC, Packet

VENDOR_ID = 4  # octets
# A vendor's number (None: no vendor, an RFC's attribute) and the attribute's type.
Key = tuple[int | None, int]


def sub_attributes(value: bytes) -> list[tuple[int, bytes]]:
    """Types and values, in order; none if they don't fill the attribute exactly."""
    found: list[tuple[int, bytes]] = []
    at, end = VENDOR_ID, len(value)
    while at < end:
        length = value[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            return []
        found.append((value[at], value[at + 2 : at + length]))
        at += length
    return found


def first(packet: Packet, key: Key) -> bytes | None:
    """The value of the first attribute of this vendor and type; None: there is none."""
    vendor, type = key
    if vendor is None:
        return packet.first(type)
    prefix = vendor.to_bytes(VENDOR_ID, "big")
    for found, value in zip(packet.types, packet.values, strict=True):
        if found == VENDOR_SPECIFIC and value.startswith(prefix):
            for sub_type, sub_value in sub_attributes(value):
                if sub_type == type:
                    return sub_value
    return None
