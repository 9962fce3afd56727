"""Connections for LDAP applications: opened where somebody answers, handed over, and over when they are (L28, L29)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from authproxy.backends.directory.upstream import Upstream, Upstreams
from authproxy.pipeline.ports import PrimaryUnavailable
from authproxy.protocols.ldap.requests import Scope, SearchRequest, encode_request

from .fakes import BASE, ONE, TWO, Desk, desk, two_hosts
from .network import BLACK_HOLE


@dataclass
class Client:
    """Implements upstream.Receiver."""

    octets: bytes = b""
    over: list[str] = field(default_factory=list)

    def received(self, octets: bytes) -> None:
        self.octets += octets

    def lost(self, why: str) -> None:
        self.over.append(why)

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


def opened(made: Desk, client: Client) -> Upstream:
    network = made.network
    return network.run(Upstreams(made.directory).open(client, network.seconds() + 10))


@pytest.fixture(autouse=True)
def _pipes_have_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    from .network import Pipe

    peer = type("Peer", (), {"host": "10.0.0.1"})
    monkeypatch.setattr(Pipe, "getPeer", lambda self: peer)


def test_octets_go_both_ways() -> None:
    made, client = desk(), Client()
    upstream = opened(made, client)
    upstream.write(encode_request(7, SearchRequest("", Scope.BASE)))
    made.network.wait_for(lambda: client.octets != b"")
    assert client.octets.startswith(b"\x30")
    assert made.one.binds == [], "it is nobody's"


def test_each_has_its_own() -> None:
    made = desk()
    opened(made, Client())
    opened(made, Client())
    assert len(made.one.open_sessions()) == 2


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_the_next_host(how: str) -> None:
    made, client = two_hosts(), Client()
    if how == "refused":
        made.down(ONE)
    else:
        made.network.listening[ONE.address, ONE.port] = BLACK_HOLE
    opened(made, client)
    assert len(made.two.open_sessions()) == 1


def test_nobody() -> None:
    made = two_hosts()
    made.down(ONE)
    made.down(TWO)
    with pytest.raises(PrimaryUnavailable):
        opened(made, Client())


def test_it_is_lost_once_and_not_after_a_close() -> None:
    made, one, two = desk(), Client(), Client()
    opened(made, one)
    closed = opened(made, two)
    closed.close()
    for session in made.one.sessions:
        session.transport.loseConnection()
    made.network.settle()
    assert len(one.over) == 1
    assert two.over == []
    closed.write(b"nothing")  # and nothing comes of it
    closed.close()


def test_a_goodbye_is_an_unbind() -> None:
    made = desk()
    upstream = opened(made, Client())
    upstream.close(9)
    made.network.settle()
    (session,) = [session for session in made.one.sessions if session.operations == ["UnbindRequest"]]
    assert session.unbound


def test_what_is_said_on_one_is_never_said_on_another() -> None:
    """L29: it isn't opened again behind the client's back."""
    made, client = two_hosts(), Client()
    upstream = opened(made, client)
    (session,) = made.one.open_sessions()
    session.transport.abortConnection()
    made.network.settle()
    upstream.write(encode_request(1, SearchRequest(BASE, Scope.BASE)))
    made.network.settle()
    assert made.two.searches == []
    assert len(client.over) == 1
