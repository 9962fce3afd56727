"""Whose login a RADIUS server has accepted (R33): by EAP that is not always the one whose name the NAS sends.

A tunnel or a certificate lets in the user who is named inside, and only the server can read that name. The device
chooses the name outside freely: it can be another account than the one whose password is right.
"""

from __future__ import annotations

from enum import StrEnum

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
from authproxy.values import light_dataclass

ANOTHER_NAME = Refused("another_name_inside")
UNKNOWN = (
    "the Accept doesn't prove who is inside EAP's tunnel: see eap_outer_name, or have devices say `anonymous` outside "
    "and the server send User-Name"
)


class OuterName(StrEnum):
    """What the name outside counts for where the server's Accept doesn't prove who is inside."""

    REFUSE = "refuse"  # nothing: the login is rejected
    ASK = "ask"  # the factor is always this user's, and nothing else that goes by the name lets anyone in
    TRUST = "trust"  # the server has refused the login unless both names are the same


@light_dataclass(frozen=True, slots=True)
class Whose:
    """`name`: canonical. `proven`: the one who was let in surely has it."""

    name: str
    proven: bool = True


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


def whose(request: AuthRequest, reply: Packet, outer: OuterName) -> Whose | Refused:
    """Whom this Accept lets in. `outer`: the administrator's rule for names that nothing proves.

    Raises PrimaryUnavailable: nobody can tell.
    """
    outside = request.username.canonical
    eap = eap_of(request)
    if eap is None:
        return Whose(outside)
    said = _said(reply)
    if said and not may_stand_for(outside, said):
        return ANOTHER_NAME
    if is_by_the_name_outside(eap) and not is_anonymous(outside):
        return Whose(outside)
    name = said or outside
    if is_anonymous(name):
        raise PrimaryUnavailable(UNKNOWN)
    # Many servers repeat what they were asked with (RFC 2869 §2.3.1): only a name that wasn't in it is news.
    if is_anonymous(outside) or outer is OuterName.TRUST:
        return Whose(name)
    if outer is OuterName.REFUSE:
        raise PrimaryUnavailable(UNKNOWN)
    return Whose(name, proven=False)


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
