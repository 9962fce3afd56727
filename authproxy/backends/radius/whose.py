"""Whose login a RADIUS server has accepted (R33): by EAP that is not always the one whose name the NAS sends.

A tunnel or a certificate lets in whoever is named inside, and only the server reads that. A factor of the name outside
would be a factor of whomever the peer likes: of its own account, with somebody else's password.
"""

from __future__ import annotations

from authproxy.pipeline.ports import PrimaryUnavailable, Refused
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import (
    MalformedUsername,
    canonical,
    is_anonymous,
    may_stand_for,
    read_username,
)
from authproxy.protocols.eap.outside import is_by_the_name_outside, name_inside
from authproxy.protocols.radius.packet import EAP_MESSAGE, USER_NAME, Packet
from authproxy.protocols.radius.password import CredentialKind
from authproxy.protocols.radius.relay import FromNas

ANOTHER_NAME = Refused("another_name_inside")
UNKNOWN = (
    "the Accept doesn't prove who is inside EAP's tunnel: see trust_eap_identity, or have devices say `anonymous` "
    "outside and the server say User-Name"
)


def eap_of(request: AuthRequest) -> bytes | None:
    """The EAP packet in it. None: it has none."""
    asked = request.carried
    if not isinstance(asked, FromNas) or asked.kind is not CredentialKind.EAP:
        return None
    return b"".join(asked.packet.all(EAP_MESSAGE))


def names_another(request: AuthRequest, eap: bytes) -> bool:
    """Whether a proof without a tunnel has a name in it that is not the NAS's. Servers differ in which they check."""
    name = name_inside(eap)
    return name is not None and not may_stand_for(
        request.username.canonical, canonical(name.decode("utf-8", "replace"))
    )


def accepted_name(request: AuthRequest, reply: Packet, *, trusted: bool) -> str | Refused:
    """The canonical name of whom this Accept lets in. `trusted`: what the server says of it is checked there.

    Raises PrimaryUnavailable: nobody can tell.
    """
    outside = request.username.canonical
    eap = eap_of(request)
    if eap is None:
        return outside
    said = _said(reply)
    if said and not may_stand_for(outside, said):
        return ANOTHER_NAME
    if is_by_the_name_outside(eap) and not is_anonymous(outside):
        return outside
    name = said or outside
    # Many servers repeat what they were asked with (RFC 2869 §2.3.1): only a name that wasn't in it is news.
    if is_anonymous(name) or not (trusted or is_anonymous(outside)):
        raise PrimaryUnavailable(UNKNOWN)
    return name


def _said(reply: Packet) -> str:
    """Raises PrimaryUnavailable: names that can't be read, or more than one."""
    names = reply.all(USER_NAME)
    if not names:
        return ""
    try:
        (name,) = names
        return read_username(name.rstrip(b"\0")).canonical
    except (ValueError, MalformedUsername):
        raise PrimaryUnavailable("User-Name in the Accept can't be read") from None
