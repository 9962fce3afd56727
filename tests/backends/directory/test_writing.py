"""What is written to a directory: nothing in clear that TLS covers."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection as TcpTransport

from authproxy.backends.directory.connection import LdapConnection
from authproxy.protocols.ldap.requests import BindRequest, Simple, encode_request
from authproxy.protocols.ldap.responses import (
    ExtendedResponse,
    Response,
    Result,
    encode_response,
)
from authproxy.secret import Secret

LATER = 1000.0
BIND = BindRequest("cn=alice", Simple(Secret(b"correct")))


class Wire(TcpTransport):
    """A TCP transport without a socket, with every way to write that it has."""

    TLS = False

    def __init__(self) -> None:
        self.clear = b""
        self.covered = b""  # by TLS

    def writeSomeData(self, data: bytes) -> int:
        self.clear += data
        return len(data)

    def write(self, data: bytes) -> None:
        if self.TLS:
            self.covered += data
        else:
            self.clear += data

    def startTLS(self, *_: Any) -> None:
        self.TLS = True

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...


def connected(wire: Wire) -> LdapConnection:
    connection = LdapConnection(Clock())
    connection.makeConnection(wire)
    return connection


def answer(connection: LdapConnection, message_id: int, response: Response) -> None:
    connection.dataReceived(encode_response(message_id, response))


def bind(connection: LdapConnection) -> Deferred[Any]:
    return Deferred.fromCoroutine(connection.bind(BIND, LATER))


def test_behind_starttls_nothing_goes_past_tls() -> None:
    """A password is what comes next."""
    wire = Wire()
    connection = connected(wire)
    Deferred.fromCoroutine(connection.start_tls(object(), LATER))  # type: ignore[arg-type]
    before = wire.clear
    answer(connection, 1, ExtendedResponse(Result(0)))
    connection.handshakeCompleted()
    bind(connection)
    assert wire.clear == before
    assert wire.covered == encode_request(2, BIND)


def test_a_transport_that_is_tls_already_is_written_through() -> None:
    wire = Wire()
    wire.TLS = True
    bind(connected(wire))
    assert wire.clear == b""
    assert wire.covered == encode_request(1, BIND)
