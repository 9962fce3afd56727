"""Sections in which EAP ends: conversations by State, and the logins inside their tunnels."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from OpenSSL import SSL

from authproxy.listeners.radius.eap_conversations import Conversations, Peer
from authproxy.listeners.radius.eap_reply import EapReply
from authproxy.listeners.radius.section import Asked, Logins, RadiusSection, Rejecter
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject, Silence
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import (
    MalformedUsername,
    Username,
    canonical,
    may_stand_for,
    read_username,
)
from authproxy.protocols.eap.conversation import (
    Conversation,
    Ended,
    MalformedEap,
    Send,
    Step,
    TunnelFailed,
    Typed,
)
from authproxy.protocols.radius.packet import (
    EAP_MESSAGE,
    MESSAGE_AUTHENTICATOR,
    STATE,
    USER_NAME,
    Attribute,
    Packet,
)
from authproxy.protocols.radius.password import CredentialKind
from authproxy.secret import Secret

FRAMED_MTU = 12
# RFC 3579 §2.4: what the link behind the NAS takes; without Framed-MTU, what any does (RFC 3748 §3.1).
_DEFAULT_MTU = 1020
_MOST_MTU = 1500
_HANDLE = 16  # octets: nobody guesses another's

Work = Coroutine[Any, Any, None] | None


class EapSection:
    """Handles EAP; other credentials go to `plain`, a section with the same logins."""

    def __init__(
        self,
        plain: RadiusSection,
        *,
        logins: Logins,
        rejecter: Rejecter,
        connect: Callable[[], SSL.Connection],
        prompt: str,
        patience: float,
        earlier: EapSection | None = None,
        new_handle: Callable[[], bytes] = lambda: secrets.token_bytes(_HANDLE),
    ) -> None:
        """`connect`: makes TLS without a socket, with our certificate. `patience`: seconds that a login may take."""
        self.name = plain.name
        self.stays_silent = plain.stays_silent
        self._plain = plain
        self._logins = logins
        self._rejecter = rejecter
        self._connect = connect
        self._prompt = prompt
        self._patience = patience
        self._new_handle = new_handle
        # After a reload, conversations go on where they are (A13).
        self.conversations: Conversations = Conversations() if earlier is None else earlier.conversations

    def __len__(self) -> int:
        return len(self.conversations)

    def ask(self, packet: Packet, kind: CredentialKind, asked: Asked, answer: Answer) -> Work:
        """As RadiusSection.ask. Raises MalformedPacket."""
        if kind is not CredentialKind.EAP:
            return self._plain.ask(packet, kind, asked, answer)
        self.conversations.forget(asked.received, self._patience)
        message = b"".join(packet.all(EAP_MESSAGE))
        if packet.first(STATE) is None and self.stays_silent():
            # A conversation can't move to another server once it has begun; it begins there.
            answer(Silence(Reason.FAIL_CLOSED))
            return None
        peer = self._peer(packet, asked)
        if peer is None:
            begins = packet.first(STATE) is None
            reason, cause = (Reason.OVERLOADED, "conversations") if begins else (Reason.BAD_STATE, "unknown")
            answer(self._reject(packet, asked, reason, cause))
            return None
        self.conversations.heard(peer, asked.received)
        late = self.conversations.is_late(peer, asked.received)
        if message == peer.heard and not late:
            self._repeated(peer, answer)
            return None
        if late or peer.conversation.is_deciding:
            answer(self._reject(packet, asked, Reason.BAD_STATE, "late" if late else "out_of_turn"))
            if late:
                self.conversations.drop(peer)
            return None
        peer.heard, peer.said, peer.waiting = message, None, [answer]
        return self._heard(peer, packet, asked, message)

    def continues(self, packet: Packet) -> bool:
        """Also true for a conversation that has begun."""
        return packet.first(STATE) in self.conversations or self._plain.continues(packet)

    def _repeated(self, peer: Peer, answer: Answer) -> None:
        """R46: the NAS asks again under another Identifier."""
        if peer.said is None:
            peer.waiting.append(answer)
        else:
            answer(peer.said)

    # ---- which conversation

    def _peer(self, packet: Packet, asked: Asked) -> Peer | None:
        """A new one where the packet has no State. None: there is none of this client's, or no room for another."""
        handle = packet.first(STATE)
        if handle is not None:
            return self.conversations.get(handle, asked.client.key)
        conversation = Conversation(self._connect, prompt=self._prompt, fragment=_mtu(packet))
        peer = Peer(conversation, asked.client.key, self._new_handle(), asked.received)
        return peer if self.conversations.add(peer) else None

    # ---- one packet

    def _heard(self, peer: Peer, packet: Packet, asked: Asked, message: bytes) -> Work:
        try:
            step = peer.conversation.receive(message)
        except (MalformedEap, TunnelFailed) as failed:
            asked.log.warn("radius.eap_failed", client=asked.client.name, problem=str(failed))
            # Of a login that was decided, the event is written.
            cause = "tunnel" if isinstance(failed, TunnelFailed) else "eap"
            verdict = peer.verdict if isinstance(peer.verdict, Reject) else None
            self._end(peer, verdict or self._reject(packet, asked, Reason.MALFORMED, cause))
            return None
        if peer.conversation.has_tunnel:
            self.conversations.has_tunnel(peer)
        if isinstance(step, Typed):
            return self._typed(peer, packet, asked, step)
        self._say(peer, step)
        return None

    def _say(self, peer: Peer, step: Step) -> None:
        match step:
            case Send(message):
                # A round of EAP: nothing is decided by it, and nothing recorded.
                reply = Challenge(Reason.FACTOR_PROMPT, "", peer.handle, EapReply(message))
                self._answer(peer, reply)
            case Ended(bytes() as message, Secret() as keys) if isinstance(peer.verdict, Accept):
                verdict = peer.verdict
                self._end(peer, replace(verdict, carried=EapReply(message, keys, verdict.carried)))
            case _:
                verdict_ = peer.verdict if isinstance(peer.verdict, Reject) else Reject(Reason.MALFORMED)
                self._end(peer, verdict_)

    def _answer(self, peer: Peer, decision: Decision) -> None:
        peer.said = decision
        waiting, peer.waiting = peer.waiting, []
        for answer in waiting:
            answer(decision)

    def _end(self, peer: Peer, decision: Decision) -> None:
        """An Accept is said once more to who asks the same again; whatever else comes is nobody's."""
        self._answer(peer, decision)
        if not isinstance(decision, Accept):
            self.conversations.drop(peer)

    # ---- the login inside

    def _typed(self, peer: Peer, packet: Packet, asked: Asked, typed: Typed) -> Work:
        inside = _inside(packet, typed.username, peer.inner_state)
        try:
            username = read_username(typed.username)
        except MalformedUsername as malformed:
            asked.log.warn("radius.username_refused", client=asked.client.name, problem=str(malformed))
            self._decided(peer, self._reject(packet, asked, Reason.MALFORMED, "username"))
            return None
        request = self._plain.request(inside, CredentialKind.PAP, asked, username, typed.secret)
        request = replace(request, can_challenge=typed.can_be_asked)
        if (wrong := _contradiction(packet, username, typed)) is not None:
            self._decided(peer, self._rejecter.reject(request, Reason.MALFORMED, wrong))
            return None
        return self._logins.submit(request, partial(self._decided, peer))

    def _decided(self, peer: Peer, decision: Decision) -> None:
        """What the pipeline says goes into the tunnel first."""
        if isinstance(decision, Silence):
            # Whoever sends the same again gets no answer either, until the conversation is forgotten.
            self._answer(peer, decision)
            return
        try:
            self._say(peer, self._into_tunnel(peer, decision))
        except TunnelFailed:
            self._end(peer, Reject(Reason.MALFORMED))

    def _into_tunnel(self, peer: Peer, decision: Accept | Challenge | Reject) -> Step:
        match decision:
            case Challenge(_, message, state, _):
                peer.inner_state = state
                return peer.conversation.ask(message)
            case Accept():
                peer.verdict = decision
                return peer.conversation.accept()
            case Reject():
                peer.verdict = decision
                return peer.conversation.refuse()

    def _reject(self, packet: Packet, asked: Asked, reason: Reason, cause: str) -> Reject:
        return self._rejecter.reject(self._outer(packet, asked), reason, cause)

    def _outer(self, packet: Packet, asked: Asked) -> AuthRequest:
        """For the record of what never got as far as a name inside."""
        return self._plain.unread(packet, CredentialKind.EAP, asked)


