"""NTLM binds over a connection: the real exchange, and servers that say yes without knowing the key."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import pytest
import spnego
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol

from authproxy.backends.directory.binds import Binder, Credentials, NoVerdict, Right, Wrong, judge
from authproxy.backends.directory.connect import Unusable
from authproxy.backends.directory.connection import MAX_MESSAGE, ConnectionFailed, LdapConnection
from authproxy.backends.directory.ntlm import Account
from authproxy.backends.directory.settings import AuthType, Transport
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Framer
from authproxy.protocols.ldap.requests import (
    BindRequest,
    Sasl,
    Scope,
    SearchRequest,
    decode_request,
)
from authproxy.protocols.ldap.responses import (
    BindResponse,
    Result,
    SearchResultDone,
    encode_response,
)
from authproxy.secret import Secret

from .network import Network

ALICE = Account("alice", "CORP")
SEALED = Binder(AuthType.NTLM2, Transport.CLEAR)
PLAIN = Binder(AuthType.PLAIN, Transport.CLEAR)
# SPNEGO's "accept-completed", without the checksum that only the key makes (RFC 4178 §4.2.2).
BARE_YES = bytes.fromhex("a1073005a0030a0100")


def credentials(
    password: bytes = b"Passw0rd", name: str = "CN=alice", account: Account | None = ALICE
) -> Credentials:
    return Credentials(name, account, Secret(password))


class Controller(Protocol):
    """A domain controller that knows alice, or one of the things that only look like it."""

    transport: Any

    def __init__(self, how: str) -> None:
        self.how = how
        self.framer = Framer(1 << 20)
        self.context: Any = spnego.server(protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate)
        self.sealed = False
        self.binds = 0

    def dataReceived(self, data: bytes) -> None:
        if self.sealed:
            (length,) = struct.unpack("!I", data[:4])
            data = self.context.unwrap(data[4 : 4 + length]).data
        try:
            frames = self.framer.feed(data)
        except MalformedMessage:
            # Sealed with a key that this one doesn't have.
            self.transport.loseConnection()
            return
        for frame in frames:
            match decode_request(frame):
                case BindRequest(_, Sasl(_, credentials)):
                    self.binds += 1
                    self.bind(frame.message_id, b"" if credentials is None else credentials.reveal())
                case SearchRequest():
                    self.search(frame.message_id)
                case _:
                    pass

    def bind(self, message_id: int, token: bytes) -> None:
        match self.how, self.binds:
            case "yes at once", _:
                self.say(message_id, BindResponse(Result(0), BARE_YES))
                return
            case "yes and nothing else", 2:
                self.say(message_id, BindResponse(Result(0)))
                return
            case "yes and a bare token", 2:
                self.say(message_id, BindResponse(Result(0), BARE_YES))
                return
            case "never done", 2:
                self.say(message_id, BindResponse(Result(14), b""))
                return
        try:
            answer = self.context.step(token)
        except spnego.exceptions.SpnegoError:
            self.say(message_id, BindResponse(Result(49, "data 52e")))
            return
        self.say(message_id, BindResponse(Result(0 if self.context.complete else 14), answer))
        self.sealed = self.context.complete

    def search(self, message_id: int) -> None:
        self.say(message_id, SearchResultDone(Result(0)))

    def say(self, message_id: int, response: Any) -> None:
        octets = encode_response(message_id, response)
        if self.sealed:
            sealed = self.context.wrap(octets).data
            octets = struct.pack("!I", len(sealed)) + sealed
        self.transport.write(octets)


class Liar(Controller):
    """Says yes to a password it doesn't know, and answers whatever follows with octets of its own choice."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("yes and a bare token")
        self.answer = answer

    def dataReceived(self, data: bytes) -> None:
        if self.binds == 2:
            self.transport.write(self.answer)
        else:
            super().dataReceived(data)


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users").write_text("CORP:alice:Passw0rd\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(tmp_path / "users"))


def bound(server: Controller, password: bytes = b"Passw0rd") -> tuple[Network, LdapConnection, Any]:
    network, connection = connected(server)
    outcome = network.begin(SEALED.bind(connection, credentials(password), "dc1", 10))
    network.wait_for(lambda: bool(outcome))
    return network, connection, outcome[0]


