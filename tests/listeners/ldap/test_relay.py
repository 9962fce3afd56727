"""Everything but binds: octets pass as they are, few things do not, nobody waits for ever (L1 to L6, L20 to L31)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from authproxy.pipeline.ports import FactorAllow
from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.controls import Control
from authproxy.protocols.ldap.filter import Not, Present, encode_filter
from authproxy.protocols.ldap.framing import frame_of
from authproxy.protocols.ldap.requests import (
    START_TLS,
    WHO_AM_I,
    AbandonRequest,
    ExtendedRequest,
    OtherRequest,
    Scope,
    SearchRequest,
    UnbindRequest,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    Attribute,
    BindResponse,
    ExtendedResponse,
    IntermediateResponse,
    OtherResult,
    Result,
    SearchResultDone,
    SearchResultEntry,
    SearchResultReference,
    encode_response,
)
from tests.listeners.ldap.world import ALICE, ROOT, SERVICE, Desk, Wire, bind, code_of, search

DONE = SearchResultDone(Result(0))
EXEMPT = {"exempts": lambda request, verified: verified.dn == SERVICE}
PROXIED = Control("2.16.840.1.113730.3.4.18", critical=True, value=b"dn:cn=admin")


def bound(desk: Desk, name: str = ALICE, password: bytes = b"right") -> Wire:
    wire = desk.connect()
    assert wire.code(1, bind(name, password)) == 0
    wire.octets = b""
    wire.messages.clear()
    return wire


def operation(message_id: int, tag: int, content: bytes, controls: bytes = b"") -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.integer(message_id) + ber.tlv(tag, content) + controls)


def modify(attribute: str, tag: int = 0x66) -> bytes:
    written = ber.tlv(ber.SEQUENCE, ber.text(attribute) + ber.tlv(ber.SET, ber.text("x")))
    change = ber.tlv(ber.SEQUENCE, ber.integer(2, ber.ENUMERATED) + written) if tag == 0x66 else written
    return operation(5, tag, ber.text(ALICE) + ber.tlv(ber.SEQUENCE, change))


# ---- L20


def test_octets_pass_both_ways_as_they_are() -> None:
    desk = Desk()
    desk.directory.silent |= {SearchRequest, OtherRequest, ExtendedRequest}
    wire = bound(desk)
    paged = Control("1.2.840.113556.1.4.319", value=b"\x30\x05\x02\x01\x02\x04\x00")
    there = [
        encode_request(2, search(), (paged,)),
        operation(3, 0x6E, b"\x04\x01a\x30\x04\x04\x01b\x04\x00"),
        operation(4, 0x4A, ALICE.encode()),
        modify("description;lang-de"),
        operation(6, 0x6C, b"\x04\x01a\x04\x01b\x01\x01\xff"),
        encode_request(7, ExtendedRequest("1.2.3.4.5", b"\x00\xff")),
    ]
    wire.octet(b"".join(there))
    assert b"".join(seen.frame.octets for seen in desk.directory.seen[1:]) == b"".join(there)
    back = [
        encode_response(2, SearchResultEntry(ALICE, (Attribute("jpegPhoto", (bytes(range(256)),)),))),
        encode_response(2, SearchResultReference(("ldap://elsewhere.example/dc=x",))),
        encode_response(2, IntermediateResponse("1.2.3", b"\x00")),
        encode_response(2, DONE, (paged, Control("1.2.840.113556.1.4.474", value=b"\x30\x03\x0a\x01\x00"))),
        encode_response(3, OtherResult(0x6F, Result(6))),
        encode_response(4, OtherResult(0x6B, Result(10, "", "", ("ldap://other.example/",)))),
        encode_response(5, OtherResult(0x67, Result(0))),
        encode_response(6, OtherResult(0x6D, Result(0))),
        encode_response(7, ExtendedResponse(Result(0), "1.2.3.4.5", b"\x00")),
    ]
    desk.directory.upstreams[0].say_octets(b"".join(back))
    wire.read()
    assert wire.octets == b"".join(back)
    assert wire.client.session.at_rest


def test_each_client_has_a_connection_of_its_own() -> None:
    desk = Desk()
    one, two = bound(desk), bound(desk)
    one.send(5, search())
    two.send(5, search())
    assert [seen.upstream for seen in desk.directory.seen[2:]] == desk.directory.upstreams
    one.send(6, UnbindRequest())
    assert [upstream.open for upstream in desk.directory.upstreams] == [False, True]
    assert desk.directory.upstreams[0].unbound


def test_an_entry_of_any_size_passes_in_pieces() -> None:
    desk = Desk()
    desk.directory.silent.add(SearchRequest)
    wire = bound(desk)
    wire.send(2, search())
    octets = encode_response(2, SearchResultEntry(ALICE, (Attribute("cn", (bytes(3_000_000),)),)))
    (upstream,) = desk.directory.upstreams
    upstream.say_octets(octets[:100_000])
    assert len(wire.transport.value()) == 100_000
    # What we say meanwhile comes behind it.
    wire.octet(encode_request(3, ExtendedRequest(START_TLS)))
    assert len(wire.transport.value()) == 100_000
    upstream.say_octets(octets[100_000:] + encode_response(2, DONE))
    wire.read()
    assert [id_ for id_, _ in wire.messages] == [2, 3, 2]


def test_a_message_that_breaks_off_cannot_be_followed_by_words() -> None:
    desk = Desk()
    desk.directory.silent.add(SearchRequest)
    wire = bound(desk)
    wire.send(2, search())
    octets = encode_response(2, SearchResultEntry(ALICE, (Attribute("cn", (bytes(3_000_000),)),)))
    desk.directory.upstreams[0].say_octets(octets[:100_000])
    desk.directory.upstreams[0].hang_up()
    assert wire.transport.aborted
    assert wire.transport.value() == octets[:100_000]


# ---- L1 to L6


@pytest.mark.parametrize(
    ("octets", "cause"),
    [
        (b"\x30\x80\x02\x01\x01", "length"),
        (bytes.fromhex("300802010160500201") + b"\x03", "truncated"),
        (bytes.fromhex("30053f01010000"), "tag"),
        (bytes.fromhex("3000"), "truncated"),
        (b"GET / HTTP/1.1\r\n", "not_ldap"),
        (b"\x16\x03\x01\x02\x00", "not_ldap"),
        (encode_request(1, bind())[:-1] + b"", None),
        (b"\x30\x84\x7f\xff\xff\xff", "oversize"),
        (b"\x30\x0a" + encode_request(1, UnbindRequest())[2:] + b"\x05\x00\x05\x00\x05", "tag"),
        (encode_request(0, search()), "message_id"),
        (b"\x30\x05\x02\x01\xff\x42\x00", "integer"),
        (b"\x30\x09\x02\x05\x00\x80\x00\x00\x00\x42\x00", "integer"),
        (operation(1, 0x64, b"\x04\x00\x30\x00"), "operation"),
        (operation(1, 0x61, b"\x0a\x01\x00\x04\x00\x04\x00"), "operation"),
        (operation(1, 0x60, b"\x02\x01\x03\x24\x03\x04\x01a\x80\x01b"), "tag"),
        (operation(1, 0x60, b"\x02\x01\x03\x04\x01a\x80\x01b\x05\x00"), "trailing"),
        (operation(1, 0x60, b"\x02\x01\x03\x04\x01a"), "truncated"),
    ],
)
def test_malformed(octets: bytes, cause: str | None) -> None:
    desk = Desk()
    other = bound(desk)
    wire = desk.connect()
    wire.octet(octets)
    if cause is None:
        assert not wire.closed
        return
    assert wire.notices() == [2]
    assert wire.closed
    assert desk.counted.causes == [cause]
    assert other.code(2, search()) == 0, "nobody else notices"


def test_the_size_is_judged_on_the_header() -> None:
    desk = Desk()
    wire = desk.connect()
    wire.octet(b"\x30\x83\x04\x00\x00")
    assert wire.closed
    later = bound(desk)
    later.octet(b"\x30\x83\x04\x00\x01")
    assert not later.closed, "more is allowed behind a bind"
    later.octet(bytes(10))
    assert later.closed or not later.closed
    again = bound(desk)
    again.send(2, bind(ALICE, b"wrong"))
    again.octet(b"\x30\x83\x04\x00\x01")
    assert again.closed, "and not behind a refused one"


def nested(base: bytes, scope: int, depth: int) -> bytes:
    """A search for an entry of which it isn't so that it isn't so that …"""
    deep = b"\x87\x01a"
    for _ in range(depth):
        deep = ber.tlv(0xA2, deep)
    head = ber.tlv(ber.OCTET_STRING, base) + bytes((0x0A, 1, scope))
    rest = b"\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00" + deep + b"\x30\x00"
    return operation(1, 0x63, head + rest)


def test_depth_costs_nothing() -> None:
    desk = Desk()
    wire = desk.connect()
    wire.octet(nested(b"a", 2, 30_000))
    assert code_of(wire.read()[0][1]) == 50
    assert encode_filter(Not(Present("a"))) == b"\xa2\x03\x87\x01a"


@pytest.mark.parametrize(("base", "scope", "anonymous"), [(b"", 0, False), (b"", 0, True), (b"a", 2, True)])
def test_depth_that_nobody_answers_for_doesnt_reach_the_directory(
    base: bytes, scope: int, anonymous: bool
) -> None:
    desk = Desk(options={"allow_anonymous": anonymous})
    wire = desk.connect()
    wire.octet(nested(base, scope, 30_000))
    assert wire.notices() == [2]
    assert not desk.directory.upstreams
    other = desk.connect()
    other.octet(nested(base, scope, 49))
    assert code_of(other.read()[-1][1]) == 0


def test_the_id_of_an_operation_in_progress() -> None:
    desk = Desk()
    desk.directory.silent.add(SearchRequest)
    for request in (search(), bind(), ExtendedRequest(WHO_AM_I)):
        wire = bound(desk)
        wire.send(2, search())
        wire.send(2, request)
        assert wire.notices() == [2]


def test_an_abandon_means_the_same_operation() -> None:
    desk = Desk()
    desk.directory.silent.add(SearchRequest)
    wire = bound(desk)
    wire.send(2, search())
    wire.send(3, search())
    wire.send(4, AbandonRequest(2))
    wire.send(5, AbandonRequest(77))
    assert desk.directory.of(AbandonRequest) == [AbandonRequest(2)]
    (upstream,) = desk.directory.upstreams
    upstream.say(2, DONE)
    upstream.say(3, DONE)
    assert wire.read() == [(3, DONE)]
    wire.send(2, search())
    assert not wire.closed, "the id is free again"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=30))
def test_any_cut_gives_the_same_session(cuts: list[int]) -> None:
    octets = (
        encode_request(1, ROOT)
        + encode_request(2, bind(ALICE, b"right,123456"))
        + encode_request(3, search())
        + encode_request(4, bind(ALICE, b"wrong"))
        + encode_request(5, search())
        + encode_request(6, bind())
        + encode_request(7, search())
    )
    whole, cut = Desk().connect(), Desk().connect()
    whole.octet(octets)
    at = 0
    for end in [*sorted(cut_at for cut_at in cuts if cut_at < len(octets)), len(octets)]:
        cut.octet(octets[at:end])
        at = end
    assert whole.read() == cut.read()
    assert [id_ for id_, _ in whole.messages] == [1, 1, 2, 3, 3, 4, 5, 6, 7, 7]


def test_what_was_asked_before_a_goodbye_is_done() -> None:
    desk = Desk()
    wire = bound(desk)
    wire.octet(encode_request(2, search()) + encode_request(3, UnbindRequest()))
    assert len(desk.directory.of(SearchRequest)) == 1
    assert desk.directory.upstreams[0].unbound
    opening = desk.directory.opening = Deferred()
    other = desk.connect()
    other.octet(encode_request(1, ROOT) + encode_request(2, UnbindRequest()))
    opening.callback(None)
    assert desk.directory.of(SearchRequest)[-1] == ROOT
    assert other.closed


def test_a_goodbye_behind_a_bind_ends_it() -> None:
    desk = Desk()
    desk.phone.at_once = None
    opening = desk.directory.opening = Deferred()
    wire = desk.connect()
    wire.octet(encode_request(1, ROOT) + encode_request(2, bind()) + encode_request(3, UnbindRequest()))
    opening.callback(None)
    assert wire.closed
    assert not desk.directory.upstreams[0].open


def test_too_many_operations() -> None:
    desk = Desk(limits={"operations_bound": 5})
    desk.directory.silent.add(SearchRequest)
    wire = bound(desk)
    for number in range(2, 7):
        wire.send(number, search())
    assert not wire.closed
    wire.send(7, search())
    assert wire.notices() == [51]


# ---- L21 to L24


def test_before_a_bind_only_the_root_dse_is_read() -> None:
    desk = Desk()
    wire = desk.connect()
    for number, request in enumerate((search(), search(""), SearchRequest("", Scope.ONE_LEVEL)), 1):
        assert wire.code(number, request) == 50
    assert wire.code(4, ExtendedRequest(WHO_AM_I)) == 50
    wire.octet(modify("cn"))
    assert wire.read() == [(5, OtherResult(0x67, Result(50, "Bind first.")))]
    assert not desk.directory.upstreams
    assert wire.code(6, ROOT) == 0
    assert wire.code(7, bind()) == 0
    assert len(desk.directory.upstreams) == 1


def test_the_root_dse_tells_what_works_here() -> None:
    told = {
        "supportedSASLMechanisms": (b"GSSAPI", b"GSS-SPNEGO", b"PLAIN"),
        "SUPPORTEDLDAPVERSION": (b"3", b"2"),
        "supportedExtension": (START_TLS.encode(), WHO_AM_I.encode(), b"1.2.840.113556.1.4.1781"),
        "namingContexts": (b"dc=example",),
        "supportedControl": (b"1.2.840.113556.1.4.319",),
    }
    entry = SearchResultEntry("", tuple(Attribute(name, values) for name, values in told.items()))
    for tls, expected in ((None, (WHO_AM_I.encode(),)), (object(), (WHO_AM_I.encode(), START_TLS.encode()))):
        desk = Desk(tls=tls)
        desk.directory.silent.add(SearchRequest)
        wire = desk.connect()
        wire.send(3, ROOT)
        desk.directory.upstreams[0].say(3, entry, Control("1.2.3"))
        desk.directory.upstreams[0].say(3, DONE)
        (_, shown), (_, done) = wire.read()
        assert done == DONE
        assert isinstance(shown, SearchResultEntry)
        assert {each.name: each.values for each in shown.attributes} == {
            "SUPPORTEDLDAPVERSION": (b"3",),
            "supportedExtension": expected,
            "namingContexts": (b"dc=example",),
            "supportedControl": (b"1.2.840.113556.1.4.319",),
        }


def test_the_root_dse_in_small_pieces() -> None:
    desk = Desk()
    desk.directory.silent.add(SearchRequest)
    wire = desk.connect()
    wire.send(3, ROOT)
    mechanisms = Attribute("supportedSASLMechanisms", tuple(b"M%05d" % number for number in range(5000)))
    octets = encode_response(3, SearchResultEntry("", (mechanisms, Attribute("cn", (b"x",)))))
    for at in range(0, len(octets), 1000):
        desk.directory.upstreams[0].say_octets(octets[at : at + 1000])
    assert wire.read() == [(3, SearchResultEntry("", (Attribute("cn", (b"x",)),)))]


@pytest.mark.parametrize("oid", ["1.2.840.113556.1.4.1781", "1.3.6.1.4.1.4203.666.6.5"])
def test_what_checks_passwords_and_is_no_bind(oid: str) -> None:
    desk = Desk()
    assert bound(desk).code(2, ExtendedRequest(oid)) == 53
    assert not desk.directory.of(ExtendedRequest)


@pytest.mark.parametrize("tag", [0x66, 0x68])
def test_passwords_are_changed_over_tls_only(tag: int) -> None:
    desk = Desk()
    wire = bound(desk)
    for name in ("unicodePwd", "UNICODEPWD;x-option"):
        wire.octet(modify(name, tag))
    wire.send(6, ExtendedRequest("1.3.6.1.4.1.4203.1.11.1", b"x"))
    wire.read()
    assert [code_of(response) for _, response in wire.messages] == [13, 13, 13]
    assert len(desk.directory.seen) == 1
    wire.handshake()
    wire.octet(modify("unicodePwd", tag))
    assert wire.code(6, ExtendedRequest("1.3.6.1.4.1.4203.1.11.1", b"x")) == 0
    assert len(desk.directory.seen) == 3


def test_only_service_accounts_act_as_others() -> None:
    desk = Desk(policy=EXEMPT)
    assert bound(desk).code(2, search(), PROXIED) == 50
    assert not desk.directory.of(SearchRequest)
    service = bound(desk, SERVICE, b"svcpw")
    assert service.code(2, search(), PROXIED) == 0
    assert service.code(3, bind()) == 0
    assert service.code(4, search(), PROXIED) == 50, "not after somebody else has bound"


# ---- L28, L29


def test_the_directory_goes_while_a_client_is_idle() -> None:
    desk = Desk()
    wire = bound(desk)
    desk.directory.upstreams[0].hang_up()
    assert wire.notices() == [52]
    assert wire.closed


def test_the_directory_goes_while_operations_wait() -> None:
    desk = Desk()
    desk.directory.silent |= {SearchRequest, OtherRequest, ExtendedRequest}
    wire = bound(desk)
    wire.send(2, search())
    wire.send(3, ExtendedRequest("1.2.3"))
    wire.octet(modify("cn"))
    desk.directory.upstreams[0].hang_up()
    wire.read()
    assert [(id_, code_of(response)) for id_, response in wire.messages] == [
        (2, 52),
        (3, 52),
        (5, 52),
        (0, 52),
    ]
    assert wire.closed


def test_the_directory_s_goodbye() -> None:
    desk = Desk()
    wire = bound(desk)
    desk.directory.upstreams[0].say(0, ExtendedResponse(Result(52), "1.3.6.1.4.1.1466.20036"))
    assert wire.notices() == [52]
    assert not desk.directory.upstreams[0].open


@pytest.mark.parametrize("octets", [b"HTTP/1.1", b"\x30\x05\x02\x01\x02\x30\x00"])
def test_a_directory_that_speaks_no_ldap(octets: bytes) -> None:
    desk = Desk()
    wire = bound(desk)
    desk.directory.upstreams[0].say_octets(octets)
    assert wire.notices() == [52]
    assert not desk.directory.upstreams[0].open


def test_a_search_is_not_answered_by_a_success_of_something_else() -> None:
    for response in (BindResponse(Result(0)), ExtendedResponse(Result(0)), OtherResult(0x67, Result(0))):
        desk = Desk()
        desk.directory.silent.add(SearchRequest)
        wire = bound(desk)
        wire.send(2, search())
        desk.directory.upstreams[0].say(2, response)
        wire.read()
        assert [(id_, code_of(answer)) for id_, answer in wire.messages] == [(2, 52), (0, 52)]


@pytest.mark.parametrize("octets", [encode_request(5, search()), modify("sn")])
def test_an_extended_response_may_refuse_anything(octets: bytes) -> None:
    """It is how Samba refuses a critical control that it doesn't know; the connection is none the worse."""
    desk = Desk()
    wire = bound(desk)
    desk.directory.silent.add(SearchRequest)
    wire.octet(octets)
    (upstream,) = desk.directory.upstreams
    upstream.say(5, ExtendedResponse(Result(12)))
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(5, 12)]
    assert not wire.closed
    desk.directory.silent.clear()
    assert wire.code(6, search()) == 0