def _contradiction(packet: Packet, username: Username, typed: Typed) -> str | None:
    """The record's word for what keeps this from being anybody's login."""
    if b"\0" in typed.secret.reveal():
        return "nul_in_password"
    # The NAS would have this user's session under another's name.
    outside = canonical((packet.first(USER_NAME) or b"").decode("utf-8", "replace"))
    return None if may_stand_for(outside, username.canonical) else "another_name_inside"


def _inside(packet: Packet, username: bytes, state: bytes) -> Packet:
    """The request as if the NAS had sent what was typed in the tunnel: for the primary, and what it may see."""
    outer = (EAP_MESSAGE, STATE, USER_NAME, MESSAGE_AUTHENTICATOR)
    own = [Attribute(USER_NAME, username), *([Attribute(STATE, state)] if state else [])]
    rest = [attribute for attribute in packet.attributes if attribute.type not in outer]
    return Packet.of(packet.code, packet.identifier, packet.authenticator, [*own, *rest], packet.octets)


def _mtu(packet: Packet) -> int:
    value = packet.first(FRAMED_MTU)
    # RFC 3579 §2.4; 4 octets of a link's own header (IEEE 802.1X) are in it.
    return min(int.from_bytes(value, "big") - 4, _MOST_MTU) if value and len(value) == 4 else _DEFAULT_MTU
