"""Message-Authenticator (RFC 3579 §3.2): the only proof that a request comes from who knows the secret."""

from __future__ import annotations

import hmac

from authproxy.protocols.radius.keyed import hmac_md5
from authproxy.protocols.radius.packet import HEADER, MESSAGE_AUTHENTICATOR, Code, Packet
from authproxy.secret import Secret

BLANK = bytes(16)
TYPE_AND_LENGTH = bytes((MESSAGE_AUTHENTICATOR, 18))
# RFC 5176 §2.3 and RFC 2866 §3: these are signed as a whole, so there was no Authenticator yet to sign over (R23).
_SIGNED_WITHOUT_AUTHENTICATOR = frozenset(
    (Code.ACCOUNTING_REQUEST, Code.DISCONNECT_REQUEST, Code.COA_REQUEST)
)


def verify_message_authenticator(
    packet: Packet, secret: Secret, request_authenticator: bytes | None = None
) -> bool | None:
    """None: it has none. A reply is checked over the Authenticator of the request it answers.

    More than one, or one of a wrong length, is a MalformedPacket already (R17).
    """
    before = packet.types.find(MESSAGE_AUTHENTICATOR)
    if before < 0:
        return None
    octets = packet.octets
    at = HEADER + 2 * before + sum(map(len, packet.values[:before])) + 2
    if request_authenticator is not None:
        authenticator = request_authenticator
    elif packet.code in _SIGNED_WITHOUT_AUTHENTICATOR:
        authenticator = BLANK
    else:
        authenticator = packet.authenticator
    signed = b"".join((octets[:4], authenticator, octets[HEADER:at], BLANK, octets[at + 16 :]))
    return hmac.compare_digest(hmac_md5(secret.reveal(), signed), octets[at : at + 16])
