"""StartTLS, LDAPS and security layers, over real sockets: what a directory may do to a connection that begins."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from authproxy.backends.directory.connect import Connector, Unusable
from authproxy.backends.directory.connection import ConnectionFailed
from authproxy.backends.directory.settings import DirectorySettings, Host, Transport
from authproxy.backends.resolve import Resolver
from authproxy.backends.tls import ServerCertificates, Trust
from authproxy.observe.log import NullLog
from authproxy.protocols.ldap.framing import Framer
from authproxy.protocols.ldap.requests import BindRequest, ExtendedRequest, Simple, decode_request
from authproxy.protocols.ldap.responses import (
    BindResponse,
    ExtendedResponse,
    Result,
    encode_response,
    notice_of_disconnection,
)
from authproxy.secret import Secret
from tests.system.parts.pki import Files, make_certificate

YES = ExtendedResponse(Result(0))
FORGED = encode_response(2, BindResponse(Result(0)))


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    def __init__(self, files: Files) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate_chain_file(str(files.certificate))
        self._context.use_privatekey_file(str(files.key))

    def serverConnectionForTLS(self, _: Any) -> SSL.Connection:
        return SSL.Connection(self._context, None)


class Server(Protocol):
    """Answers StartTLS as told, then binds with success."""

    transport: Any

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.framer = Framer(1 << 16)

    def dataReceived(self, data: bytes) -> None:
        for frame in self.framer.feed(data):
            match decode_request(frame):
                case ExtendedRequest():
                    self.stage.start_tls(self, frame.message_id)
                case BindRequest(name, _):
                    self.stage.binds.append(name)
                    self.transport.write(encode_response(frame.message_id, BindResponse(Result(0))))
                case _:
                    pass


class Stage:
    """A server on a free port, and a client of it."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self.reactor = reactor
        self.files = make_certificate(folder, "localhost", "127.0.0.1")
        self.binds: list[str] = []
        self.start_tls: Callable[[Server, int], None] = self.really_start_tls
        self.certificates = ServerCertificates()
        self.port: Any = None

    def listen(self, *, ldaps: bool) -> None:
        factory: Any = Factory.forProtocol(lambda: Server(self))
        if ldaps:
            factory = TLSMemoryBIOFactory(ServerTls(self.files), False, factory)
        self.port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")

    def really_start_tls(self, server: Server, message_id: int) -> None:
        server.transport.write(encode_response(message_id, YES))
        server.transport.startTLS(ServerTls(self.files))

    async def bind(self, transport: Transport, trust: Trust | None = None, **host: Any) -> Any:
        """What the connection is like after a bind over it."""
        self.listen(ldaps=transport is Transport.LDAPS)
        settings = DirectorySettings(
            name="ad_client",
            hosts=(Host(**({"address": "127.0.0.1", "port": self.port.getHost().port} | host)),),
            search_dn="DC=test",
            service_name="CN=svc",
            service_password=Secret(b"pw"),
            transport=transport,
            trust=trust or Trust(self.files.authority),
        )
        resolver = Resolver(self.reactor, log=NullLog())
        connector = Connector(
            settings, reactor=self.reactor, resolver=resolver, certificates=self.certificates
        )
        deadline = self.reactor.seconds() + 20
        try:
            connection = await connector.connect(settings.hosts[0], deadline)
            secured, shown = connection.secured, connection.peer_certificate
            await connection.bind(BindRequest("CN=alice", Simple(Secret(b"pw"))), deadline)
            connection.unbind()
            return secured, shown
        finally:
            resolver.close()
            await self.port.stopListening()


@pytest.fixture
def stage(reactor_thread: Any, tmp_path: Path) -> Stage:
    return Stage(reactor_thread, tmp_path)


@pytest.mark.parametrize("transport", [Transport.LDAPS, Transport.STARTTLS])
def test_protected(stage: Stage, on_reactor: Any, transport: Transport) -> None:
    secured, shown = on_reactor(stage.bind, transport)
    assert secured
    assert shown.public_key() is not None
    assert stage.binds == ["CN=alice"]
    assert list(stage.certificates.expiries()) == ["127.0.0.1"]


def test_clear(stage: Stage, on_reactor: Any) -> None:
    assert on_reactor(stage.bind, Transport.CLEAR) == (False, None)


@pytest.mark.parametrize("transport", [Transport.LDAPS, Transport.STARTTLS])
def test_another_authority(stage: Stage, on_reactor: Any, tmp_path: Path, transport: Transport) -> None:
    other = make_certificate(tmp_path / "other", "127.0.0.1").authority
    with pytest.raises(ConnectionFailed) as caught:
        on_reactor(stage.bind, transport, Trust(other))
    assert caught.value.untrusted
    assert stage.binds == []


@pytest.mark.parametrize("transport", [Transport.LDAPS, Transport.STARTTLS])
def test_another_name(stage: Stage, on_reactor: Any, transport: Transport) -> None:
    """T6: the certificate is for localhost and its address, not for the name that is expected."""
    with pytest.raises(ConnectionFailed) as caught:
        on_reactor(stage.bind, transport, tls_name="dc1.corp.test")
    assert caught.value.untrusted
    assert stage.binds == []


