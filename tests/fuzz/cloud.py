"""The cloud's side of a connection: any octets as a reply, any octets as a proxy's, any change to a signed request."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends.cloud.answers import read_preauth, read_progress, read_txid, response_of
from authproxy.backends.cloud.http1 import Connection, Reply
from authproxy.backends.cloud.proxy import OutboundProxy, ask_for_tunnel
from authproxy.pipeline.ports import CloudFailure, FactorAllow, FailureClass, PreauthAllow
from authproxy.protocols.cloud.signing import Received, Signer, Unsigned, verify
from authproxy.secret import Secret
from tests.fuzz.corpus import seeds as corpus
from tests.fuzz.mutate import CHANGES, mutated
from tests.fuzz.report import Report, drive

_DATE = "Tue, 21 Aug 2012 17:29:18 -0000"
_NOW = 1345570158.0
_SKEY = Secret(b"deadbeef" * 5)
# What may come of octets that a hostile service sends. `internal` is a bug of ours.
_CLASSES = frozenset(FailureClass) - {FailureClass.INTERNAL}


class Wire:
    """A stream whose other end is the test."""

    def __init__(self) -> None:
        self.is_open = True
        self.receiver: Any = None

    def write(self, octets: bytes) -> None: ...

    def close(self) -> None:
        self.is_open = False

    def play(self, octets: bytes) -> None:
        """In pieces, and then the end of the connection: proper or not, as the octets themselves have it."""
        dice = random.Random(octets)
        at = 0
        while at < len(octets) and self.is_open:
            size = dice.choice((1, 7, 100, 16_384))
            self.receiver.received(octets[at : at + size])
            at += size
        if self.is_open:
            self.receiver.ended(None if dice.random() < 0.5 else ConnectionResetError(104, "reset"))


def _outcome(waiting: Deferred[Any]) -> Any:
    ended: list[Any] = []
    waiting.addCallbacks(ended.append, lambda failure: ended.append(failure.value))
    assert ended, "somebody still waits"
    return ended[0]


def reply(octets: bytes) -> str:
    """What the octets are as a reply to each of our questions."""
    wire, clock = Wire(), Clock()
    connection = Connection(clock, wire)  # type: ignore[arg-type]

    async def ask() -> Reply:
        return await connection.exchange(b"GET / HTTP/1.1\r\n\r\n", 10.0)

    exchange = Deferred.fromCoroutine(ask())
    wire.play(octets)
    met = _outcome(exchange)
    assert clock.getDelayedCalls() == [], "a timer that nobody stopped"
    if not isinstance(met, Reply):
        return _class_of(met)
    return _meaning(met)


def _meaning(found: Reply) -> str:
    try:
        response = response_of(found)
    except CloudFailure as failure:
        return _class_of(failure)
    words = []
    readers: list[Callable[[object], Any]] = [
        read_preauth,
        lambda response: read_progress(response, username="alice", txid="T1"),
        read_txid,
    ]
    for read in readers:
        try:
            meant = read(response)
        except CloudFailure as failure:
            words.append(_class_of(failure))
        else:
            _may_be(meant, found)
            words.append(type(meant).__name__)
    return "/".join(words)


def _may_be(meant: object, found: Reply) -> None:
    if isinstance(meant, PreauthAllow | FactorAllow):
        assert found.status == 200
        assert b"allow" in found.body or b"\\u" in found.body
        assert isinstance(meant.message, str)
        meant.message.encode()


def _class_of(met: object) -> str:
    assert isinstance(met, CloudFailure), repr(met)
    assert met.failure in _CLASSES, repr(met)
    met.detail.encode()
    return met.failure.value


def tunnel(octets: bytes) -> str:
    """What the octets are as a proxy's reply."""
    wire, clock = Wire(), Clock()
    proxy = OutboundProxy("proxy", 3128, "user", Secret(b"word"))
    asking = Deferred.fromCoroutine(
        ask_for_tunnel(clock, wire, proxy, "api.example.com", 443, 10.0)  # type: ignore[arg-type]
    )
    wire.play(octets)
    met = _outcome(asking)
    assert clock.getDelayedCalls() == [], "a timer that nobody stopped"
    if met is None:
        assert octets.startswith(b"HTTP/1.")
        return "tunnel"
    return _class_of(met)


_BODY = b'{"factor":"push","username":"alice"}'
_SIGNED = b"\n".join(
    (
        b"POST",
        b"api.example.com",
        b"/auth/v2/auth",
        b"",
        _DATE.encode(),
        Signer("DIXX", _SKEY, "api.example.com")
        .authorization(date=_DATE, method="POST", path="/auth/v2/auth", body=_BODY)
        .encode(),
        _BODY,
    )
)


def signature(octets: bytes) -> str:
    """A request of six lines and a body. Nobody signs but the one we know signed."""
    lines = octets.split(b"\n", 6)
    lines += [b""] * (7 - len(lines))
    method, host, path, query, date, authorization = (line.decode("latin-1") for line in lines[:6])
    headers = [("Date", date), ("Authorization", authorization), ("Content-Type", "application/json")]
    received = Received(method, host, path, query, headers, lines[6])
    try:
        verify(received, skey_of=lambda ikey: _SKEY if ikey == "DIXX" else None, now=_NOW, legacy=True)
    except Unsigned as unsigned:
        return unsigned.refusal.name.lower()
    # What may differ from what was signed: the case of the method, the host and the credentials' scheme.
    rest = (path, query, date, lines[6])
    assert rest == ("/auth/v2/auth", "", _DATE, _BODY), "a forgery"
    assert (method.upper(), host.lower()) == ("POST", "api.example.com"), "a forgery"
    return "signed"


def replies(seed: int) -> Iterator[bytes]:
    known = [found.octets for found in corpus("cloud")]
    return mutated(known, random.Random(seed), CHANGES)


def tunnels(seed: int) -> Iterator[bytes]:
    known = [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n<html>",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nsorry",
    ]
    return mutated(known, random.Random(seed), CHANGES)


def signatures(seed: int) -> Iterator[bytes]:
    return mutated([_SIGNED], random.Random(seed), CHANGES)


def run(seconds: float, seed: int) -> Report:
    return drive("cloud", reply, replies(seed), seconds=seconds)


def run_proxy(seconds: float, seed: int) -> Report:
    return drive("proxy", tunnel, tunnels(seed), seconds=seconds)


def run_signatures(seconds: float, seed: int) -> Report:
    return drive("signatures", signature, signatures(seed), seconds=seconds)
