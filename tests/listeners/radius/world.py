"""A listener with everything around it faked: clock, logins, what is sent, what is counted, what is logged."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.listeners.radius.clients import Client, PrefixTable, RequireMessageAuthenticator
from authproxy.listeners.radius.listener import Limits, RadiusListener, Served
from authproxy.listeners.radius.section import RadiusSection
from authproxy.listeners.radius.udp import Route, Source
from authproxy.pipeline.decision import Decision, Reason, Reject
from authproxy.pipeline.logins import Answer
from authproxy.pipeline.patience import Patiences
from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.workload import Workload
from authproxy.protocols.radius.packet import Attribute, Code, Packet, encode_attributes
from authproxy.protocols.radius.password import encrypt_password
from authproxy.protocols.radius.request import read_reply, signed_request
from authproxy.secret import Secret

SECRET = Secret(b"s3cr3t of sixteen")
NAS = Source("10.1.0.1", 40000)
ROUTE = Route(("10.1.0.1", 40000), ())
ASA = Client("asa", "asa", (ip_network("10.1.0.0/24"),), SECRET)
LIMITS = Limits(pending=100, pending_per_client=50, reject_delay=1.0, reply_cache=30.0)
_numbers = itertools.count(1)


@dataclass
class Log:
    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def debug(self, event: str, /, **fields: object) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, /, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warn(self, event: str, /, **fields: object) -> None:
        self.lines.append(("warn", event, fields))

    def error(self, event: str, /, **fields: object) -> None:
        self.lines.append(("error", event, fields))

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        self.lines.append(("failure", event, {"error": error, **fields}))

    def events(self) -> list[str]:
        return [event for _, event, _ in self.lines]

    def fields(self, event: str) -> list[dict[str, object]]:
        return [fields for _, found, fields in self.lines if found == event]


class Latches(set[str]):
    """Keeps what it is told, unless the disk is full."""

    full = False

    def add(self, key: str) -> None:
        super().add(key)
        if self.full:
            raise OSError(28, "No space left on device")


@dataclass
class Discards:
    causes: Counter[str] = field(default_factory=Counter)

    def radius_discarded(self, cause: str) -> None:
        self.causes[str(cause)] += 1


@dataclass
class Logins:
    """Holds each login until it is told the answer; `raises` is its bug."""

    requests: list[AuthRequest] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    raises: Exception | None = None
    work_raises: Exception | None = None

    def submit(self, request: AuthRequest, answer: Answer) -> Coroutine[Any, Any, None] | None:
        self.requests.append(request)
        if self.raises is not None:
            raise self.raises
        self.answers.append(answer)
        return self._work()

    async def _work(self) -> None:
        waiting: Deferred[None] = Deferred()
        if self.work_raises is not None:
            raise self.work_raises
        await waiting

    def answer(self, decision: Decision, which: int = -1) -> None:
        self.answers[which](decision)


@dataclass
class Rejecter:
    rejected: list[tuple[AuthRequest, Reason, str]] = field(default_factory=list)

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        self.rejected.append((request, reason, cause))
        return Reject(reason)

    @property
    def causes(self) -> list[str]:
        return [cause for _, _, cause in self.rejected]


class World:
    def __init__(
        self,
        *,
        limits: Limits = LIMITS,
        latches: Latches | None = None,
        clients: Iterable[Client] = (ASA,),
        section: Callable[..., RadiusSection] = RadiusSection,
        workload: Workload | None = None,
        **options: Any,
    ) -> None:
        self.workload = Workload() if workload is None else workload
        self.clock = Clock()
        self.clock.advance(1000)
        self.log = Log()
        self.latches = Latches() if latches is None else latches
        self.discards = Discards()
        self.logins = Logins()
        self.rejecter = Rejecter()
        self.sent: list[tuple[bytes, Route]] = []
        usual: dict[str, Any] = {
            "name": "vpn",
            "logins": self.logins,
            "rejecter": self.rejecter,
            "patience": 60.0,
            "client_ip_attribute": (None, 31),
            "trust_unsigned_client_ip": False,
            "password_codec": "utf-8",
            "new_login": lambda: f"L{next(_numbers)}",
        }
        self.patiences = Patiences()
        self.section = section(**(usual | options))
        self.listener = self._listen(clients, limits)

    def _listen(self, clients: Iterable[Client], limits: Limits) -> RadiusListener:
        listener = RadiusListener(
            receiver="[::]:1812",
            served=self.table(clients),
            limits=limits,
            latches=self.latches,
            reactor=self.clock,
            log=self.log,
            discards=self.discards,
            workload=self.workload,
            patiences=self.patiences,
        )
        listener.send = lambda octets, route: self.sent.append((octets, route))
        return listener

    def table(self, clients: Iterable[Client]) -> PrefixTable[Served]:
        return PrefixTable(
            (network, served)
            for client in clients
            for served in [Served(client, self.section)]
            for network in client.networks
        )

    def receive(self, datagram: bytes, source: Source = NAS, route: Route = ROUTE) -> list[bytes]:
        """What was sent at once in answer."""
        before = len(self.sent)
        self.listener.take(datagram, source, route)
        return [octets for octets, _ in self.sent[before:]]

    def ask(self, request: Packet, source: Source = NAS) -> list[bytes]:
        return self.receive(request.octets, source)

    def wait(self, seconds: float) -> list[bytes]:
        """What was sent while so much time went by."""
        before = len(self.sent)
        self.clock.advance(seconds)
        return [octets for octets, _ in self.sent[before:]]


def client(require: str = "auto", **changes: Any) -> Client:
    return replace(ASA, require_message_authenticator=RequireMessageAuthenticator(require), **changes)


def login(
    password: bytes | None = b"right",
    *extra: tuple[int, bytes],
    user: bytes | None = b"alice",
    signed: bool = True,
    identifier: int = 7,
    authenticator: bytes | None = None,
    secret: Secret = SECRET,
    code: int = Code.ACCESS_REQUEST,
) -> Packet:
    """A NAS's request, each with an Authenticator of its own."""
    if authenticator is None:
        authenticator = next(_numbers).to_bytes(16, "big")
    attributes = [] if user is None else [Attribute(1, user)]
    if password is not None:
        attributes.append(Attribute(2, encrypt_password(Secret(password), secret, authenticator)))
    attributes += [Attribute(*pair) for pair in extra]
    if signed:
        return signed_request(
            code, attributes, identifier=identifier, authenticator=authenticator, secret=secret
        )
    body = encode_attributes(attributes)
    octets = bytes((code, identifier)) + (20 + len(body)).to_bytes(2, "big") + authenticator + body
    return Packet.of(code, identifier, authenticator, tuple(attributes), octets)


def code(reply: bytes, request: Packet, secret: Secret = SECRET) -> int:
    """The reply's, after checking it as a strict NAS does (R18)."""
    assert reply[20:22] == b"\x50\x12", "Message-Authenticator stands first"
    return read_reply(reply, request, secret).code