def test_an_expected_name_for_an_address(stage: Stage, on_reactor: Any) -> None:
    on_reactor(stage.bind, Transport.LDAPS, tls_name="localhost")
    assert stage.binds == ["CN=alice"]


def test_a_ca_file_that_isnt_there(stage: Stage, on_reactor: Any, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file"):
        on_reactor(stage.bind, Transport.LDAPS, Trust(tmp_path / "missing.pem"))


def test_ldaps_to_a_clear_port(stage: Stage, on_reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clear = stage.listen
    monkeypatch.setattr(stage, "listen", lambda *, ldaps: clear(ldaps=False))
    with pytest.raises(ConnectionFailed):
        on_reactor(stage.bind, Transport.LDAPS)
    assert stage.binds == []


@pytest.mark.parametrize("behind", [FORGED, b"\x30", b"\x30\x0c\x02\x01", notice_of_disconnection(0), b"x"])
def test_nothing_is_accepted_behind_starttls(stage: Stage, on_reactor: Any, behind: bytes) -> None:
    """CVE-2011-0411: what a man in the middle put there would be read as if it came through TLS."""

    def inject(server: Server, message_id: int) -> None:
        server.transport.write(encode_response(message_id, YES) + behind)
        server.transport.startTLS(ServerTls(stage.files))

    stage.start_tls = inject
    with pytest.raises(ConnectionFailed):
        on_reactor(stage.bind, Transport.STARTTLS)
    assert stage.binds == []


@pytest.mark.parametrize("code", [1, 2, 52, 53])
def test_starttls_refused_is_no_plain_text(stage: Stage, on_reactor: Any, code: int) -> None:
    def refuse(server: Server, message_id: int) -> None:
        server.transport.write(encode_response(message_id, ExtendedResponse(Result(code, "no"))))

    stage.start_tls = refuse
    with pytest.raises(ConnectionFailed, match="StartTLS refused"):
        on_reactor(stage.bind, Transport.STARTTLS)
    assert stage.binds == []


def test_starttls_stripped(stage: Stage, on_reactor: Any) -> None:
    """Success is said, TLS doesn't follow: the next octets are no TLS, and no password was sent."""

    def pretend(server: Server, message_id: int) -> None:
        server.transport.write(encode_response(message_id, YES))

    stage.start_tls = pretend
    with pytest.raises(ConnectionFailed):
        on_reactor(stage.bind, Transport.STARTTLS)
    assert stage.binds == []


def test_old_tls_is_refused(stage: Stage, on_reactor: Any) -> None:
    """T3"""
    old = ServerTls(stage.files)
    old._context.set_max_proto_version(SSL.TLS1_1_VERSION)

    def start_tls(server: Server, message_id: int) -> None:
        server.transport.write(encode_response(message_id, YES))
        server.transport.startTLS(old)

    stage.start_tls = start_tls
    with pytest.raises(ConnectionFailed):
        on_reactor(stage.bind, Transport.STARTTLS)
    assert stage.binds == []


def test_nobody_there(stage: Stage, on_reactor: Any) -> None:
    with pytest.raises(ConnectionFailed, match="cannot connect"):
        on_reactor(stage.bind, Transport.CLEAR, port=1)


class CutOff(Clock):
    """A reactor whose connections end before they are made, as Twisted tells of it."""

    def connectTCP(self, host: str, port: int, factory: Any, timeout: float) -> None:
        self.callLater(
            1, lambda: factory.clientConnectionFailed(None, Failure(ConnectError(Failure(ConnectionLost()))))
        )


def connecting(reactor: CutOff) -> tuple[Connector, Host]:
    settings = DirectorySettings(
        name="ad_client",
        hosts=(Host("127.0.0.1", 389),),
        search_dn="DC=corp",
        service_name="CN=svc",
        service_password=Secret(b"pw"),
        transport=Transport.CLEAR,
    )
    return Connector(settings, reactor=reactor, resolver=Resolver(reactor, log=NullLog())), settings.hosts[0]


def test_a_connection_that_ends_before_it_is_made_is_told_without_a_traceback() -> None:
    reactor = CutOff()
    connector, host = connecting(reactor)
    failures: list[Failure] = []
    Deferred.fromCoroutine(connector.connect(host, 20)).addErrback(failures.append)
    reactor.advance(1)
    (failure,) = failures
    assert str(failure.value).startswith("cannot connect: Connection to the other side was lost")
    assert "Traceback" not in str(failure.value)


def test_a_connection_that_is_not_made_leaves_nothing() -> None:
    """Else it stays until the garbage is looked for, with the login that asked and what its user typed."""
    reactor = CutOff()
    connector, host = connecting(reactor)
    gone = weakref.ref(connector)

    async def login(connector: Connector) -> None:
        with contextlib.suppress(ConnectionFailed):
            await connector.connect(host, 20)

    gc.disable()
    try:
        Deferred.fromCoroutine(login(connector))
        del connector
        reactor.advance(1)
        assert gone() is None
    finally:
        gc.enable()
