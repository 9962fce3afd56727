"""Options in LDAP's own words: names, filters, attributes."""

from __future__ import annotations

from typing import Annotated

from authproxy.config.options.reads import NAMED, Reads, text_of, wrong
from authproxy.config.options.simple import matching
from authproxy.config.reading import Reading
from authproxy.protocols.ldap.dn import MalformedDN, parse_dn
from authproxy.protocols.ldap.filter_text import MalformedFilter, parse_filter


def _dn(node: object, _: Reading) -> str:
    text = text_of(node, what="a DN")
    try:
        parse_dn(text)
    except MalformedDN as malformed:
        wrong(f"not a DN: {malformed}")
    return text


def _filter(node: object, _: Reading) -> str:
    text = text_of(node, what="a filter")
    try:
        parse_filter(text)
    except MalformedFilter as malformed:
        # A filter that is passed over lets in whom it should keep out.
        wrong(f"not a filter: {malformed}")
    return text


DnOption = Annotated[str, Reads(_dn, "a DN", NAMED)]
FilterOption = Annotated[str, Reads(_filter, "an LDAP filter", NAMED)]

# RFC 4512 §2.5: a short name or an OID.
AttributeName = Annotated[
    str,
    matching(
        r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+",
        "not the name of an LDAP attribute",
        "an LDAP attribute's name",
    ),
]
