"""EAP to its end with a peer of our own: PEAP and TTLS, TLS 1.2 and 1.3, prompts, refusals, and whatever is no EAP."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from authproxy.protocols.eap.conversation import (
    MOST_ROUNDS,
    Conversation,
    Ended,
    MalformedEap,
    Send,
    Step,
    TunnelFailed,
    Typed,
)
from authproxy.secret import Secret

from .peer import PEAP, TTLS, Peer, connect, packet

BOTH = pytest.mark.parametrize("method", [PEAP, TTLS])


def conversation(fragment: int = 1000) -> Conversation:
    return Conversation(connect, prompt="Password: ", fragment=fragment)


def talk(server: Conversation, peer: Peer, step: Step) -> Step:
    """Until somebody has to decide, or it is over."""
    while isinstance(step, Send):
        step = server.receive(peer.respond(step.message))
    return step


def begin(server: Conversation, peer: Peer) -> Step:
    return talk(server, peer, server.receive(peer.identity()))


@BOTH
@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.parametrize("fragment", [64, 1000])
def test_let_in(method: int, version: int, fragment: int) -> None:
    server, peer = conversation(fragment), Peer(method, maximum=version, fragment=fragment)
    typed = begin(server, peer)
    assert typed == Typed(b"alice", Secret(b"right"), can_be_asked=method == PEAP)
    ended = talk(server, peer, server.accept())
    assert isinstance(ended, Ended)
    assert ended.message is not None
    assert ended.message[0] == 3
    assert ended.keys == Secret(peer.keys())


@BOTH
def test_refused(method: int) -> None:
    server, peer = conversation(), Peer(method)
    begin(server, peer)
    assert talk(server, peer, server.refuse()) == Ended()


def test_asked_on() -> None:
    server, peer = conversation(), Peer(typed=(b"right", b"sms", b"123456"))
    begin(server, peer)
    for text, typed in (("Choose: ", b"sms"), ("Again: ", b"123456")):
        answer = talk(server, peer, server.ask(text))
        assert isinstance(answer, Typed)
        assert answer.secret == Secret(typed)
    assert peer.said == [b"\x01", b"\x06Password: ", b"\x06Choose: ", b"\x06Again: "]


@pytest.mark.parametrize(
    "result",
    [
        packet(0, 33, b"\x80\x03\x00\x02\x00\x02"),  # it says that it failed
        packet(0, 33, b""),
        packet(0, 33, b"\x80\x03\x00\xff\x00\x01"),
        packet(0, 33, b"\x80\x0c\x00\x02\x00\x01"),
        b"\x06success",
        b"\x01alice",
    ],
)
def test_a_peer_that_does_not_agree(result: bytes) -> None:
    """It has been accepted, and gets no keys unless it says so too."""
    server, peer = conversation(), Peer(result=result)
    begin(server, peer)
    assert talk(server, peer, server.accept()) == Ended()


def test_a_refused_peer_that_claims_success() -> None:
    server, peer = conversation(), Peer(result=packet(0, 33, b"\x80\x03\x00\x02\x00\x01"))
    begin(server, peer)
    assert talk(server, peer, server.refuse()) == Ended()


@BOTH
def test_nothing_while_it_is_being_decided(method: int) -> None:
    """And the end is the end: nothing leads on from there."""
    server, peer = conversation(), Peer(method)
    begin(server, peer)
    for _ in range(2):
        with pytest.raises(MalformedEap):
            server.receive(packet(server._identifier, method, b"\0"))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x02\x01\x00\x04",
        b"\x01\x01\x00\x06\x19\x00",  # a Request
        b"\x02\x01\x00\xff\x19\x00",  # longer than it is
        packet(9, PEAP, b"\0"),  # another identifier
        packet(1, 13, b"\0"),  # another method
        packet(1, 3, b"\x0d"),  # wants EAP-TLS
        packet(1, PEAP, b""),
        packet(1, PEAP, b"\x20"),  # starts
        packet(1, PEAP, b"\x80\x00"),
        packet(1, PEAP, b"\xc0\x7f\xff\xff\xff\x00"),  # 2 GiB to come
        packet(1, PEAP, b"\x40"),
        packet(1, PEAP, b"\x80\x00\x00\x00\x02x"),
        packet(1, PEAP, b"\x00GET / HTTP/1.0"),
    ],
)
def test_garbage(octets: bytes) -> None:
    server = conversation()
    server.receive(Peer.identity(0))
    with pytest.raises((MalformedEap, TunnelFailed)):
        server.receive(octets)
    with pytest.raises(MalformedEap):  # it is over
        server.receive(packet(1, PEAP, b"\0"))


def test_not_for_ever() -> None:
    """Empty packets keep it going no longer than any login takes."""
    server = conversation()
    step: Step = server.receive(Peer.identity())
    for _ in range(MOST_ROUNDS - 1):
        assert isinstance(step, Send)
        step = server.receive(packet(step.message[1], PEAP, b"\0"))
    assert isinstance(step, Send)
    with pytest.raises(MalformedEap, match="more than"):
        server.receive(packet(step.message[1], PEAP, b"\0"))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 3), st.binary(max_size=300))
def test_any_octets(after: int, octets: bytes) -> None:
    """Somewhere in the handshake: an answer or the one of two errors, and never a decision."""
    server, peer = conversation(), Peer()
    step: Step = server.receive(peer.identity())
    for _ in range(after):
        assert isinstance(step, Send)
        step = server.receive(peer.respond(step.message))
    if not isinstance(step, Send):
        return
    try:
        found = server.receive(packet(step.message[1], PEAP, octets))
    except (MalformedEap, TunnelFailed):
        return
    assert isinstance(found, Send)
