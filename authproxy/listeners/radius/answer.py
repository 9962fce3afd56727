"""Turns a decision into a reply. Attributes that a primary sent are re-encrypted for the NAS here (R5,
R30, R38, R42).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeGuard

from authproxy.listeners.radius.eap_reply import EapReply, eap_messages, mppe_keys, without_keys
from authproxy.listeners.radius.mark import SessionMark
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reject, Silence
from authproxy.protocols.radius.attributes import reply_messages
from authproxy.protocols.radius.packet import EAP_MESSAGE, STATE, Attribute, Code, Packet
from authproxy.protocols.radius.relay import FromPrimary, accepted, challenged, eap_failure, rejected
from authproxy.protocols.radius.salted import Hop, Salts
from authproxy.protocols.radius.settings import Granted, granted_over, silent
from authproxy.secret import Secret

# One for all replies of the process: two of them differ, too (R31).
_SALTS = Salts(secrets.randbelow(0x8000))


def reply_of(decision: Decision, packet: Packet, secret: Secret) -> tuple[Code, Sequence[Attribute]]:
    """The reply's code and attributes; the codec adds Message-Authenticator and Proxy-State. `packet`: the NAS's
    request.

    Raises UnreadableValue if a hidden value of the primary's can't be decrypted, so its secret is another than ours
    (R31).
    """
    match decision:
        case Accept(carried=EapReply() as eap, mark=mark, granted=granted):
            said = _let_in(eap, _ours(granted), Hop(secret, packet.authenticator))
            return Code.ACCESS_ACCEPT, _marked(said, mark)
        case Challenge(state=state, carried=EapReply(message=message)):
            return Code.ACCESS_CHALLENGE, [*eap_messages(message), Attribute(STATE, state)]
        case Accept(message=message, carried=carried, mark=mark, granted=granted):
            over = accepted(carried, Hop(secret, packet.authenticator), _SALTS) if _is_reply(carried) else []
            said = [*reply_messages(message), *over] if message else over
            if granted:
                ours = _ours(granted)
                if any(attribute.type == EAP_MESSAGE for attribute in over):
                    ours = silent(ours)
                said = granted_over(said, ours)
            return Code.ACCESS_ACCEPT, _marked(said, mark)
        case Challenge(_, message, state, carried):
            if _is_reply(carried):
                return Code.ACCESS_CHALLENGE, challenged(carried, Hop(secret, packet.authenticator), _SALTS)
            return Code.ACCESS_CHALLENGE, [*reply_messages(message, lines=True), Attribute(STATE, state)]
        case Reject(_, message, carried):
            # R42: nothing of an Accept of the primary's is in here; what is carried is its own Reject.
            said = rejected(carried) if _is_reply(carried) else reply_messages(message)
            ended = any(attribute.type == EAP_MESSAGE for attribute in said)
            return Code.ACCESS_REJECT, said if ended else [*said, *eap_failure(packet)]
        case Silence():
            raise AssertionError("silence has no octets")


def _ours(granted: tuple[object, ...]) -> list[Granted]:
    return [each for each in granted if isinstance(each, Granted)]


def _marked(attributes: list[Attribute], mark: object) -> list[Attribute]:
    """F9: over what the primary and our own rules grant: it is there to restrict."""
    return mark.on(attributes) if isinstance(mark, SessionMark) else attributes


def _let_in(eap: EapReply, ours: list[Granted], hop: Hop) -> list[Attribute]:
    """RFC 3579 §2.6.5: no words beside EAP."""
    over = accepted(eap.carried, hop, _SALTS) if _is_reply(eap.carried) else []
    keys = mppe_keys(eap.keys, hop, _SALTS) if eap.keys is not None else []
    return [*granted_over(without_keys(over), silent(ours)), *keys, *eap_messages(eap.message)]


def _is_reply(carried: object) -> TypeGuard[FromPrimary]:
    return isinstance(carried, FromPrimary)
