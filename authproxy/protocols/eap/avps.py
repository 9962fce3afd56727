"""The attributes inside TTLS's tunnel (RFC 5281 §10): Diameter's form, RADIUS's numbers."""

from __future__ import annotations

from dataclasses import field

from authproxy.protocols.eap.packet import MalformedEap
from authproxy.values import light_dataclass

USER_NAME, USER_PASSWORD = 1, 2
_VENDOR, _MANDATORY = 0x80, 0x40
MOST = 64  # more than any method sends


@light_dataclass(frozen=True, slots=True)
class Avp:
    code: int
    value: bytes = field(repr=False)
    vendor: int | None = None
    mandatory: bool = False


def read_avps(octets: bytes) -> list[Avp]:
    """The attributes in these octets, in order. Raises MalformedEap. The last one may lack its padding, because peers
    differ.
    """
    found: list[Avp] = []
    at = 0
    while at < len(octets):
        flags = octets[at + 4] if at + 8 <= len(octets) else 0
        header = 12 if flags & _VENDOR else 8
        length = int.from_bytes(octets[at + 5 : at + 8], "big")
        if at + header > len(octets) or not header <= length <= len(octets) - at:
            raise MalformedEap(f"an AVP of length {length}, {len(octets) - at} octets are left")
        if len(found) == MOST:
            raise MalformedEap(f"more than {MOST} AVPs")
        vendor = int.from_bytes(octets[at + 8 : at + 12], "big") if header == 12 else None
        code = int.from_bytes(octets[at : at + 4], "big")
        found.append(Avp(code, octets[at + header : at + length], vendor, bool(flags & _MANDATORY)))
        at += length + -length % 4
    return found


def write_avp(avp: Avp) -> bytes:
    flags = (_VENDOR if avp.vendor is not None else 0) | (_MANDATORY if avp.mandatory else 0)
    vendor = b"" if avp.vendor is None else avp.vendor.to_bytes(4, "big")
    length = 8 + len(vendor) + len(avp.value)
    head = avp.code.to_bytes(4, "big") + bytes((flags,)) + length.to_bytes(3, "big")
    return head + vendor + avp.value + bytes(-length % 4)


def read_pap(octets: bytes) -> tuple[bytes, bytes]:
    """User-Name and User-Password (§11.2.5). Raises MalformedEap for other methods, and if one is missing or there
    twice.
    """
    values: dict[int, bytes] = {}
    for avp in read_avps(octets):
        if avp.vendor is None and avp.code in (USER_NAME, USER_PASSWORD):
            if avp.code in values:
                raise MalformedEap(f"two AVPs of code {avp.code}")
            values[avp.code] = avp.value
        elif avp.mandatory:
            # §10.1: what must be understood and isn't ends the negotiation.
            raise MalformedEap(f"AVP {avp.code} of vendor {avp.vendor}: the inner method has to be PAP")
    if values.keys() != {USER_NAME, USER_PASSWORD}:
        raise MalformedEap("no User-Name with a User-Password: the inner method has to be PAP")
    # RFC 5281 §11.2.5: padded with NULs, so that its length is hidden.
    return values[USER_NAME], values[USER_PASSWORD].rstrip(b"\0")
