"""Sections where EAP ends: conversations by State, and the logins inside their tunnels."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from OpenSSL import SSL

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
MOST_CONVERSATIONS = 2048  # some 100 KiB each while TLS is in them
IDLE = 60.0  # seconds between two packets of a peer's


@dataclass(slots=True, eq=False)
class _Session:
    """One peer's. `said`: what its last packet was answered with; None while that is being decided."""

    conversation: Conversation
    client: str
    handle: bytes
    seen: float
    heard: bytes = b""
    said: Decision | None = None
    waiting: list[Answer] = field(default_factory=list)
    inner_state: bytes = b""  # of the challenge that is put to the user
    verdict: Accept | Reject | None = None


Work = Coroutine[Any, Any, None] | None


class EapSection:
    """Takes EAP; leaves other credentials to `plain`, a section of the same logins."""

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
        """`connect`: TLS without a socket, with our certificate; `patience`: seconds that a login may take."""
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
        self.sessions: OrderedDict[bytes, _Session] = OrderedDict() if earlier is None else earlier.sessions

    def __len__(self) -> int:
        return len(self.sessions)

    def ask(self, packet: Packet, kind: CredentialKind, asked: Asked, answer: Answer) -> Work:
        """As RadiusSection's. Raises MalformedPacket."""
        if kind is not CredentialKind.EAP:
            return self._plain.ask(packet, kind, asked, answer)
        self._forget(asked.received)
        message = b"".join(packet.all(EAP_MESSAGE))
        if packet.first(STATE) is None and self.stays_silent():
            # A conversation can't move to another server once it has begun; it begins there.
            answer(Silence(Reason.FAIL_CLOSED))
            return None
        session = self._session(packet, asked)
        if session is None:
            answer(self._reject(packet, asked, Reason.BAD_STATE, "unknown"))
            return None
        session.seen = asked.received
        self.sessions.move_to_end(session.handle)
        if message == session.heard:
            self._repeated(session, answer)
            return None
        if session.conversation.is_deciding:
            answer(self._reject(packet, asked, Reason.BAD_STATE, "out_of_turn"))
            return None
        session.heard, session.said, session.waiting = message, None, [answer]
        return self._heard(session, packet, asked, message)

    def continues(self, packet: Packet) -> bool:
        """A conversation that is under way, too."""
        return packet.first(STATE) in self.sessions or self._plain.continues(packet)

    def _repeated(self, session: _Session, answer: Answer) -> None:
        """R46: the NAS asks again under another Identifier."""
        if session.said is None:
            session.waiting.append(answer)
        else:
            answer(session.said)

    # ---- which conversation

    def _session(self, packet: Packet, asked: Asked) -> _Session | None:
        handle = packet.first(STATE)
        if handle is None:
            return self._new(packet, asked)
        session = self.sessions.get(handle)
        return session if session is not None and session.client == asked.client.key else None

    def _new(self, packet: Packet, asked: Asked) -> _Session:
        conversation = Conversation(self._connect, prompt=self._prompt, fragment=_mtu(packet))
        session = _Session(conversation, asked.client.key, self._new_handle(), asked.received)
        self.sessions[session.handle] = session
        while len(self.sessions) > MOST_CONVERSATIONS:
            self.sessions.popitem(last=False)
        return session

    def _forget(self, now: float) -> None:
        while self.sessions:
            oldest = next(iter(self.sessions.values()))
            limit = IDLE + (self._patience if oldest.conversation.is_deciding else 0)
            if now - oldest.seen < limit:
                return
            del self.sessions[oldest.handle]

    # ---- one packet

    def _heard(self, session: _Session, packet: Packet, asked: Asked, message: bytes) -> Work:
        try:
            step = session.conversation.receive(message)
        except (MalformedEap, TunnelFailed) as failed:
            asked.log.warn("radius.eap_failed", client=asked.client.name, problem=str(failed))
            # Of a login that was decided, the event is written.
            cause = "tunnel" if isinstance(failed, TunnelFailed) else "eap"
            verdict = session.verdict if isinstance(session.verdict, Reject) else None
            self._end(session, verdict or self._reject(packet, asked, Reason.MALFORMED, cause))
            return None
        if isinstance(step, Typed):
            return self._typed(session, packet, asked, step)
        self._say(session, step)
        return None

    def _say(self, session: _Session, step: Step) -> None:
        match step:
            case Send(message):
                # A round of EAP: nothing is decided by it, and nothing recorded.
                reply = Challenge(Reason.FACTOR_PROMPT, "", session.handle, EapReply(message))
                self._answer(session, reply)
            case Ended(bytes() as message, Secret() as keys) if isinstance(session.verdict, Accept):
                verdict = session.verdict
                self._end(session, replace(verdict, carried=EapReply(message, keys, verdict.carried)))
            case _:
                verdict_ = (
                    session.verdict if isinstance(session.verdict, Reject) else Reject(Reason.MALFORMED)
                )
                self._end(session, verdict_)

    def _answer(self, session: _Session, decision: Decision) -> None:
        session.said = decision
        waiting, session.waiting = session.waiting, []
        for answer in waiting:
            answer(decision)

    def _end(self, session: _Session, decision: Decision) -> None:
        """An Accept is said once more to who asks the same again; whatever else comes is nobody's."""
        self._answer(session, decision)
        if self.sessions.get(session.handle) is session and not isinstance(decision, Accept):
            del self.sessions[session.handle]

    # ---- the login inside

    def _typed(self, session: _Session, packet: Packet, asked: Asked, typed: Typed) -> Work:
        inside = _inside(packet, typed.username, session.inner_state)
        try:
            username = read_username(typed.username)
        except MalformedUsername as malformed:
            asked.log.warn("radius.username_refused", client=asked.client.name, problem=str(malformed))
            self._decided(session, self._reject(packet, asked, Reason.MALFORMED, "username"))
            return None
        request = self._plain.request(inside, CredentialKind.PAP, asked, username, typed.secret)
        request = replace(request, can_challenge=typed.can_be_asked)
        if (wrong := _contradiction(packet, username, typed)) is not None:
            self._decided(session, self._rejecter.reject(request, Reason.MALFORMED, wrong))
            return None
        return self._logins.submit(request, partial(self._decided, session))

    def _decided(self, session: _Session, decision: Decision) -> None:
        """What the pipeline says goes into the tunnel first."""
        if isinstance(decision, Silence):
            # Whoever sends the same again gets no answer either, until the conversation is forgotten.
            self._answer(session, decision)
            return
        try:
            self._say(session, self._into_tunnel(session, decision))
        except TunnelFailed:
            self._end(session, Reject(Reason.MALFORMED))

    def _into_tunnel(self, session: _Session, decision: Accept | Challenge | Reject) -> Step:
        match decision:
            case Challenge(_, message, state, _):
                session.inner_state = state
                return session.conversation.ask(message)
            case Accept():
                session.verdict = decision
                return session.conversation.accept()
            case Reject():
                session.verdict = decision
                return session.conversation.refuse()

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
    return packet._replace(attributes=(*own, *rest))


def _mtu(packet: Packet) -> int:
    value = packet.first(FRAMED_MTU)
    # RFC 3579 §2.4; 4 octets of a link's own header (IEEE 802.1X) are in it.
    return min(int.from_bytes(value, "big") - 4, _MOST_MTU) if value and len(value) == 4 else _DEFAULT_MTU
