"""EAP: any octets to the readers, and to a conversation at each of its steps. Nobody comes in, whatever they are."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

from authproxy.protocols.eap.avps import read_avps, read_pap
from authproxy.protocols.eap.conversation import (
    Conversation,
    MalformedEap,
    Send,
    Step,
    TunnelFailed,
    Typed,
)
from authproxy.protocols.eap.fragments import Incoming
from authproxy.protocols.eap.packet import is_success, read_inner, read_response
from tests.fuzz.mutate import CHANGES, mutated
from tests.fuzz.report import Report, drive
from tests.protocols.eap.peer import PEAP, TTLS, Peer, avp, connect, packet


def target() -> Callable[[bytes], str]:
    times = 0

    def one(octets: bytes) -> str:
        nonlocal times
        times += 1
        readers(octets)
        return conversation(octets, times % 5, PEAP if times % 2 else TTLS)

    return one


def readers(octets: bytes) -> None:
    for read in (read_response, read_avps, read_pap, Incoming().add):
        with suppress(MalformedEap):
            read(octets)
    with suppress(MalformedEap):
        is_success(read_inner(octets))


def conversation(octets: bytes, after: int, method: int) -> str:
    """The right peer for `after` packets, then these octets; what came of them."""
    server, peer = Conversation(connect, prompt="?", fragment=400), Peer(method)
    step: Step = server.receive(peer.identity())
    for _ in range(after):
        if isinstance(step, Send):
            step = server.receive(peer.respond(step.message))
    assert not isinstance(step, Typed) or after >= 4
    # With the identifier that is due, so that what lies behind it is met too.
    asked = step.message[1] if isinstance(step, Send) else 0
    changed = octets[:1] + bytes((asked,)) + octets[2:] if len(octets) > 1 else octets
    try:
        found = server.receive(changed)
    except (MalformedEap, TunnelFailed) as failed:
        return type(failed).__name__
    assert isinstance(found, Send), "octets that nobody typed were taken for a login"
    return "Send"


def _seeds() -> list[bytes]:
    hello = Peer().respond(b"\x01\x01\x00\x06\x19\x20")
    pap = avp(1, b"alice") + avp(2, b"right".ljust(16, b"\0"))
    return [
        Peer.identity(),
        packet(1, 3, b"\x15"),
        packet(1, PEAP, b"\0"),
        packet(1, PEAP, b"\x80\0\0\0\x02ab"),
        packet(1, 33, b"\x80\x03\x00\x02\x00\x01"),
        hello,
        Peer(TTLS).respond(b"\x01\x01\x00\x06\x15\x20"),
        pap,
    ]


def inputs(seed: int) -> Iterator[bytes]:
    return mutated(_seeds(), random.Random(seed), CHANGES)


def run(seconds: float, seed: int) -> Report:
    return drive("eap", target(), inputs(seed), seconds=seconds)


def run_count(count: int, seed: int) -> Report:
    return drive("eap", target(), inputs(seed), count=count)