def test_what_nobody_asked_for_goes_nowhere() -> None:
    desk = Desk()
    wire = bound(desk)
    for response in (DONE, SearchResultEntry(ALICE), OtherResult(0x67, Result(0))):
        desk.directory.upstreams[0].say(9, response)
    assert wire.read() == []


def test_no_directory_when_the_root_dse_is_read() -> None:
    desk = Desk()
    desk.directory.down = True
    wire = desk.connect()
    assert wire.code(1, ROOT) == 52
    desk.directory.down = False
    assert wire.code(2, ROOT) == 0


def test_order_is_kept_while_connecting() -> None:
    desk = Desk()
    desk.directory.opening = Deferred()
    wire = desk.connect()
    wire.octet(encode_request(1, ROOT) + encode_request(2, bind()) + encode_request(3, search()))
    assert wire.read() == []
    opening, desk.directory.opening = desk.directory.opening, None
    opening.callback(None)
    assert [id_ for id_, _ in wire.read()] == [1, 1, 2, 3, 3]


def test_who_goes_while_connecting() -> None:
    desk = Desk()
    opening = desk.directory.opening = Deferred()
    wire = desk.connect()
    wire.send(1, ROOT)
    wire.hang_up()
    opening.callback(None)
    assert not desk.directory.upstreams[0].open


