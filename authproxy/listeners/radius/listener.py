"""One RADIUS port: find the client, believe or discard the packet, know what is a repetition, answer.

Silence on the wire is never silence in the counters: each discard has a cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.duplicates import Duplicates, Exchange, Identity
from authproxy.listeners.radius.section import Asked, RadiusSection, reply_of
from authproxy.listeners.radius.udp import Route, Source
from authproxy.observe.log import Log
from authproxy.pipeline.decision import Decision, Reject
from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import Code, MalformedPacket, Packet, decode
from authproxy.protocols.radius.password import CredentialKind, credential_kind
from authproxy.protocols.radius.reply import ReplyTooLong, encode_reply

PROXY_STATE = 33


class Latches(Protocol):
    """Which clients have shown a Message-Authenticator; lasts over a restart (R19)."""

    def __contains__(self, key: str) -> bool: ...

    def add(self, key: str) -> None: ...


class Discards(Protocol):
    def radius_discarded(self, cause: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    pending: int  # requests in progress, of all clients
    pending_per_client: int
    reject_delay: float  # seconds from receipt, at least, to any Reject (R48)
    reply_cache: float  # seconds that an answer is kept for a repeated datagram


@dataclass(frozen=True, slots=True)
class Served:
    """A client of a section."""

    client: Client
    section: RadiusSection


class RadiusListener:
    """Everything between the socket and the sections that share its port (R15)."""

    def __init__(
        self,
        *,
        receiver: str,
        served: PrefixTable[Served],
        limits: Limits,
        latches: Latches,
        reactor: IReactorTime,
        log: Log,
        discards: Discards,
    ) -> None:
        """`receiver` names the socket: two listeners never mistake each other's packets for their own."""
        self._receiver = receiver
        self._served = served
        self._limits = limits
        self._latches = latches
        self._reactor = reactor
        self._log = log
        self._discards = discards
        self._duplicates = Duplicates(limits.reply_cache)
        self._pending: Counter[str] = Counter()
        self._pending_total = 0
        self._proven: set[str] = set()
        self._draining = False
        self._idle: list[Deferred[None]] = []
        self.send: Callable[[bytes, Route], None] = lambda octets, route: None

    def serve(self, served: PrefixTable[Served], limits: Limits) -> None:
        """Go over to another configuration; requests in progress end under the one they began with (A13)."""
        self._served = served
        self._limits = limits
        self._duplicates.keep = limits.reply_cache

    @property
    def pending(self) -> int:
        return self._pending_total

    def drain(self) -> Deferred[None]:
        """Take nothing new; fires when the last request is answered (A12)."""
        self._draining = True
        drained: Deferred[None] = Deferred()
        if self._pending_total:
            self._idle.append(drained)
        else:
            drained.callback(None)
        return drained

    def received(self, datagram: bytes, source: Source, route: Route) -> None:
        """A datagram. Never raises: one that is our bug costs itself only (A19)."""
        try:
            self._receive(datagram, source, route)
        except MalformedPacket as malformed:
            self._discard(malformed.cause, source, str(malformed))
        except Exception as bug:  # noqa: BLE001 - the listener's catch-all
            self._discards.radius_discarded("internal")
            self._log.failure("radius.failed", bug, source=source.ip)

    def _receive(self, datagram: bytes, source: Source, route: Route) -> None:
        # The address first: what strangers send is not even parsed (R9, R10).
        served = self._served.find(source.ip)
        if served is None:
            self._discard("unknown_client", source)
            return
        packet = decode(datagram)
        match packet.code:
            case Code.ACCESS_REQUEST:
                self._access_request(packet, served, source, route)
            case Code.STATUS_SERVER:
                self._status_server(packet, served, source, route)
            case _:
                self._discard("code", source, f"code {packet.code}")

    # ---- Status-Server (RFC 5997)

    def _status_server(self, packet: Packet, served: Served, source: Source, route: Route) -> None:
        """§3: answered only with a right Message-Authenticator. Silent while draining, so that the NAS moves on."""
        if not verify_message_authenticator(packet, served.client.secret):
            self._discard("message_authenticator", source, "in Status-Server")
        elif self._draining:
            self._discards.radius_discarded("draining")
        else:
            self.send(encode_reply(Code.ACCESS_ACCEPT, packet, served.client.secret, []), route)

    # ---- Access-Request

    def _access_request(self, packet: Packet, served: Served, source: Source, route: Route) -> None:
        client = served.client
        kind = credential_kind(packet)
        authentic = self._authentic(packet, kind, client, source)
        if authentic is None:
            return
        now = self._reactor.seconds()
        identity = Identity(source, self._receiver, packet.identifier)
        known = self._duplicates.find(identity, packet.authenticator, now)
        if known is not None:
            self._repeated(known, route)
            return
        if self._draining or self._is_full(client):
            self._discard("draining" if self._draining else "overloaded", source)
            return
        exchange = self._duplicates.begin(identity, packet.authenticator, authentic=authentic)
        asked = Asked(client, source.ip, now, authentic, authentic or client.key in self._proven)
        self._begin(client)

        def answer(decision: Decision) -> None:
            self._answer(decision, exchange, packet, asked, route)

        try:
            work = served.section.ask(packet, kind, asked, answer)
        except MalformedPacket:
            self._end(client)
            self._duplicates.abandon(exchange)
            raise
        if work is not None:
            Deferred.fromCoroutine(work).addErrback(self._broken)

    def _authentic(self, packet: Packet, kind: CredentialKind, client: Client, source: Source) -> bool | None:
        """True: signed. False: unsigned and allowed to be. None: discarded (R16 to R19, R21)."""
        verified = verify_message_authenticator(packet, client.secret)
        if verified is False:
            self._discard("message_authenticator", source, "compare the shared secret of this client")
            return None
        if verified:
            if kind is not CredentialKind.EAP:
                self._latch(client)
            self._proven.add(client.key)
            return True
        if kind in (CredentialKind.EAP, CredentialKind.NONE):
            # RFC 3579 §3.1: EAP-Message needs one; so does a request with no credential at all (§3.3 note 1).
            self._discard("message_authenticator_missing", source, kind.name)
            return None
        if self._required(client):
            self._discard("message_authenticator_missing", source, f"client {client.name} has to send one")
            return None
        if packet.first(PROXY_STATE) is not None:
            # CVE-2024-3596 needs room for its collision, and Proxy-State is where it finds it.
            self._discard("proxy_state_unsigned", source)
            return None
        return False

    def _required(self, client: Client) -> bool:
        match client.require_message_authenticator:
            case RequireMessageAuthenticator.YES:
                return True
            case RequireMessageAuthenticator.NO:
                return False
            case RequireMessageAuthenticator.AUTO:
                return client.key in self._latches

    def _latch(self, client: Client) -> None:
        automatic = client.require_message_authenticator is RequireMessageAuthenticator.AUTO
        if automatic and client.key not in self._latches:
            self._latches.add(client.key)
            self._log.info("radius.message_authenticator_latched", client=client.name)

    def _repeated(self, known: Exchange, route: Route) -> None:
        if known.reply is None:
            self._discards.radius_discarded("duplicate")
        else:
            self.send(known.reply, route)

    def _is_full(self, client: Client) -> bool:
        # A1: new work is shed first, and silently: the NAS asks again or asks another server.
        return (
            self._pending_total >= self._limits.pending
            or self._pending[client.key] >= self._limits.pending_per_client
        )

    def _begin(self, client: Client) -> None:
        self._pending[client.key] += 1
        self._pending_total += 1

    def _end(self, client: Client) -> None:
        self._pending[client.key] -= 1
        self._pending_total -= 1
        if not self._pending_total:
            idle, self._idle = self._idle, []
            for drained in idle:
                drained.callback(None)

    # ---- the answer

    def _answer(
        self, decision: Decision, exchange: Exchange, packet: Packet, asked: Asked, route: Route
    ) -> None:
        """Send it; a Reject not before its time, so that nobody learns from the clock why (R48)."""
        wait = 0.0
        if isinstance(decision, Reject):
            wait = asked.received + self._limits.reject_delay - self._reactor.seconds()
        else:
            # Only a right password leads past a Reject, so the secret that decrypted it is right.
            self._proven.add(asked.client.key)
        if wait > 0:
            self._reactor.callLater(wait, self._send, decision, exchange, packet, asked, route)
        else:
            self._send(decision, exchange, packet, asked, route)

    def _send(
        self, decision: Decision, exchange: Exchange, packet: Packet, asked: Asked, route: Route
    ) -> None:
        try:
            if exchange.superseded:
                self._log.info("radius.answered_late", client=asked.client.name, reason=decision.reason.value)
                return
            octets = self._encode(decision, packet, asked.client)
            self._duplicates.answered(exchange, octets, self._reactor.seconds())
            self.send(octets, route)
        except Exception as bug:  # noqa: BLE001 - one answer's bug must not keep the others from theirs
            self._log.failure("radius.answer_failed", bug, client=asked.client.name)
        finally:
            self._end(asked.client)

    def _encode(self, decision: Decision, packet: Packet, client: Client) -> bytes:
        code, attributes = reply_of(decision)
        signed = not client.omit_message_authenticator
        try:
            return encode_reply(code, packet, client.secret, attributes, message_authenticator=signed)
        except ReplyTooLong:
            # R6: never oversize, never truncated; closed, and short.
            self._log.error("radius.reply_too_long", client=client.name, reason=decision.reason.value)
            return encode_reply(Code.ACCESS_REJECT, packet, client.secret, [], message_authenticator=signed)

    def _broken(self, failure: Failure) -> None:
        self._log.failure("radius.login_failed", failure.value or RuntimeError("cancelled"))

    def _discard(self, cause: str, source: Source, problem: str = "") -> None:
        self._discards.radius_discarded(cause)
        self._log.warn("radius.discarded", cause=cause, source=source.ip, problem=problem)
