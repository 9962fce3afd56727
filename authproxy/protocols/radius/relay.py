"""What goes over from one RADIUS hop to the other: chosen by name, carried octet for octet (R5, R38, R42, R43).

Towards the primary: the credential, and what the section lets through. Towards the NAS: what the primary's section
lets through of an Accept, all of a Challenge, and of a Reject only what says no.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from functools import lru_cache

from authproxy.protocols.radius.packet import (
    CHAP_PASSWORD,
    EAP_MESSAGE,
    MESSAGE_AUTHENTICATOR,
    PROXY_STATE,
    REPLY_MESSAGE,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    VENDOR_SPECIFIC,
    Attribute,
    Packet,
    encode_attributes,
)
from authproxy.protocols.radius.password import CredentialKind
from authproxy.protocols.radius.salted import Crossing, Hiding, Hop, Salts
from authproxy.protocols.radius.vendor import VENDOR_ID, Key, sub_attributes
from authproxy.values import light_dataclass

MICROSOFT = 311
CHAP_CHALLENGE = 60
ERROR_CAUSE = 101
NAS_IP_ADDRESS, NAS_IDENTIFIER, NAS_IPV6_ADDRESS = 4, 32, 95

# Made anew on every hop.
_OWN = frozenset((MESSAGE_AUTHENTICATOR, PROXY_STATE))
# The credential's own, which goes over by itself and never by being named.
_CREDENTIAL = frozenset((USER_NAME, USER_PASSWORD, CHAP_PASSWORD, CHAP_CHALLENGE, EAP_MESSAGE, STATE))
# Acct-Delay-Time, Acct-Session-Id, Acct-Multi-Session-Id, Event-Timestamp: of each attempt.
_PASSING = _CREDENTIAL | {41, 44, 50, 55}
# NAS-Port and NAS-Port-Id, too, unless NAS-Port-Type names a kind that stands in a house (RFC 2865 §5.41).
_PASSING_OF_A_LINE = _PASSING | {5, 87}
NAS_PORT_TYPE = 61
_VIRTUAL = (5).to_bytes(4, "big")
# RFC 2548 §2.1, §2.3: requests and password changes of MS-CHAP.
_MSCHAP_ASKS = frozenset((MICROSOFT, type) for type in (1, 3, 4, 5, 6, 11, 25, 27))
# Its answers: Error, Domain, Success, and the keys without which the tunnel has none (RFC 2548 §2.4).
_MSCHAP_ANSWERS = frozenset((MICROSOFT, type) for type in (2, 7, 8, 10, 12, 16, 17, 26))
_REFUSES = frozenset[Key]({(None, REPLY_MESSAGE), (None, ERROR_CAUSE), (None, EAP_MESSAGE), (MICROSOFT, 2)})


@light_dataclass(frozen=True, slots=True)
class Allowed:
    """Which attributes may be passed on. `everything`: all but those that belong to each hop."""

    keys: frozenset[Key] = frozenset()
    everything: bool = False


NOTHING = Allowed()
_EVERYTHING = Allowed(everything=True)
_ASKS = Allowed(_MSCHAP_ASKS)
_NO = Allowed(_REFUSES)


@light_dataclass(frozen=True, slots=True)
class FromNas:
    """A NAS's request, for a RADIUS primary."""

    packet: Packet
    kind: CredentialKind
    allowed: Allowed = NOTHING


@light_dataclass(frozen=True, slots=True)
class FromPrimary:
    """A primary's reply. `allowed` applies to Accepts."""

    reply: Packet
    hop: Hop
    allowed: Allowed = NOTHING
    hidden: Mapping[Key, Hiding] = field(default_factory=dict)


def towards_primary(asked: FromNas) -> list[Attribute]:
    """The attributes to pass on to the primary; the caller adds User-Name and User-Password."""
    packet = asked.packet
    carried = _of(packet, STATE)
    if asked.kind is CredentialKind.CHAP:
        carried += _of(packet, CHAP_PASSWORD)
        # R28: without the attribute the challenge is the Authenticator, which the next hop has another of.
        carried += _of(packet, CHAP_CHALLENGE) or [Attribute(CHAP_CHALLENGE, packet.authenticator)]
    elif asked.kind is CredentialKind.EAP:
        carried += _of(packet, EAP_MESSAGE)
    if VENDOR_SPECIFIC in packet.types:  # _ASKS names no others
        carried += _chosen(packet, _ASKS)
    taken = _chosen(packet, asked.allowed, but=_CREDENTIAL)
    carried += [attribute for attribute in taken if attribute not in carried]
    return carried