def connected(server: Protocol) -> tuple[Network, LdapConnection]:
    from twisted.internet.endpoints import TCP4ClientEndpoint
    from twisted.internet.protocol import Factory

    network = Network()
    network.listening["10.0.0.1", 389] = lambda: server
    endpoint = TCP4ClientEndpoint(network, "10.0.0.1", 389)

    async def connect() -> LdapConnection:
        made: LdapConnection = await endpoint.connect(Factory.forProtocol(lambda: LdapConnection(network)))
        return made

    return network, network.run(connect())


@pytest.mark.usefixtures("users")
def test_sealed() -> None:
    network, connection, proof = bound(Controller("honest"))
    assert proof == Right()
    found = network.run(connection.search(SearchRequest("DC=corp", Scope.BASE), network.seconds() + 10))
    assert found.result.code == 0


@pytest.mark.usefixtures("users")
def test_a_wrong_password() -> None:
    _, _, proof = bound(Controller("honest"), b"wrong")
    assert proof == Wrong("bad_password")


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("how", ["yes at once", "yes and nothing else", "yes and a bare token"])
def test_a_yes_without_the_key_is_none(how: str) -> None:
    _, connection, outcome = bound(Controller(how))
    assert isinstance(outcome.value, ConnectionFailed)
    assert connection.closed


@pytest.mark.usefixtures("users")
def test_an_exchange_without_an_end() -> None:
    _, _, outcome = bound(Controller("never done"))
    assert isinstance(outcome.value, NoVerdict)


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize(
    "answer",
    [
        encode_response(3, SearchResultDone(Result(0))),
        struct.pack("!I", 30) + bytes(30),
        struct.pack("!I", 16 + 14)
        + b"\1\0\0\0"
        + bytes(12)
        + encode_response(3, SearchResultDone(Result(0))),
        struct.pack("!I", 0),
        struct.pack("!I", MAX_MESSAGE * 2),
        b"\xff\xff\xff\xff",
    ],
)
def test_what_isnt_sealed_with_the_key_proves_nothing(answer: bytes) -> None:
    """A man in the middle may say yes to any password; the key he doesn't have."""
    network, connection, outcome = bound(Liar(answer))
    assert isinstance(outcome.value, ConnectionFailed)
    assert connection.closed
    assert network.seconds() == 0


def test_a_bind_that_is_cancelled_ends_its_connection() -> None:
    """Its answer would be taken for the next one's."""
    network, connection = connected(Protocol())
    binding = Deferred.fromCoroutine(PLAIN.bind(connection, credentials(), "dc1", 10))
    binding.addErrback(lambda _: None)
    network.settle()
    binding.cancel()
    assert connection.closed


@pytest.mark.parametrize("binder", [SEALED, PLAIN])
@pytest.mark.parametrize(
    "missing",
    [
        credentials(password=b""),
        credentials(name=""),
        credentials(account=None),
        credentials(account=Account("")),
    ],
)
def test_nobody_is_bound_as(binder: Binder, missing: Credentials) -> None:
    """RFC 4513 §5.1.2, once more, where the octets are made."""
    network, connection = connected(Controller("honest"))
    if binder is PLAIN and missing.password and missing.name:
        return
    with pytest.raises(RuntimeError, match="must not get here"):
        network.run(binder.bind(connection, missing, "dc1", 10))


def test_ntlm_that_is_turned_down_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", "0")
    server = Controller.__new__(Controller)
    network, connection = connected(server)
    with pytest.raises(Unusable, match="unset it"):
        network.run(SEALED.bind(connection, credentials(), "dc1", 10))


@pytest.mark.parametrize("code", [*range(1, 130), 4096])
def test_success_is_zero_and_nothing_else(code: int) -> None:
    proof: object = None
    with contextlib.suppress(NoVerdict, Unusable):
        proof = judge(Result(code), None)
    assert proof is None or isinstance(proof, Wrong)
    assert judge(Result(0), None) == Right()
