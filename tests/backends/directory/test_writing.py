"""What goes past the transport's buffer, and what must not: in order, and nothing in clear that TLS covers."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection as TcpTransport

from authproxy.backends.directory.connection import LdapConnection
from authproxy.protocols.ldap.requests import BindRequest, Simple, encode_request
from authproxy.protocols.ldap.responses import (
    BindResponse,
    ExtendedResponse,
    Response,
    Result,
    encode_response,
)
from authproxy.secret import Secret

LATER = 1000.0
BIND = BindRequest("cn=alice", Simple(Secret(b"correct")))


class Wire(TcpTransport):
    """A TCP transport without a socket. `takes`: how many octets the kernel has room for, or how it failed."""

    TLS = False

    def __init__(self, takes: int | ConnectionLost = 1 << 16) -> None:
        self.takes = takes
        self.at_once = b""
        self.buffered = b""
        self.covered = b""  # by TLS

    def writeSomeData(self, data: bytes) -> int | ConnectionLost:
        if isinstance(self.takes, int):
            self.at_once += data[: self.takes]
            return min(self.takes, len(data))
        return self.takes

    def write(self, data: bytes) -> None:
        if self.TLS:
            self.covered += data
        else:
            self.buffered += data

    def startTLS(self, *_: Any) -> None:
        self.TLS = True

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...

    def abortConnection(self) -> None: ...


def connected(wire: Wire) -> LdapConnection:
    connection = LdapConnection(Clock())
    connection.makeConnection(wire)
    return connection


def answer(connection: LdapConnection, message_id: int, response: Response) -> None:
    connection.dataReceived(encode_response(message_id, response))


def bind(connection: LdapConnection) -> Deferred[Any]:
    return Deferred.fromCoroutine(connection.bind(BIND, LATER))


def test_in_clear_it_goes_to_the_kernel_at_once() -> None:
    wire = Wire()
    bind(connected(wire))
    assert wire.at_once == encode_request(1, BIND)
    assert wire.buffered == b""


@pytest.mark.parametrize("room", [0, 1, 7])
def test_what_the_kernel_doesnt_take_waits_and_nothing_passes_it(room: int) -> None:
    wire = Wire(room)
    connection = connected(wire)
    bind(connection)
    assert wire.at_once + wire.buffered == encode_request(1, BIND)
    wire.takes = 1 << 16
    answer(connection, 1, BindResponse(Result(0)))
    bind(connection)
    assert wire.at_once + wire.buffered == encode_request(1, BIND) + encode_request(2, BIND)
    assert len(wire.at_once) == room


def test_a_lost_connection_is_the_transports_to_find() -> None:
    wire = Wire(ConnectionLost())
    bind(connected(wire))
    assert wire.buffered == encode_request(1, BIND)


def test_behind_starttls_nothing_goes_past_tls() -> None:
    """A password is what comes next."""
    wire = Wire()
    connection = connected(wire)
    Deferred.fromCoroutine(connection.start_tls(object(), LATER))  # type: ignore[arg-type]
    before = wire.at_once
    answer(connection, 1, ExtendedResponse(Result(0)))
    connection.handshakeCompleted()
    bind(connection)
    assert wire.at_once == before
    assert wire.covered == encode_request(2, BIND)


def test_a_transport_that_is_tls_already_is_written_through() -> None:
    wire = Wire()
    wire.TLS = True
    bind(connected(wire))
    assert wire.at_once == b""
    assert wire.covered == encode_request(1, BIND)
