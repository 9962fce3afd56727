"""The LDAP listener between peers that say anything: nobody gets in without both factors, and nothing breaks."""

from __future__ import annotations

import random
from collections.abc import Iterator

from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Framer
from authproxy.protocols.ldap.requests import (
    START_TLS,
    WHO_AM_I,
    AbandonRequest,
    ExtendedRequest,
    SearchRequest,
    UnbindRequest,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    BIND_RESPONSE,
    Attribute,
    BindResponse,
    ExtendedResponse,
    Result,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    encode_response,
    notice_of_disconnection,
)
from tests.fuzz.mutate import CHANGES, mutated
from tests.fuzz.report import Report, drive
from tests.listeners.ldap.world import ALICE, BOB, ROOT, SERVICE, Desk, Wire, bind, search

_SESSION = (
    encode_request(1, ROOT)
    + encode_request(2, bind(SERVICE, b"svcpw"))
    + encode_request(3, search())
    + encode_request(4, bind(ALICE, b"right,123456"))
    + encode_request(5, ExtendedRequest(WHO_AM_I))
    + encode_request(6, AbandonRequest(3))
    + encode_request(7, bind(BOB, b"wrong"))
    + encode_request(8, bind("", b""))
    + encode_request(9, ExtendedRequest(START_TLS))
)
_ANSWERS = (
    encode_response(2, SearchResultEntry(ALICE, (Attribute("cn", (b"x" * 200,)),)))
    + encode_response(2, SearchResultReference(("ldap://elsewhere/",)))
    + encode_response(2, SearchResultDone(Result(0)))
    + encode_response(3, BindResponse(Result(0)))
    + encode_response(4, ExtendedResponse(Result(0), value=b"dn:" + ALICE.encode()))
)


def client(octets: bytes) -> str:
    """From a client. Raises for a success that two factors don't stand behind, and for our bugs."""
    desk = Desk(policy={"exempts": lambda request, verified: verified.dn == SERVICE})
    wire = desk.connect()
    for at in range(0, len(octets), 50):
        if not wire.closed:
            wire.octet(octets[at : at + 50])
    return _judge(desk, wire)


def directory(octets: bytes) -> str:
    """From the directory, while a search and a second bind wait for it."""
    desk = Desk()
    wire = desk.connect()
    wire.send(1, bind())
    desk.directory.silent |= {SearchRequest, type(bind())}
    wire.send(2, search())
    wire.send(3, bind(BOB, b"bobs"))
    (upstream,) = desk.directory.upstreams
    upstream.say_octets(octets)
    wire.octet(encode_request(9, UnbindRequest()))
    desk.pass_time(20)
    return _judge(desk, wire)


def _judge(desk: Desk, wire: Wire) -> str:
    bugs = [line for line in desk.log.lines if line[0] == "failure"]
    assert not bugs, bugs
    said = wire.octets + wire.transport.value()
    try:
        frames = Framer(1_000_000, unsolicited=True).feed(said)
    except MalformedMessage:
        frames = []  # an entry's inside is passed on unread
    successes = sum(frame.tag == BIND_RESPONSE and frame.octets[frame.start + 2] == 0 for frame in frames)
    grounds = desk.reasons().count("both_factors") + desk.reasons().count("exempt")
    assert successes <= grounds, f"{successes} successes, {grounds} logins"
    assert desk.reasons().count("both_factors") <= len(desk.phone.calls)
    return desk.counted.causes[0] if desk.counted.causes else "well"


def inputs(dice: random.Random) -> Iterator[bytes]:
    return mutated([_SESSION, _ANSWERS, notice_of_disconnection(52)], dice, CHANGES)


def run(seconds: float, seed: int) -> Report:
    return drive("ldap-client", client, inputs(random.Random(seed)), seconds=seconds, bound=0.05)


def run_answers(seconds: float, seed: int) -> Report:
    return drive("ldap-answers", directory, inputs(random.Random(seed)), seconds=seconds, bound=0.05)