# ---- L30, L31


def test_what_follows_starttls_in_clear_ends_the_connection() -> None:
    for behind in (encode_request(2, bind()), b"\x30"):
        desk = Desk(tls=object())
        wire = desk.connect()
        wire.octet(encode_request(1, ExtendedRequest(START_TLS)) + behind)
        assert wire.transport.aborted
        assert wire.transport.tls is None
        assert wire.transport.value() == b""
        assert not desk.directory.seen
        assert desk.counted.causes == ["starttls_injection"]


def test_what_waited_behind_starttls_ends_the_connection() -> None:
    desk = Desk(tls=object())
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    wire.octet(encode_request(2, ExtendedRequest(START_TLS)) + encode_request(3, bind()))
    desk.phone.answer(FactorAllow())
    assert wire.transport.aborted
    assert len(desk.directory.seen) == 1


def test_starttls() -> None:
    context = object()
    desk = Desk(tls=context)
    wire = bound(desk)
    assert wire.code(2, ExtendedRequest(START_TLS)) == 0
    assert wire.transport.tls is context
    wire.handshake()
    assert not desk.directory.upstreams[0].open, "who bound in clear isn't bound inside"
    assert wire.code(3, search()) == 50
    assert wire.code(4, bind()) == 0
    assert wire.code(5, ExtendedRequest(START_TLS)) == 1


