"""LDAP requests in octets that the codec has no need to build: add, delete, modify, rename, compare."""

from __future__ import annotations

from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.controls import Control
from authproxy.protocols.ldap.requests import Request, UnbindRequest, encode_request


def sequence(*parts: bytes) -> bytes:
    return ber.tlv(ber.SEQUENCE, b"".join(parts))


def attribute(name: str, *values: bytes) -> bytes:
    return sequence(
        ber.text(name), ber.tlv(ber.SET, b"".join(ber.tlv(ber.OCTET_STRING, value) for value in values))
    )


def change(kind: int, name: str, *values: bytes) -> bytes:
    return sequence(ber.integer(kind, ber.ENUMERATED), attribute(name, *values))


def operation(tag: int, content: bytes, *controls: Control) -> bytes:
    """A request that the codec doesn't build; its id is put in front of it later."""
    behind = encode_request(1, UnbindRequest(), controls)
    return ber.tlv(tag, content) + behind[behind.index(b"\x42\x00") + 2 :]


def modify(dn: str, *changes: bytes) -> bytes:
    return operation(0x66, ber.text(dn) + sequence(*changes))


def compare(dn: str, name: str, value: bytes, *controls: Control) -> bytes:
    return operation(
        0x6E, ber.text(dn) + sequence(ber.text(name), ber.tlv(ber.OCTET_STRING, value)), *controls
    )


def whole(message_id: int, request: Request | bytes, *controls: Control) -> bytes:
    if isinstance(request, bytes):
        return sequence(ber.integer(message_id) + request)
    return encode_request(message_id, request, controls)
