"""One RADIUS port: finds the client, verifies or discards the packet, recognises repetitions, answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from authproxy.listeners.radius.accounting import Accounting, Handing, check_accounting
from authproxy.listeners.radius.answer import reply_of
from authproxy.listeners.radius.authenticity import Authenticity, Latches
from authproxy.listeners.radius.clients import Client, PrefixTable
from authproxy.listeners.radius.discards import Discarded, Discards
from authproxy.listeners.radius.duplicates import Duplicates, Exchange, mark
from authproxy.listeners.radius.flood import FloodProofLog
from authproxy.listeners.radius.load import Frequency, Limits, Load
from authproxy.listeners.radius.section import CALLING_STATION_ID, Asked, Section
from authproxy.listeners.radius.signers import Signers
from authproxy.listeners.radius.udp import Source
from authproxy.listeners.work import run
from authproxy.observe.log import Log
from authproxy.pipeline.decision import Decision, Reason, Reject, Silence
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.patience import Patiences
from authproxy.pipeline.workload import ANSWERS_ROOM, Workload
from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import STATE, USER_NAME, Code, MalformedPacket, Packet, decode
from authproxy.protocols.radius.password import credential_kind
from authproxy.protocols.radius.relay import eap_failure
from authproxy.protocols.radius.reply import ReplyTooLong, encode_reply
from authproxy.protocols.radius.salted import UnreadableValue
from authproxy.values import light_dataclass

__all__ = ["Discards", "Latches", "Limits", "RadiusListener", "Served"]

R = TypeVar("R")  # the way back to a client: of a datagram, or a connection

LOGINS = frozenset[int]((Code.ACCESS_REQUEST,))
ACCOUNTING = frozenset[int]((Code.ACCOUNTING_REQUEST,))

# What is usual: counted, and no line in the log.
_USUAL = frozenset(("duplicate", "draining", "silent", "accounting_not_forwarded"))


@light_dataclass(frozen=True, slots=True)
class Served:
    """A client, and the section that serves it."""

    client: Client
    section: Section
    accounting: Accounting | None = None  # None: it is counted, and dropped (R51)


class RadiusListener(Generic[R]):
    """Everything between the socket and the sections that share its port (R15).

    `send` gets an answer and the way back. `began` and `ended` are called for each request that waits for an answer.
    """

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
        workload: Workload | None = None,
        signers: Signers | None = None,
        codes: frozenset[int] = LOGINS,
        patiences: Patiences | None = None,
    ) -> None:
        """`receiver` names the socket, so that two listeners never take each other's packets for repetitions. `codes`:
        the requests that are accepted, beside Status-Server.
        """
        self._codes = codes
        self._patiences = Patiences() if patiences is None else patiences
        self._receiver = receiver
        self._served = served
        self._limits = limits
        self._reactor = reactor
        self.log = self._log = FloodProofLog(log, reactor)
        self._authenticity = Authenticity(latches, self._log, Signers() if signers is None else signers)
        self._discards = discards
        self._duplicates = Duplicates(limits.reply_cache)
        self._load = Load()
        self._workload = Workload() if workload is None else workload
        self._status = Frequency()
        self._draining = False
        self.send: Callable[[bytes, R], None] = lambda octets, route: None
        self.began: Callable[[R], None] = lambda route: None
        self.ended: Callable[[R], None] = lambda route: None

    def serve(self, served: PrefixTable[Served], limits: Limits, codes: frozenset[int] | None = None) -> None:
        """Change to another configuration. Requests in progress end under the one they began with (A13)."""
        self._codes = self._codes if codes is None else codes
        self._served = served
        self._limits = limits
        self._duplicates.keep = limits.reply_cache

    @property
    def pending(self) -> int:
        return self._load.total

    def drain(self) -> Deferred[None]:
        """Accept nothing new. Fires when the last request is answered (A12)."""
        self._draining = True
        return self._load.idle()

    def take(self, octets: bytes, source: Source, route: R, served: Served | None = None) -> str:
        """Handle a packet. `served`: its client, if it is known by something better than its address.

        Returns the cause for which it is discarded, or "". Never raises: a bug of ours costs this packet only (A19).
        """
        try:
            self._receive(octets, source, route, served)
        except MalformedPacket as malformed:
            return self.discarded(malformed.cause, source, str(malformed))
        except Discarded as discarded:
            return self.discarded(discarded.cause, source, discarded.problem)
        except Exception as bug:  # noqa: BLE001 - the listener's catch-all
            self._discards.radius_discarded("internal")
            self._log.failure("radius.failed", bug, source=source.ip)
            return "internal"
        return ""

    def _receive(self, octets: bytes, source: Source, route: R, served: Served | None) -> None:
        # The address first: what strangers send is not even parsed (R9, R10).
        if served is None and (served := self._served.find(source.ip)) is None:
            raise Discarded("unknown_client")
        if not source.port:
            raise Discarded("source_port", "nothing can be sent to port 0")
        packet = decode(octets)
        if packet.code == Code.STATUS_SERVER:
            self._status_server(packet, served, route)
        elif packet.code not in self._codes:
            raise Discarded("code", f"code {packet.code}")
        elif packet.code == Code.ACCOUNTING_REQUEST:
            self._accounting_request(packet, served, source, route)
        else:
            self._access_request(packet, served, source, route)

    def discarded(self, cause: str, source: Source, problem: str) -> str:
        """Count it, and log it unless it is usual. Returns the cause."""
        self._discards.radius_discarded(cause)
        if cause not in _USUAL:
            self._log.warn("radius.discarded", cause=str(cause), source=source.ip, problem=problem)
        return cause

    # ---- Status-Server (RFC 5997)

    def _status_server(self, packet: Packet, served: Served, route: R) -> None:
        """§3: answered only with a right Message-Authenticator. Silent while draining, so that the NAS moves on.

        So it is in an outage, where `failmode: silent` has sent the NAS elsewhere: an answer would call it back.
        """
        client = served.client
        if not verify_message_authenticator(packet, client.secret):
            raise Discarded("message_authenticator", "in Status-Server")
        if self._draining:
            raise Discarded("draining")
        if served.section.stays_silent():
            raise Discarded("silent")
        if self._status.exceeds(client, self._limits.status_per_second, self._reactor.seconds()):
            raise Discarded("status_server_rate", f"client {client.name}")
        # RFC 5997 §3: as the port's requests are answered.
        code = Code.ACCESS_ACCEPT if Code.ACCESS_REQUEST in self._codes else Code.ACCOUNTING_RESPONSE
        self.send(encode_reply(code, packet, client.secret, []), route)

    # ---- Accounting-Request

    def _accounting_request(self, packet: Packet, served: Served, source: Source, route: R) -> None:
        client = served.client
        if served.accounting is None:
            raise Discarded("accounting_not_forwarded", f"client {client.name}")
        check_accounting(packet, client)
        now = self._reactor.seconds()
        identity, marked = (source, self._receiver, packet.identifier), mark(packet)
        known = self._duplicates.find(identity, marked, now)
        if known is not None:
            self._repeated(known, route)
            return
        if self._draining:
            raise Discarded("draining")
        if self._load.is_full(client, self._limits):
            raise Discarded("overloaded", f"{self._load.total} in progress")
        exchange = self._duplicates.begin(identity, marked, authentic=True)
        self._load.begin(client)
        self.began(route)
        handing = Handing(
            served.accounting, client, self._duplicates, exchange, self.send, route, self._reactor.seconds
        )
        work = Deferred.fromCoroutine(handing.run(packet))
        work.addErrback(self._not_handed_on, source).addBoth(self._end, client, route)

    def _not_handed_on(self, failure: Failure, source: Source) -> None:
        if isinstance(failure.value, Discarded):
            self.discarded(failure.value.cause, source, failure.value.problem)
        else:
            self._discards.radius_discarded("internal")
            self._log.failure("radius.failed", failure.value or RuntimeError("cancelled"), source=source.ip)

    def _end(self, _: object, client: Client, route: R) -> None:
        self._load.end(client)
        self.ended(route)

    # ---- Access-Request

    def _access_request(self, packet: Packet, served: Served, source: Source, route: R) -> None:
        client = served.client
        kind = credential_kind(packet)
        # R16: what isn't believed touches nothing further on.
        authentic = self._authenticity.check(packet, kind, client)
        now = self._reactor.seconds()
        identity, marked = (source, self._receiver, packet.identifier), mark(packet)
        known = self._duplicates.find(identity, marked, now)
        if known is not None:
            if known.reply is None and not known.decided:
                self._patiences.asked(client.key, known.login, now)
            self._repeated(known, route)
            return
        if self._draining:
            raise Discarded("draining")
        if self._is_full(packet, served):
            raise Discarded(
                "overloaded", f"{self._load.total} in progress, {self._workload.worked_on} worked on"
            )
        # R46: what all requests of a client for one login have in common, whatever their identifiers.
        login = packet.first(USER_NAME), packet.first(CALLING_STATION_ID), packet.first(STATE)
        exchange = self._duplicates.begin(identity, marked, authentic=authentic, login=login)
        self._patiences.asked(client.key, login, now)
        proven = self._authenticity.is_proven(client)
        asked = Asked(client, source.ip, now, authentic, proven, self._log)
        self._load.begin(client)
        self.began(route)
        answer = partial(self._answer, exchange, packet, asked, route)
        try:
            work = served.section.ask(packet, kind, asked, answer)
        except (MalformedPacket, Discarded):
            self._patiences.answered(client.key, login, now)
            self._abandon(exchange, client, route)
            raise
        except Exception as bug:  # noqa: BLE001 - the section's bug; nobody is left waiting (A19)
            self._broken(answer, bug)
        else:
            if work is not None:
                run(work, partial(self._broken, answer))

    def _is_full(self, packet: Packet, served: Served) -> bool:
        """A1: new work is shed first. An answer to a challenge of ours is none."""
        if self._load.is_full(served.client, self._limits) or self._workload.is_full:
            full = self._load.is_full(served.client, self._limits, room=ANSWERS_ROOM)
            return full or self._workload.is_full_for_answers or not served.section.continues(packet)
        return False

    def _repeated(self, known: Exchange, route: R) -> None:
        """RFC 5080 §2.2.2: silence while it is being answered, then the same octets."""
        if known.silent:
            raise Discarded("silent")
        if known.reply is None:
            raise Discarded("duplicate")
        self.send(known.reply, route)

    def _abandon(self, exchange: Exchange, client: Client, route: R) -> None:
        if not exchange.decided:
            exchange.decided = True
            self._duplicates.abandon(exchange)
            self._load.end(client)
            self.ended(route)

    # ---- the answer

    def _answer(self, exchange: Exchange, packet: Packet, asked: Asked, route: R, decision: Decision) -> None:
        """Send it, once; a Reject not before its time, so that nobody learns from the clock why (R48)."""
        if exchange.decided:
            return
        exchange.decided = True
        if isinstance(decision, Silence):
            self._stay_silent(exchange, asked, route)
            return
        self._patiences.answered(asked.client.key, exchange.login, self._reactor.seconds())
        wait = 0.0
        if isinstance(decision, Reject):
            wait = asked.received + self._limits.reject_delay - self._reactor.seconds()
        else:
            # Only a right password leads past a Reject, so the secret that decrypted it is right.
            self._authenticity.proven(asked.client)
        if wait <= 0:
            self._send(decision, exchange, packet, asked, route)
        elif self._load.rest(asked.client, self._limits):
            self._reactor.callLater(wait, self._send, decision, exchange, packet, asked, route, rested=True)
        else:
            self._discards.radius_discarded("overloaded")
            self._duplicates.abandon(exchange)
            self._load.end(asked.client)
            self.ended(route)

    def _stay_silent(self, exchange: Exchange, asked: Asked, route: R) -> None:
        """The login is on record; what is left to count is a datagram that gets no answer."""
        self._discards.radius_discarded("silent")
        self._patiences.unanswered(asked.client.key, exchange.login)
        self._duplicates.silenced(exchange, self._reactor.seconds())
        self._load.end(asked.client)
        self.ended(route)

    def _send(
        self,
        decision: Decision,
        exchange: Exchange,
        packet: Packet,
        asked: Asked,
        route: R,
        *,
        rested: bool = False,
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
            if exchange.reply is None:
                self._duplicates.abandon(exchange)
        finally:
            self._load.end(asked.client, rested=rested)
            self.ended(route)

    def _encode(self, decision: Decision, packet: Packet, client: Client) -> bytes:
        signed = not client.omit_message_authenticator
        try:
            code, attributes = reply_of(decision, packet, client.secret)
            return encode_reply(code, packet, client.secret, attributes, message_authenticator=signed)
        except ReplyTooLong:
            # R6: never oversize, never truncated; closed, and short.
            self._log.error("radius.reply_too_long", client=client.name, reason=decision.reason.value)
        except UnreadableValue as unreadable:
            self._log.error("radius.primary_value_unreadable", client=client.name, problem=str(unreadable))
        return encode_reply(
            Code.ACCESS_REJECT, packet, client.secret, eap_failure(packet), message_authenticator=signed
        )

    def _broken(self, answer: Answer, bug: BaseException) -> None:
        """It rejects, if nothing was said yet (A19)."""
        self._discards.radius_discarded("internal")
        self._log.failure("radius.login_failed", bug)
        answer(Reject(Reason.INTERNAL))