def test_starttls_is_refused() -> None:
    assert Desk().connect().code(1, ExtendedRequest(START_TLS)) == 2
    desk = Desk(tls=object())
    desk.directory.silent.add(SearchRequest)
    wire = bound(desk)
    wire.send(2, search())
    assert wire.code(3, ExtendedRequest(START_TLS)) == 1
    assert wire.transport.tls is None


# ---- back-pressure


def test_a_client_that_does_not_read_stops_the_directory() -> None:
    desk = Desk()
    wire = bound(desk)
    (upstream,) = desk.directory.upstreams
    wire.client.pauseProducing()
    assert upstream.paused
    wire.client.resumeProducing()
    assert not upstream.paused


def test_a_client_that_does_not_read_is_not_read() -> None:
    """What it asks meanwhile would be answered into memory, and needs nobody's leave to be asked."""
    desk = Desk()
    wire = bound(desk)
    wire.octet(encode_request(2, search())[:5])
    wire.client.pauseProducing()
    assert wire.transport.producerState == "paused"
    receiver = desk.directory.upstreams[0].receiver
    receiver.pauseProducing()
    receiver.resumeProducing()
    assert wire.transport.producerState == "paused", "the directory reads, the client doesn't"
    desk.pass_time(45)
    assert not wire.closed, "its message isn't slow: nobody reads it"
    wire.client.resumeProducing()
    assert wire.transport.producerState == "producing"
    desk.pass_time(29)
    wire.octet(encode_request(2, search())[5:])
    assert code_of(wire.read()[-1][1]) == 0


def test_a_directory_that_does_not_read_stops_the_client() -> None:
    desk = Desk()
    wire = bound(desk)
    desk.directory.upstreams[0].receiver.pauseProducing()
    assert wire.transport.producerState == "paused"
    desk.directory.upstreams[0].receiver.resumeProducing()
    assert wire.transport.producerState == "producing"


def test_frames_are_whole() -> None:
    assert frame_of(encode_request(1, search())).message_id == 1
