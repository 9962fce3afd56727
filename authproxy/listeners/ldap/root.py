"""The root DSE as this proxy serves it (L22): nothing is advertised that doesn't work here."""

from __future__ import annotations

from collections.abc import Iterator

from authproxy.listeners.ldap.rules import PASSWORD_CHECKS
from authproxy.protocols.ldap.controls import decode_controls
from authproxy.protocols.ldap.framing import frame_of
from authproxy.protocols.ldap.requests import START_TLS
from authproxy.protocols.ldap.responses import (
    Attribute,
    SearchResultEntry,
    decode_response,
    encode_response,
)

_MECHANISMS = "supportedsaslmechanisms"
_EXTENSIONS = "supportedextension"
_VERSIONS = "supportedldapversion"
_NOT_HERE = frozenset(oid.encode() for oid in (START_TLS, *PASSWORD_CHECKS))


def as_served_here(octets: bytes, *, start_tls: bool) -> bytes:
    """The root DSE's message, changed for this proxy. Raises MalformedMessage."""
    frame = frame_of(octets)
    entry = decode_response(frame)
    if not isinstance(entry, SearchResultEntry) or entry.dn:
        return octets
    told = SearchResultEntry(entry.dn, tuple(_told(entry, start_tls)))
    return encode_response(frame.message_id, told, decode_controls(frame))


def _told(entry: SearchResultEntry, start_tls: bool) -> Iterator[Attribute]:
    for attribute in entry.attributes:
        values = attribute.values
        match attribute.name.lower():
            case name if name == _MECHANISMS:
                continue
            case name if name == _VERSIONS and values:
                values = (b"3",)
            case name if name == _EXTENSIONS and values:
                values = tuple(value for value in values if value not in _NOT_HERE)
                if start_tls:
                    values = (*values, START_TLS.encode())
                if not values:
                    continue
        yield Attribute(attribute.name, values)
