"""The credential of an Access-Request, and PAP's hiding of a password (RFC 2865 §5.2, §5.44; RFC 3579 §3.3)."""

from __future__ import annotations

from enum import Enum

from authproxy.protocols.radius.keyed import BLOCK, hide, unhide
from authproxy.protocols.radius.packet import (
    ARAP_PASSWORD,
    CHAP_PASSWORD,
    EAP_MESSAGE,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    VENDOR_SPECIFIC,
    Malformed,
    MalformedPacket,
    Packet,
    encode_attributes,
)
from authproxy.protocols.radius.vendor import sub_attributes
from authproxy.secret import Secret

MAX_PASSWORD = 128  # octets (RFC 2865 §5.2)


class CredentialKind(Enum):
    NONE = "none"
    PAP = "pap"
    CHAP = "chap"
    MSCHAP = "mschap"
    ARAP = "arap"
    EAP = "eap"


_KINDS = {
    USER_PASSWORD: CredentialKind.PAP,
    CHAP_PASSWORD: CredentialKind.CHAP,
    ARAP_PASSWORD: CredentialKind.ARAP,
    EAP_MESSAGE: CredentialKind.EAP,
}
# RFC 2865 §5.44: 0-1. Of two, we might read one and the server behind us the other.
_ONCE = frozenset((USER_NAME, STATE))
_TOLD_BY = _ONCE | frozenset((*_KINDS, VENDOR_SPECIFIC))
# RFC 2548: MS-CHAP-Response and MS-CHAP2-Response (§2.1.3, §2.3.2), and what stands in their place when the
# password is changed: MS-CHAP-CPW-1 and -2, MS-CHAP2-CPW (§2.1.6, §2.1.7, §2.3.4; R32).
_MICROSOFT = (311).to_bytes(4, "big")
_MSCHAP_RESPONSES = frozenset((1, 3, 4, 25, 27))
_CHAP_CHALLENGE = 60
_PROOFS = frozenset((CHAP_PASSWORD, _CHAP_CHALLENGE, EAP_MESSAGE, VENDOR_SPECIFIC))


def credential_kind(packet: Packet) -> CredentialKind:
    """How this request proves who asks.

    Raises MalformedPacket: two kinds or two of a kind (R21; EAP-Message may repeat), a User-Password that can't be
    one (R26), two User-Names.
    """
    kind = CredentialKind.NONE
    seen = 0  # a bit for each attribute of _ONCE
    for type, value in packet.among(_TOLD_BY):
        if type in _ONCE:
            if seen & (1 << type):
                raise MalformedPacket(Malformed.REPEATED, f"two attributes of type {type}")
            seen |= 1 << type
        elif (found := _KINDS.get(type) or _vendors_kind(value)) is not None:
            if kind is not CredentialKind.NONE and not (kind is found is CredentialKind.EAP):
                raise MalformedPacket(Malformed.CREDENTIALS, f"{kind.value} and {found.value} in one request")
            kind = found
            if type == USER_PASSWORD and (len(value) % BLOCK or not BLOCK <= len(value) <= MAX_PASSWORD):
                raise MalformedPacket(Malformed.USER_PASSWORD, f"User-Password of {len(value)} octets")
    return kind


def _vendors_kind(value: bytes) -> CredentialKind | None:
    if not value.startswith(_MICROSOFT):
        return None
    if any(found in _MSCHAP_RESPONSES for found, _ in sub_attributes(value)):
        return CredentialKind.MSCHAP
    return None


def proof(packet: Packet, kind: CredentialKind) -> bytes:
    """What tells one proof from another, and is alike where a NAS sends one again under a new Identifier (R46).

    An EAP conversation's first packet says only who asks: two devices of one user begin alike, and each is its own.
    """
    if kind is CredentialKind.EAP and packet.first(STATE) is None:
        return packet.octets
    carried = encode_attributes(
        (type, value)
        for type, value in packet.among(_PROOFS)
        if type != VENDOR_SPECIFIC or value.startswith(_MICROSOFT)
    )
    if kind is CredentialKind.CHAP and packet.first(_CHAP_CHALLENGE) is None:
        return packet.authenticator + carried  # RFC 2865 §2.2: the Authenticator is the challenge
    return carried


def decrypt_password(sent: bytes, secret: Secret, authenticator: bytes) -> Secret:
    """The password's octets as they were typed into the NAS, whatever they are (R24).

    Only the NULs at the end go, as padding; those before stay, for the caller to refuse. The length is as
    `credential_kind` has checked it.
    """
    return Secret(unhide(sent, secret.reveal(), authenticator).rstrip(b"\0"))


def encrypt_password(password: Secret, secret: Secret, authenticator: bytes) -> bytes:
    """The hidden password. An empty one is a block of padding. Raises ValueError if it is longer than 128 octets."""
    octets = password.reveal()
    if len(octets) > MAX_PASSWORD:
        raise ValueError(f"a password of {len(octets)} octets; RADIUS carries {MAX_PASSWORD}")
    padded = octets.ljust(max(BLOCK, len(octets) + -len(octets) % BLOCK), b"\0")
    return hide(padded, secret.reveal(), authenticator)
