"""What an EAP conversation that ends here adds to a RADIUS reply (RFC 3579 §3.1, RFC 2548 §2.4)."""

from __future__ import annotations

from dataclasses import field

from authproxy.protocols.radius.packet import EAP_MESSAGE, MAX_VALUE, VENDOR_SPECIFIC, Attribute
from authproxy.protocols.radius.relay import MICROSOFT
from authproxy.protocols.radius.salted import Hop, Salts, encrypt_salted
from authproxy.protocols.radius.vendor import VENDOR_ID
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_SEND_KEY, _RECEIVE_KEY = 16, 17
_KEY = 32  # octets of each


@light_dataclass(frozen=True, slots=True)
class EapReply:
    """`keys`: the MSK after a success. `carried`: what the primary's Accept contained."""

    message: bytes = field(repr=False)
    keys: Secret | None = None
    carried: object = None


def eap_messages(message: bytes) -> list[Attribute]:
    """RFC 3579 §3.1: the EAP packet, split over several attributes."""
    return [Attribute(EAP_MESSAGE, message[at : at + MAX_VALUE]) for at in range(0, len(message), MAX_VALUE)]


def mppe_keys(keys: Secret, hop: Hop, salts: Salts) -> list[Attribute]:
    """RFC 2548 §2.4.2, §2.4.3: the NAS's receive key is the MSK's first half, its send key the second."""
    msk = keys.reveal()
    halves = {_RECEIVE_KEY: msk[:_KEY], _SEND_KEY: msk[_KEY : 2 * _KEY]}
    return [_microsoft(type, encrypt_salted(Secret(key), salts.next(), hop)) for type, key in halves.items()]


def without_keys(attributes: list[Attribute]) -> list[Attribute]:
    """The attributes without the primary's keys, which belong to another tunnel."""
    theirs = {MICROSOFT.to_bytes(VENDOR_ID, "big") + bytes((type,)) for type in (_SEND_KEY, _RECEIVE_KEY)}
    return [
        attribute
        for attribute in attributes
        if attribute.type != EAP_MESSAGE
        and not (attribute.type == VENDOR_SPECIFIC and attribute.value[: VENDOR_ID + 1] in theirs)
    ]


def _microsoft(type: int, value: bytes) -> Attribute:
    inside = bytes((type, len(value) + 2)) + value
    return Attribute(VENDOR_SPECIFIC, MICROSOFT.to_bytes(VENDOR_ID, "big") + inside)
