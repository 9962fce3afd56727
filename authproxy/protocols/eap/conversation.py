"""One peer's EAP, from its identity to success or failure: PEAP version 0 with GTC, or TTLS version 0 with PAP.

A machine: the peer's packets go in, and out comes what to send, what its user typed, or that it is over. Who may come
in is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from enum import Enum, auto

from OpenSSL import SSL

from authproxy.protocols.eap.avps import read_pap
from authproxy.protocols.eap.fragments import ACKNOWLEDGE, START, Incoming, Outgoing
from authproxy.protocols.eap.packet import (
    MalformedEap,
    Response,
    Type,
    inner_request,
    is_success,
    read_inner,
    read_response,
    request,
    result_request,
    success,
)
from authproxy.protocols.eap.tunnel import Tunnel, TunnelFailed
from authproxy.secret import Secret
from authproxy.values import light_dataclass

__all__ = ["Conversation", "Ended", "MalformedEap", "Send", "TunnelFailed", "Typed"]

# What is proposed, in this order; a peer that wants another says so (RFC 3748 §5.3.1).
_METHODS = (Type.PEAP, Type.TTLS)
MOST_ROUNDS = 200  # packets of one conversation; a login has some ten, small fragments some hundred


@light_dataclass(frozen=True, slots=True)
class Send:
    """A Request to send to the peer."""

    message: bytes = field(repr=False)


@light_dataclass(frozen=True, slots=True)
class Typed:
    """What the user typed, the password first. Decide it, then call `accept`, `ask` or `refuse`."""

    username: bytes
    secret: Secret
    can_be_asked: bool


@light_dataclass(frozen=True, slots=True)
class Ended:
    """`message` and `keys` after a success; both None after a failure."""

    message: bytes | None = None
    keys: Secret | None = field(default=None, repr=False)


Step = Send | Typed | Ended


class _Phase(Enum):
    BEGIN = auto()
    PROPOSED = auto()
    HANDSHAKE = auto()
    IDENTITY = auto()  # PEAP: asked who it is, inside
    GTC = auto()  # PEAP: asked for something to type
    PAP = auto()  # TTLS: its AVPs are due
    DECIDING = auto()
    ACCEPTED = auto()  # PEAP: told so inside, and its agreement is due
    REFUSED = auto()
    OVER = auto()


class Conversation:
    def __init__(self, connect: Callable[[], SSL.Connection], *, prompt: str, fragment: int) -> None:
        """`connect`: a server's TLS connection without a socket; `prompt`: the question for the password; `fragment`:
        octets.
        """
        self._connect = connect
        self._prompt = prompt
        self._phase = _Phase.BEGIN
        self._identifier = 0
        self._rounds = 0
        self._method = _METHODS[0]
        self._proposed: set[int] = set()
        self._incoming, self._outgoing = Incoming(), Outgoing(fragment)
        self._username = b""
        self._tunnel: Tunnel

    @property
    def is_deciding(self) -> bool:
        return self._phase is _Phase.DECIDING

    @property
    def has_tunnel(self) -> bool:
        """Whether the TLS handshake is complete."""
        return self._phase not in (_Phase.BEGIN, _Phase.PROPOSED, _Phase.HANDSHAKE)

    def receive(self, octets: bytes) -> Step:
        """What to do after the peer's packet. Raises MalformedEap or TunnelFailed: the conversation is over, without
        success.
        """
        try:
            return self._receive(read_response(octets))
        except (MalformedEap, TunnelFailed):
            self._phase = _Phase.OVER
            raise

    def _receive(self, response: Response) -> Step:
        self._rounds += 1
        if self._rounds > MOST_ROUNDS:
            raise MalformedEap(f"more than {MOST_ROUNDS} packets")
        if self._phase is _Phase.BEGIN:
            self._identifier = response.identifier
            return self._begin(response)
        if response.identifier != self._identifier:
            raise MalformedEap(f"identifier {response.identifier}, where {self._identifier} was asked")
        if self._phase is _Phase.PROPOSED and response.type == Type.NAK:
            return self._other_method(response.data)
        if self._phase in (_Phase.DECIDING, _Phase.OVER) or response.type != self._method:
            raise MalformedEap(f"type {response.type} in phase {self._phase.name}")
        return self._in_method(response.data)

    # ---- which method

    def _begin(self, response: Response) -> Send:
        if response.type != Type.IDENTITY:
            raise MalformedEap(f"type {response.type}, where an Identity is due")
        return self._propose(_METHODS[0])

    def _propose(self, method: Type) -> Send:
        self._method = method
        self._proposed.add(method)
        self._phase = _Phase.PROPOSED
        return self._request(START)

    def _other_method(self, wanted: bytes) -> Send:
        for method in _METHODS:
            if method in wanted and method not in self._proposed:
                return self._propose(method)
        raise MalformedEap(
            f"the peer speaks methods {list(wanted[:8])}, and here are PEAP (25) and TTLS (21)"
        )

    # ---- octets of the method

    def _in_method(self, data: bytes) -> Step:
        if self._phase is _Phase.PROPOSED:
            self._tunnel = Tunnel(self._connect())
            self._phase = _Phase.HANDSHAKE
        if self._outgoing.pending:
            if len(data) != 1:
                raise MalformedEap("octets where an acknowledgement is due")
            return self._request(self._outgoing.next())
        message = self._incoming.add(data)
        if message is None:
            return self._request(ACKNOWLEDGE)
        self._tunnel.receive(message)
        return self._further(self._tunnel.read())

    def _further(self, said: bytes) -> Step:
        match self._phase:
            case _Phase.HANDSHAKE:
                return self._handshake(said)
            case _Phase.IDENTITY if said:
                return self._identified(read_inner(said))
            case _Phase.GTC if said:
                return self._answered(read_inner(said))
            case _Phase.PAP if said:
                self._phase = _Phase.DECIDING
                username, password = read_pap(said)
                return Typed(username, Secret(password), can_be_asked=False)
            case _Phase.ACCEPTED | _Phase.REFUSED:
                return self._agreed(said)
            case _:
                raise MalformedEap(f"nothing said in phase {self._phase.name}")

    def _handshake(self, said: bytes) -> Step:
        if not self._tunnel.is_established:
            return self._flush()
        if self._method is Type.TTLS:
            self._phase = _Phase.PAP
            # With TLS 1.3 they may stand behind the peer's Finished.
            return self._further(said) if said else self._flush()
        waiting = self._tunnel.outgoing()
        if waiting and not self._tunnel.is_tls13:
            # Our Finished goes alone; the peer acknowledges it, and is asked then.
            return self._request(self._outgoing.begin(waiting))
        self._phase = _Phase.IDENTITY
        return self._say(inner_request(Type.IDENTITY, b""), before=waiting)

    # ---- inside PEAP

    def _identified(self, response: Response) -> Send:
        if response.type != Type.IDENTITY:
            raise MalformedEap(f"type {response.type} inside, where an Identity is due")
        self._username = response.data
        return self.ask(self._prompt)

    def _answered(self, response: Response) -> Typed:
        if response.type != Type.GTC:
            raise MalformedEap(f"type {response.type} inside: the inner method has to be GTC")
        self._phase = _Phase.DECIDING
        return Typed(self._username, Secret(response.data), can_be_asked=True)

    def _agreed(self, said: bytes) -> Ended:
        accepted = self._phase is _Phase.ACCEPTED and bool(said) and is_success(read_inner(said))
        self._phase = _Phase.OVER
        return self._succeeded() if accepted else Ended()

    # ---- what was decided

    def ask(self, text: str) -> Send:
        """Ask the user to type something else; PEAP only."""
        self._phase = _Phase.GTC
        return self._say(inner_request(Type.GTC, text.encode()))

    def accept(self) -> Send | Ended:
        if self._method is Type.TTLS:
            self._phase = _Phase.OVER
            return self._succeeded()
        self._phase = _Phase.ACCEPTED
        return self._say(result_request(self._identifier, accepted=True))

    def refuse(self) -> Send | Ended:
        if self._method is Type.TTLS:
            self._phase = _Phase.OVER
            return Ended()
        self._phase = _Phase.REFUSED
        return self._say(result_request(self._identifier, accepted=False))

    def _succeeded(self) -> Ended:
        return Ended(success(self._identifier), self._tunnel.master_session_key(self._method))

    # ---- out

    def _say(self, inside: bytes, before: bytes = b"") -> Send:
        self._tunnel.write(inside)
        return self._flush(before)

    def _flush(self, before: bytes = b"") -> Send:
        return self._request(self._outgoing.begin(before + self._tunnel.outgoing()))

    def _request(self, data: bytes) -> Send:
        self._identifier = (self._identifier + 1) & 0xFF
        return Send(request(self._identifier, self._method, data))