def shown_to_primary(asked: FromNas) -> bytes:
    """What is let through of a NAS's request and says what it is for: by it a server may say yes or no (R46).

    Nothing that differs where a NAS asks for the same login once more. The name as it was typed: a server may tell
    apart what is one name here.
    """
    packet = asked.packet
    passing = _PASSING if _is_of_the_house(packet.first(NAS_PORT_TYPE)) else _PASSING_OF_A_LINE
    name = (USER_NAME, packet.first(USER_NAME) or b"")
    return encode_attributes([name, *_chosen(packet, asked.allowed, but=passing)])


def _is_of_the_house(port_type: bytes | None) -> bool:
    return port_type not in (None, _VIRTUAL)


def accepted(answered: FromPrimary, towards: Hop, salts: Salts) -> list[Attribute]:
    """The attributes of an Accept to pass on: those that are allowed, and those that the credential needs. Raises
    UnreadableValue.
    """
    return _over(answered, _with_needed(answered.allowed), towards, salts)


@lru_cache(maxsize=256)  # one for each section
def _with_needed(allowed: Allowed) -> Allowed:
    return Allowed(_MSCHAP_ANSWERS | {(None, EAP_MESSAGE)} | allowed.keys, allowed.everything)


def challenged(answered: FromPrimary, towards: Hop, salts: Salts) -> list[Attribute]:
    """The attributes of a Challenge to pass on: all of them, its State above all (RFC 2865 §5.24). Raises
    UnreadableValue.
    """
    return _over(answered, _EVERYTHING, towards, salts)


def rejected(answered: FromPrimary) -> list[Attribute]:
    """The attributes of the primary's own Reject to pass on: only its text (R42)."""
    return _chosen(answered.reply, _NO)


def eap_failure(request: Packet) -> list[Attribute]:
    """R44: the end of an EAP conversation that the primary thought well ended (RFC 3579 §2.6.3).

    Its identifier is that of the peer's last response. Nothing when the request has no EAP in it.
    """
    message = b"".join(request.all(EAP_MESSAGE))
    return [Attribute(EAP_MESSAGE, bytes((4, message[1], 0, 4)))] if len(message) >= 4 else []


def _over(answered: FromPrimary, allowed: Allowed, towards: Hop, salts: Salts) -> list[Attribute]:
    chosen = _chosen(answered.reply, allowed)
    return Crossing(answered.hop, towards, salts, answered.hidden).carry(chosen) if chosen else []


def _of(packet: Packet, type: int) -> list[Attribute]:
    return [Attribute(type, value) for value in packet.all(type)] if type in packet.types else []


def _chosen(packet: Packet, allowed: Allowed, but: Collection[int] = ()) -> list[Attribute]:
    """In their order, without the types `but`. Of a vendor's attribute with several inside, those that are allowed."""
    chosen: list[Attribute] = []
    if not (allowed.everything or allowed.keys):
        return chosen
    for type, value in zip(packet.types, packet.values, strict=True):
        if type in _OWN or type in but:
            continue
        if allowed.everything or (None, type) in allowed.keys:
            chosen.append(Attribute(type, value))
        elif type == VENDOR_SPECIFIC and (inside := _chosen_inside(value, allowed.keys)):
            chosen.append(Attribute(VENDOR_SPECIFIC, inside))
    return chosen


def _chosen_inside(value: bytes, keys: frozenset[Key]) -> bytes:
    """The value with only the allowed sub-attributes; nothing when none is, or when it has another format."""
    vendor = int.from_bytes(value[:VENDOR_ID], "big")
    kept = b"".join(
        bytes((type, len(inside) + 2)) + inside
        for type, inside in sub_attributes(value)
        if (vendor, type) in keys
    )
    return value[:VENDOR_ID] + kept if kept else b""
