"""Whom pyOpenSSL under Twisted believes, over real sockets; and what its failures are called (T1, T3, T6)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from authproxy.backends.tls import (
    ServerCertificates,
    TlsVersion,
    Trust,
    Untrusted,
    UnusableTrust,
    client_tls,
    describe,
    host_name,
    is_untrusted,
)
from tests.backends.certificates import DAY, Authority, server_context
from tests.backends.cloud.scripted import HOST, Script, Scripted, Wire

GREETING = b"hello"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def server(authority: Authority) -> Iterator[Scripted]:
    scripted = Scripted(server_context(authority.issue(HOST)))
    yield scripted
    scripted.close()


class Client(Protocol):
    """Sends at once, as a client with a password would; ends with what it met."""

    def __init__(self) -> None:
        self.ended: Deferred[bytes | BaseException | None] = Deferred()
        self._octets = b""

    def connectionMade(self) -> None:
        self.transport.write(b"secret")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if self._octets == GREETING:
            self.ended.callback(self._octets)
            self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        if not self.ended.called:
            self.ended.callback(reason.value)


Call = Callable[..., Any]


@pytest.fixture
def call(reactor_thread: Any, on_reactor: Callable[..., Any]) -> Call:
    """call(port, hostname, trust): the greeting, or the exception that ended the connection."""

    async def run(port: int, hostname: str, trust: Trust, seen: ServerCertificates | None = None) -> Any:
        endpoint = wrapClientTLS(
            client_tls(hostname, trust, seen), TCP4ClientEndpoint(reactor_thread, "127.0.0.1", port)
        )
        client = await endpoint.connect(Factory.forProtocol(Client))
        return await client.ended.addTimeout(10, reactor_thread)

    return lambda *args, **kwargs: on_reactor(run, *args, **kwargs)


def greets(context: ssl.SSLContext) -> Script:
    def script(wire: Wire) -> None:
        wire.tls(context)
        wire.server.requests.append(wire.socket.recv(100))  # type: ignore[arg-type]
        wire.send(GREETING)
        wire.until_closed()

    return script


@pytest.mark.parametrize(
    ("hostname", "names"),
    [
        ("localhost", ["localhost"]),
        ("LocalHost.", ["localhost"]),
        ("dc1.corp.example", ["*.corp.example"]),
        ("dc1.corp.example", ["a.example", "dc1.corp.example", "10.0.0.1"]),
        ("127.0.0.1", ["127.0.0.1"]),
        ("[::1]", ["::1"]),
        ("bücher.example", ["xn--bcher-kva.example"]),
    ],
)
def test_right_names(
    server: Scripted, call: Call, authority: Authority, hostname: str, names: list[str]
) -> None:
    server.play(greets(server_context(authority.issue(*names))))
    seen = ServerCertificates()
    assert call(server.port, hostname, Trust(ca_file=authority.ca), seen) == GREETING
    assert seen.expiries()[host_name(hostname)] > 1_700_000_000


@pytest.mark.parametrize(
    ("hostname", "names", "given"),
    [
        ("localhost", ["example.com"], {}),
        ("localhost", [], {"common_name": "localhost"}),
        ("localhost", ["example.com"], {"common_name": "localhost"}),
        ("127.0.0.1", [], {"common_name": "127.0.0.1"}),
        ("127.0.0.1", ["localhost"], {}),
        ("127.0.0.1", ["127.0.0.2"], {}),
        ("localhost", ["127.0.0.1"], {}),
        ("dc1.corp.example", ["d*.corp.example"], {}),
        ("dc1.corp.example", ["*1.corp.example"], {}),
        ("a.dc1.corp.example", ["*.corp.example"], {}),
        ("corp.example", ["*.corp.example"], {}),
        ("localhost", ["localhost"], {"end": -DAY}),
        ("localhost", ["localhost"], {"begin": DAY / 2, "end": DAY * 3}),
        ("localhost", ["localhost"], {"usage": ExtendedKeyUsageOID.CLIENT_AUTH}),
    ],
)
def test_wrong_certificates(
    server: Scripted, call: Call, authority: Authority, hostname: str, names: list[str], given: dict[str, Any]
) -> None:
    server.play(greets(server_context(authority.issue(*names, **given))))
    ended = call(server.port, hostname, Trust(ca_file=authority.ca))
    assert isinstance(ended, Untrusted)
    assert is_untrusted(ended)
    assert "certificate" in describe(ended)
    assert server.requests == [], "not an octet was said to it"


def test_another_authority(server: Scripted, call: Call, authority: Authority, tmp_path: Path) -> None:
    foreign = Authority(tmp_path, "Other")
    server.play(greets(server_context(foreign.issue(HOST))))
    assert is_untrusted(call(server.port, HOST, Trust(ca_file=authority.ca)))
    assert is_untrusted(call(server.port, HOST, Trust()))
    assert call(server.port, HOST, Trust(ca_file=foreign.ca)) == GREETING


def test_the_explicit_options(server: Scripted, call: Call, authority: Authority, tmp_path: Path) -> None:
    misnamed = server_context(authority.issue("example.com"))
    foreign = server_context(Authority(tmp_path, "Other").issue("example.com"))
    server.play(greets(misnamed))
    unnamed = Trust(ca_file=authority.ca, verify_hostname=False)
    assert call(server.port, HOST, unnamed) == GREETING
    server.play(greets(foreign))
    assert is_untrusted(call(server.port, HOST, unnamed))
    assert call(server.port, HOST, Trust(ca_file=authority.ca, verify=False)) == GREETING


def test_a_server_that_is_pinned_itself(server: Scripted, call: Call, authority: Authority) -> None:
    file = authority.issue(HOST)
    server.play(greets(server_context(file)))
    assert call(server.port, HOST, Trust(ca_file=file)) == GREETING


def test_client_certificates(server: Scripted, call: Call, authority: Authority) -> None:
    ours = authority.issue("authproxy", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    server.play(greets(server_context(authority.issue(HOST), client_ca=authority.ca)))
    assert call(server.port, HOST, Trust(ca_file=authority.ca, client_certificate=ours)) == GREETING
    assert is_untrusted(call(server.port, HOST, Trust(ca_file=authority.ca)))


def test_sni_is_sent_for_names(server: Scripted, call: Call, authority: Authority) -> None:
    asked: list[str | None] = []
    context = server_context(authority.issue(HOST, "127.0.0.1"))
    context.sni_callback = lambda _, name, __: asked.append(name)  # type: ignore[assignment]
    server.play(greets(context))
    trust = Trust(ca_file=authority.ca)
    assert call(server.port, HOST, trust) == call(server.port, "127.0.0.1", trust) == GREETING
    assert asked == [HOST, None]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("server_speaks", "minimum", "good"),
    [
        (ssl.TLSVersion.TLSv1_1, TlsVersion.TLS12, False),
        (ssl.TLSVersion.TLSv1_2, TlsVersion.TLS12, True),
        (ssl.TLSVersion.TLSv1_2, TlsVersion.TLS13, False),
        (ssl.TLSVersion.TLSv1_3, TlsVersion.TLS13, True),
    ],
)
def test_versions(
    server: Scripted,
    call: Call,
    authority: Authority,
    server_speaks: ssl.TLSVersion,
    minimum: TlsVersion,
    good: bool,
) -> None:
    context = server_context(authority.issue(HOST))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = server_speaks
    server.play(greets(context))
    ended = call(server.port, HOST, Trust(ca_file=authority.ca, minimum=minimum))
    assert (ended == GREETING) is good
    assert good or is_untrusted(ended)


def plaintext(wire: Wire) -> None:
    wire.socket.recv(100)
    wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def silent(wire: Wire) -> None:
    wire.socket.recv(1)
    wire.reset()


def ends(wire: Wire) -> None:
    while len(wire.socket.recv(65536)) < 100:
        pass
    wire.cut()


@pytest.mark.parametrize(("script", "expected"), [(plaintext, True), (silent, False), (ends, False)])
def test_no_tls_there(
    server: Scripted, call: Call, authority: Authority, script: Script, expected: bool
) -> None:
    server.play(script)
    ended = call(server.port, HOST, Trust(ca_file=authority.ca))
    assert isinstance(ended, Exception)
    assert is_untrusted(ended) is expected
    assert describe(ended)


def test_what_is_untrusted() -> None:
    assert is_untrusted(SSL.Error([("SSL routines", "", "certificate verify failed")]))
    assert is_untrusted(VerificationError(errors=[]))
    assert is_untrusted(ssl.SSLCertVerificationError(1, "no"))
    for other in (
        SSL.Error([("SSL routines", "", "unexpected eof while reading")]),
        SSL.Error([]),
        SSL.SysCallError(-1, "Unexpected EOF"),
        SSL.ZeroReturnError(),
        ssl.SSLEOFError(8, "EOF"),
        ssl.SSLZeroReturnError(6, "closed"),
        ConnectionLost(),
        ConnectionResetError(104, "reset"),
        ValueError("bug"),
    ):
        assert not is_untrusted(other), other


@pytest.mark.parametrize(
    "content", [None, b"", b"text", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"]
)
def test_unusable_authorities(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnusableTrust, match=r"ca\.pem"):
        client_tls(HOST, Trust(ca_file=file))


def test_unusable_client_certificates(tmp_path: Path, authority: Authority) -> None:
    one, other = authority.issue("a"), authority.issue("b")
    (tmp_path / "text.pem").write_text("text")
    for trust in (
        Trust(client_certificate=one, client_key=other),
        Trust(client_certificate=tmp_path / "text.pem"),
        Trust(client_certificate=one, client_key=tmp_path / "none.pem"),
        Trust(client_certificate=one, client_key=encrypted(tmp_path / "locked.pem")),
    ):
        with pytest.raises(UnusableTrust, match=r"\.pem"):
            client_tls(HOST, trust)


def encrypted(file: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    lock = serialization.BestAvailableEncryption(b"word")
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))
    return file


def test_unusable_ciphers(authority: Authority) -> None:
    with pytest.raises(UnusableTrust, match="MAGIC"):
        client_tls(HOST, Trust(ca_file=authority.ca, cipher_list="MAGIC"))


def test_a_file_that_changed_is_read_again(
    server: Scripted, call: Call, authority: Authority, tmp_path: Path
) -> None:
    trust = Trust(ca_file=tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_bytes(Authority(tmp_path / "other", "Other").ca.read_bytes())
    server.play(greets(server.context))
    assert is_untrusted(call(server.port, HOST, trust))
    (tmp_path / "new.pem").write_bytes(authority.ca.read_bytes())
    (tmp_path / "new.pem").replace(tmp_path / "ca.pem")
    assert call(server.port, HOST, trust) == GREETING
