"""A reactor whose clock the test moves and whose sockets it reads, and RADIUS servers on real sockets."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from authproxy.pipeline.request import AuthRequest
from authproxy.pipeline.username import read_username
from authproxy.protocols.radius.packet import Attribute, Code, Packet, decode
from authproxy.protocols.radius.password import CredentialKind, decrypt_password
from authproxy.protocols.radius.relay import NOTHING, Allowed, FromNas
from authproxy.protocols.radius.reply import encode_reply
from authproxy.protocols.radius.request import pap_request
from authproxy.secret import Secret

SECRET = Secret(b"the primary's secret")
NAS_SECRET = Secret(b"the client's secret")
NAS_AUTHENTICATOR = bytes(range(16))


class Reactor(Clock):
    """Time passes when the test says so; sockets are read when it looks."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)

    def look(self, seconds: float = 0.5) -> None:
        """Read what has come in; returns when something has, or after `seconds` of nothing.

        A socket with an error and nothing to read is given up, as Twisted's epoll reactor does it.
        """
        poll = select.poll()
        of = {reader.fileno(): reader for reader in self.readers}
        for descriptor in of:
            poll.register(descriptor, select.POLLIN)
        for descriptor, event in poll.poll(seconds * 1000):
            if event & select.POLLERR and not event & select.POLLIN:
                self.removeReader(of[descriptor])
                of[descriptor].connectionLost(Failure(ConnectionLost()))
            else:
                of[descriptor].doRead()


class RadiusServer:
    """Answers by `script(request)`: octets, several of them, or nothing."""

    def __init__(
        self,
        script: Callable[[Packet], bytes | None] | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.port: int = self.socket.getsockname()[1]
        self.script = script
        self.seen: list[bytes] = []
        self.sources: list[Any] = []

    def turn(self, patience: float = 0.02) -> None:
        """Take what has arrived and answer it."""
        while select.select([self.socket], [], [], patience)[0]:
            octets, source = self.socket.recvfrom(4096)
            self.seen.append(octets)
            self.sources.append(source)
            reply = self.script(decode(octets)) if self.script else None
            if reply is not None:
                self.socket.sendto(reply, source)

    def close(self) -> None:
        self.socket.close()


def reply(
    code: int, request: Packet, *attributes: Attribute, secret: Secret = SECRET, signed: bool = True
) -> bytes:
    return encode_reply(code, request, secret, attributes, message_authenticator=signed)


def accept(request: Packet) -> bytes:
    """Of the right password; anything else is refused."""
    hidden = request.first(2)
    right = hidden is not None and decrypt_password(hidden, SECRET, request.authenticator) == Secret(b"right")
    return reply(
        Code.ACCESS_ACCEPT if right or request.code == Code.STATUS_SERVER else Code.ACCESS_REJECT, request
    )


def login(
    reactor: Reactor,
    *extra: Attribute,
    kind: CredentialKind = CredentialKind.PAP,
    allowed: Allowed = NOTHING,
    patience: float = 60,
    packet: Packet | None = None,
) -> AuthRequest:
    packet = packet or pap_request(
        b"Alice",
        Secret(b"right"),
        identifier=1,
        authenticator=NAS_AUTHENTICATOR,
        secret=NAS_SECRET,
        attributes=extra,
    )
    return AuthRequest(
        login="L1",
        section="vpn",
        username=read_username(b"Alice"),
        password=Secret(b"right"),
        client="nas",
        nas_ip="127.0.0.9",
        received=reactor.seconds(),
        deadline=reactor.seconds() + patience,
        carried=FromNas(packet, kind, allowed),
    )


def result(deferred: Deferred[Any]) -> Any:
    """Its result, or the test fails because there is none yet."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    assert found, "it still waits"
    return found[0]
