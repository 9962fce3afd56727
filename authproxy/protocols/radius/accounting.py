"""Accounting-Request and Accounting-Response: signed as a whole, the request too (RFC 2866 §3; R23)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from authproxy.protocols.radius.keyed import hmac_md5, md5
from authproxy.protocols.radius.message_authenticator import BLANK, TYPE_AND_LENGTH
from authproxy.protocols.radius.packet import (
    HEADER,
    MAX_PACKET,
    MESSAGE_AUTHENTICATOR,
    PROXY_STATE,
    Attribute,
    Code,
    Packet,
    encode_attributes,
)
from authproxy.secret import Secret

_OWN = frozenset((PROXY_STATE, MESSAGE_AUTHENTICATOR))


def is_from_who_knows(packet: Packet, secret: Secret) -> bool:
    """Whether the Request Authenticator of an Accounting-Request is right (RFC 2866 §3: otherwise discard it)."""
    return hmac.compare_digest(
        _authenticator(packet.octets[:4], packet.octets[HEADER:], secret), packet.authenticator
    )


def accounting_request(
    attributes: Iterable[tuple[int, bytes]],
    *,
    identifier: int,
    secret: Secret,
    message_authenticator: bool = False,
) -> Packet:
    """Any Message-Authenticator among `attributes` is left out; with one of its own it stands first.

    RFC 3579 §3.3 has none in accounting, and some servers want none. Raises ValueError: a value or a packet that is
    too long.
    """
    carried = [attribute for attribute in attributes if attribute[0] != MESSAGE_AUTHENTICATOR]
    body = encode_attributes(carried)
    length = HEADER + (18 if message_authenticator else 0) + len(body)
    if length > MAX_PACKET:
        raise ValueError(f"a request of {length} octets; RADIUS carries {MAX_PACKET}")
    head = bytes((Code.ACCOUNTING_REQUEST, identifier, length >> 8, length & 0xFF))
    if message_authenticator:
        # R23: over an Authenticator of zeros, because the real one is made of this.
        signature = hmac_md5(secret.reveal(), b"".join((head, BLANK, TYPE_AND_LENGTH, BLANK, body)))
        carried = [(MESSAGE_AUTHENTICATOR, signature), *carried]
        body = b"".join((TYPE_AND_LENGTH, signature, body))
    authenticator = _authenticator(head, body, secret)
    return Packet.of(
        Code.ACCOUNTING_REQUEST, identifier, authenticator, carried, b"".join((head, authenticator, body))
    )


def relayed_request(packet: Packet, proxy_state: bytes) -> list[Attribute]:
    """The attributes to forward: all of the NAS's request in their order, then our Proxy-State (RFC 2866 §2.3, R34)."""
    kept = [attribute for attribute in packet.attributes if attribute.type != MESSAGE_AUTHENTICATOR]
    return [*kept, Attribute(PROXY_STATE, proxy_state)]


def relayed_response(reply: Packet) -> list[Attribute]:
    """The attributes to return of a server's response; encoding adds the request's Proxy-State."""
    return [attribute for attribute in reply.attributes if attribute.type not in _OWN]


def _authenticator(head: bytes, body: bytes, secret: Secret) -> bytes:
    return md5(b"".join((head, BLANK, body, secret.reveal()))).digest()
