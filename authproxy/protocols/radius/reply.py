"""Replies: Message-Authenticator first, Proxy-State as it came, signed (RFC 2865 §3, §5.33; RFC 3579 §3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from authproxy.protocols.radius.keyed import hmac_md5, md5
from authproxy.protocols.radius.message_authenticator import BLANK, TYPE_AND_LENGTH
from authproxy.protocols.radius.packet import (
    HEADER,
    MAX_PACKET,
    MESSAGE_AUTHENTICATOR,
    PROXY_STATE,
    Packet,
    encode_attributes,
)
from authproxy.secret import Secret

# What a reply makes itself; copied from elsewhere it would be wrong, or be Proxy-State that nobody asked for.
_OWN = frozenset((PROXY_STATE, MESSAGE_AUTHENTICATOR))


class ReplyTooLong(Exception):
    """The reply has more than 4096 octets; it must be neither cut nor sent (R6)."""


def encode_reply(
    code: int,
    request: Packet,
    secret: Secret,
    attributes: Iterable[tuple[int, bytes]],
    message_authenticator: bool = True,
) -> bytes:
    """The octets that answer this request.

    `attributes` in their order, then the request's Proxy-State in its order (R34); any Proxy-State or
    Message-Authenticator among `attributes` is left out. Message-Authenticator stands first (R18), where a
    chosen prefix can't come before it (CVE-2024-3596). Raises ReplyTooLong.
    """
    carried = [attribute for attribute in attributes if attribute[0] not in _OWN]
    carried += [(PROXY_STATE, state) for state in request.all(PROXY_STATE)]
    body = encode_attributes(carried)
    length = HEADER + (18 if message_authenticator else 0) + len(body)
    if length > MAX_PACKET:
        raise ReplyTooLong(f"{length} octets with {len(carried)} attributes")
    key = secret.reveal()
    start = bytes((code, request.identifier, length >> 8, length & 0xFF))
    if message_authenticator:
        unsigned = b"".join((start, request.authenticator, TYPE_AND_LENGTH, BLANK, body))
        body = b"".join((TYPE_AND_LENGTH, hmac_md5(key, unsigned), body))
    return b"".join((start, response_authenticator(start, request.authenticator, body, key), body))


def response_authenticator(start: bytes, request_authenticator: bytes, body: bytes, key: bytes) -> bytes:
    """RFC 2865 §3. `start`: Code, Identifier and Length; `body`: the attributes."""
    return md5(b"".join((start, request_authenticator, body, key))).digest()
