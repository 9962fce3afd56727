"""Binds: who gets in, what the client hears, and what the directory's side is authorised for (L7 to L19)."""

from __future__ import annotations

import pytest

from authproxy.pipeline.decision import Reason
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.ports import (
    FactorAllow,
    FactorDeny,
    FailureClass,
    PrimaryUnavailable,
    Refused,
    Verified,
)
from authproxy.protocols.ldap.controls import PASSWORD_POLICY, Control, PasswordPolicy, encode_password_policy
from authproxy.protocols.ldap.requests import (
    WHO_AM_I,
    AbandonRequest,
    BindRequest,
    ExtendedRequest,
    OtherChoice,
    Sasl,
    SearchRequest,
    Simple,
    UnbindRequest,
    encode_request,
)
from authproxy.protocols.ldap.responses import (
    BindResponse,
    ExtendedResponse,
    Result,
    SearchResultDone,
    SearchResultEntry,
    encode_response,
)
from authproxy.secret import Secret
from tests.listeners.ldap.world import (
    ALICE,
    BOB,
    PASSWORDS,
    ROOT,
    SERVICE,
    Desk,
    Wire,
    bind,
    code_of,
    search,
)
from tests.pipeline.fakes import Door


def test_both_factors() -> None:
    desk = Desk()
    wire = desk.connect()
    assert wire.code(1, bind()) == 0
    assert wire.code(2, search()) == 0
    assert desk.phone.calls[0][0] == "alice"
    assert desk.reasons() == ["both_factors"]


def test_the_factor_is_taken_off_the_password() -> None:
    desk = Desk()
    wire = desk.connect()
    assert wire.code(7, bind(ALICE, b"right,123456"), Control("1.2.3", value=b"kept")) == 0
    (sent,) = desk.directory.seen
    assert sent.request == bind(ALICE, b"right")
    assert sent.frame.message_id == 7
    assert sent.frame.octets.endswith(encode_request(7, bind(), (Control("1.2.3", value=b"kept"),))[-12:])
    ((_, call),) = desk.phone.calls
    assert call.factor == "passcode"
    assert call.passcode == Secret(b"123456")


def test_a_bind_without_a_factor_behind_it_goes_as_it_came() -> None:
    desk = Desk()
    # A length in more octets than need be: what Windows writes.
    octets = encode_request(1, bind())
    longer = b"\x30\x84" + (len(octets) - 2).to_bytes(4, "big") + octets[2:]
    desk.connect().octet(longer)
    assert desk.directory.seen[0].frame.octets == longer


# ---- L7


@pytest.mark.parametrize(
    ("name", "password", "code", "reason"),
    [
        ("", b"", 48, None),
        ("", b"x", 49, None),
        (ALICE, b"", 53, "empty_password"),
        (ALICE, b",123456", 53, "empty_password"),
        (ALICE, b"\0", 49, "malformed"),
        (ALICE, b"right\0", 49, "malformed"),
        (ALICE, b"   ", 49, "primary_rejected"),
        ("x" * 3000, b"x", 49, "malformed"),
        ("a\x00b", b"x", 49, "malformed"),
    ],
)
def test_what_is_no_login(name: str, password: bytes, code: int, reason: str | None) -> None:
    desk = Desk()
    wire = desk.connect()
    assert wire.code(1, bind(name, password)) == code
    assert desk.reasons() == ([reason] if reason else [])
    assert not desk.phone.requests
    assert wire.code(2, search()) == 50
    if reason != "primary_rejected":
        assert not desk.directory.seen


def test_anonymous_if_allowed_has_nobodys_rights() -> None:
    desk = Desk(options={"allow_anonymous": True})
    wire = desk.connect()
    assert wire.code(1, bind("", b"")) == 0
    assert not desk.directory.upstreams, "a health check costs nothing"
    assert wire.code(2, bind(ALICE, b"right")) == 0
    assert wire.code(3, bind("", b"")) == 0
    assert wire.code(4, search()) == 0
    assert desk.directory.seen[-1].upstream.bound == ""
    assert desk.reasons() == ["both_factors"], "it is no login"


# ---- L8


def test_nothing_moves_before_the_decision() -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.octet(encode_request(1, bind()) + encode_request(2, search()))
    wire.send(3, search())
    assert wire.messages == []
    assert not desk.directory.of(SearchRequest)
    desk.phone.answer(FactorAllow())
    assert [id_ for id_, _ in wire.read()] == [1, 2, 2, 3, 3]


def test_what_was_pipelined_behind_a_refused_bind_is_refused() -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.octet(encode_request(1, bind()) + encode_request(2, search()))
    desk.phone.answer(FactorDeny("deny"))
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(1, 49), (2, 50)]
    assert not desk.directory.of(SearchRequest)


def waiting_for_changes(desk: Desk) -> Wire:
    """Bound as alice, with a search that never ends."""
    wire = desk.connect()
    assert wire.code(1, bind()) == 0
    desk.directory.silent.add(SearchRequest)
    wire.send(2, search())
    return wire


def test_a_bind_waits_for_what_is_in_progress() -> None:
    desk = Desk()
    wire = waiting_for_changes(desk)
    wire.send(3, bind(BOB, b"bobs"))
    wire.send(4, search())
    (upstream,) = desk.directory.upstreams
    assert upstream.bound == ALICE
    upstream.say(2, SearchResultEntry(ALICE))
    upstream.say(2, SearchResultDone(Result(0)))
    assert wire.read() == [
        (2, SearchResultEntry(ALICE)),
        (2, SearchResultDone(Result(0))),
        (3, BindResponse(Result(0))),
    ]
    assert upstream.bound == BOB
    assert len(desk.directory.of(SearchRequest)) == 2


def test_a_search_for_changes_tells_nothing_that_the_next_user_may_see() -> None:
    """Not every directory goes on with the rights that it began with: bob's password alone might do."""
    desk = Desk()
    wire = waiting_for_changes(desk)
    desk.phone.at_once = None
    wire.send(3, bind(BOB, b"bobs"))
    (upstream,) = desk.directory.upstreams
    desk.pass_time(9)
    assert upstream.bound == ALICE
    desk.pass_time(2)
    assert desk.directory.of(AbandonRequest) == [AbandonRequest(2)]
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(2, 118)]
    assert upstream.bound == BOB
    upstream.say(2, SearchResultEntry("cn=for bob alone,dc=example"))
    assert wire.read() == []
    desk.phone.answer(FactorDeny("deny"))
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(3, 49)]


def test_an_abandon_lets_the_bind_go_on() -> None:
    desk = Desk()
    wire = waiting_for_changes(desk)
    wire.send(3, bind(BOB, b"bobs"))
    assert wire.send(4, AbandonRequest(2)) == [(3, BindResponse(Result(0)))]
    assert desk.directory.of(AbandonRequest) == [AbandonRequest(2)]


def test_the_directory_goes_before_a_bind_that_waits() -> None:
    desk = Desk()
    wire = waiting_for_changes(desk)
    wire.send(3, bind(BOB, b"bobs"))
    desk.directory.upstreams[0].hang_up()
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(2, 52), (3, 0)]
    assert [upstream.bound for upstream in desk.directory.upstreams] == [ALICE, BOB]


def test_who_goes_before_a_bind_that_waits() -> None:
    desk = Desk()
    wire = waiting_for_changes(desk)
    wire.send(3, bind(BOB, b"bobs"))
    wire.hang_up()
    assert not desk.directory.upstreams[0].open
    desk.pass_time(20)
    assert [request.name for request in desk.directory.of(BindRequest)] == [ALICE]


def test_what_waits_is_bounded() -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    for number in range(2, 103):
        wire.send(number, search())
    assert wire.closed
    assert wire.notices() == [51]
    assert desk.counted.causes == ["too_many_operations"]
    desk.phone.answer(FactorAllow())
    assert not desk.directory.upstreams[0].open


def test_many_binds_in_one_segment_cost_no_stack() -> None:
    desk = Desk()
    wire = desk.connect()
    wire.octet(b"".join(encode_request(number, bind(ALICE, b"")) for number in range(1, 2001)))
    wire.read()
    assert [code_of(response) for _, response in wire.messages] == [53] * 2000


def test_a_thousand_held_binds_cost_no_stack() -> None:
    desk = Desk(limits={"operations": 3000})
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    wire.octet(b"".join(encode_request(number, bind(ALICE, b"")) for number in range(2, 2000)))
    desk.phone.answer(FactorAllow())
    wire.read()
    assert len(wire.messages) == 1999


# ---- L9, L10


@pytest.mark.parametrize("status", ["deny", "timeout", "fraud", "locked_out", "odd"])
def test_after_a_refused_factor_nobody_is_bound(status: str) -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    (upstream,) = desk.directory.upstreams
    assert upstream.bound == ALICE
    desk.phone.answer(FactorDeny(status, "The user's own words"))
    assert not upstream.open, "before the client hears of it"
    assert wire.read() == [(1, BindResponse(Result(49, "Login refused.")))]
    assert wire.code(2, search()) == 50
    assert not desk.directory.of(SearchRequest)


def test_a_refused_rebind_is_nobodys() -> None:
    desk = Desk()
    wire = desk.connect()
    assert wire.code(1, bind()) == 0
    assert wire.code(2, bind(BOB, b"wrong")) == 49
    assert wire.code(3, search()) == 50
    assert all(upstream.bound == "" for upstream in desk.directory.upstreams)


def test_a_rebind_that_needs_nobody_is_nobodys_too() -> None:
    desk = Desk()
    wire = desk.connect()
    assert wire.code(1, bind()) == 0
    assert wire.code(2, bind(ALICE, b"")) == 53
    assert not desk.directory.upstreams[0].open
    assert wire.code(3, search()) == 50
    assert wire.code(4, bind()) == 0
    assert wire.code(5, BindRequest("", Sasl("EXTERNAL"))) == 7
    assert not desk.directory.upstreams[1].open


def test_each_bind_has_a_factor_of_its_own() -> None:
    desk = Desk()
    wire = desk.connect()
    assert wire.code(1, bind()) == 0
    assert wire.code(2, bind(BOB, b"bobs")) == 0
    assert [user for user, _ in desk.phone.calls] == ["alice", "bob"]
    desk.phone.at_once = FactorDeny("deny")
    assert wire.code(3, bind()) == 49


def test_a_success_that_the_service_account_cannot_confirm_is_refused() -> None:
    desk = Desk()
    for number, answer in enumerate((Refused("unknown_user"), Refused("ambiguous_user"))):
        desk.people.known[ALICE] = answer
        assert desk.connect().code(number + 1, bind()) == 49
    desk.people.known[ALICE] = PrimaryUnavailable("the service account's host is gone")
    assert desk.connect().code(1, bind()) == 52
    assert not any(upstream.open for upstream in desk.directory.upstreams)
    assert not desk.phone.requests


# ---- L11


def exempting(dn: str) -> Desk:
    return Desk(policy={"exempts": lambda request, verified: verified.dn == dn})


def test_the_service_account_is_exempt_and_who_follows_is_not() -> None:
    desk = exempting(SERVICE)
    wire = desk.connect()
    assert wire.code(1, bind(SERVICE, b"svcpw")) == 0
    assert not desk.phone.requests
    desk.phone.at_once = FactorDeny("deny")
    assert wire.code(2, bind()) == 49
    assert wire.code(3, bind(SERVICE, b"svcpw")) == 0
    assert desk.reasons() == ["exempt", "factor_denied", "exempt"]


def test_an_ordinary_user_who_binds_first_is_not_exempt() -> None:
    desk = exempting(SERVICE)
    assert desk.connect().code(1, bind()) == 0
    assert desk.reasons() == ["both_factors"]


def test_exempt_primary_bind_is_for_the_first_bind_alone() -> None:
    desk = Desk(
        options={"exempt_primary_bind": True},
        policy={"exempts": lambda request, verified: request.carried.first},
    )
    desk.people.known.pop(SERVICE)
    wire = desk.connect()
    assert wire.code(1, bind(SERVICE, b"wrong")) == 49
    assert wire.code(2, bind(SERVICE, b"svcpw")) == 0, "as the existing files mean it: nobody has to know it"
    assert desk.people.asked == [], "whoever it is"
    assert wire.code(3, bind()) == 0
    assert desk.people.asked == [ALICE]
    assert desk.reasons() == ["primary_rejected", "exempt", "both_factors"]


def test_an_application_goes_on_without_our_service_account() -> None:
    """And nobody's password is tried who would be looked up afterwards: in vain, and telling whether it is right."""
    desk = Desk(
        options={"exempt_primary_bind": True},
        policy={"exempts": lambda request, verified: request.carried.first},
    )
    desk.counted_as.refuses = True
    wire = desk.connect()
    assert wire.code(1, bind(SERVICE, b"svcpw")) == 0
    tried = len(desk.directory.seen)
    assert wire.code(2, bind()) == 52
    assert len(desk.directory.seen) == tried
    assert desk.reasons() == ["exempt", "primary_unavailable"]


def test_a_second_bind_does_not_join_a_first_that_is_exempt() -> None:
    desk = Desk(
        options={"exempt_primary_bind": True},
        policy={"exempts": lambda request, verified: request.carried.first},
    )
    second = desk.connect()
    assert second.code(1, bind(SERVICE, b"svcpw")) == 0
    desk.directory.silent.add(BindRequest)
    first = desk.connect()
    first.send(1, bind())
    second.send(2, bind())
    desk.phone.at_once = FactorDeny("deny")
    for seen in desk.directory.seen[-2:]:
        seen.upstream.say(seen.frame.message_id, BindResponse(Result(0)))
    assert code_of(first.read()[-1][1]) == 0
    assert code_of(second.read()[-1][1]) == 49


# ---- who it is


def test_a_name_that_is_no_dn_is_asked_about() -> None:
    desk = Desk()
    desk.directory.silent.add(ExtendedRequest)
    wire = desk.connect()
    wire.send(1, bind("alice@example.test"))
    asked = desk.directory.seen[-1]
    assert asked.request == ExtendedRequest("1.3.6.1.4.1.4203.1.11.3")
    asked.upstream.say(asked.frame.message_id, ExtendedResponse(Result(0), value=b"dn:" + BOB.encode()))
    assert wire.read()[-1][1] == BindResponse(Result(0))
    assert desk.people.asked == [BOB], "what the directory says counts, not what was typed"
    assert [user for user, _ in desk.phone.calls] == ["bob"]


def test_who_bound_as_nobody_is_refused() -> None:
    desk = Desk()
    desk.directory.silent.add(ExtendedRequest)
    wire = desk.connect()
    wire.send(1, bind("alice@example.test"))
    asked = desk.directory.seen[-1]
    asked.upstream.say(asked.frame.message_id, ExtendedResponse(Result(0), value=b""))
    assert code_of(wire.read()[-1][1]) == 49
    assert not desk.phone.requests


def test_a_directory_without_who_am_i() -> None:
    desk = Desk()
    assert desk.connect().code(1, bind("alice@example.test")) == 0
    assert desk.people.asked == ["alice@example.test"]


@pytest.mark.parametrize("code", [3, 11, 51, 52])
def test_a_directory_that_cannot_say_now_who_has_bound(code: int) -> None:
    desk = Desk()
    desk.directory.who_am_i = Result(code)
    assert desk.connect().code(1, bind("alice@example.test")) == 52
    assert desk.people.asked == []
    assert not desk.directory.upstreams[0].open


def test_a_late_answer_says_nothing_of_who_has_bound() -> None:
    """What a client asked and gave up may be answered when we have asked, too, by whatever id."""
    desk = Desk()
    wire = desk.connect()
    assert wire.code(1, bind(SERVICE, b"svcpw")) == 0
    desk.directory.silent.add(ExtendedRequest)
    ids = (2**31 - 1, 2**31 - 2, 2, 3)
    for number in ids:
        wire.send(number, ExtendedRequest(WHO_AM_I))
        wire.send(9, AbandonRequest(number))
    wire.send(10, bind("alice@example.test"))
    for number in ids:
        desk.directory.upstreams[0].say(number, ExtendedResponse(Result(0), value=b"dn:" + SERVICE.encode()))
    assert desk.people.asked == [SERVICE]
    assert wire.read() == []


def test_the_client_s_address_is_told() -> None:
    desk = Desk()
    desk.connect("192.0.2.77").send(1, bind())
    (request,) = desk.phone.requests
    assert (request.client_ip, request.client) == ("192.0.2.77", "192.0.2.77")


# ---- L13, L14


@pytest.mark.parametrize(
    "authentication",
    [
        Sasl(""),
        *(Sasl(name, Secret(b"x")) for name in ("PLAIN", "EXTERNAL", "GSSAPI", "GSS-SPNEGO", "DIGEST-MD5")),
        *(OtherChoice(tag) for tag in (0x89, 0x8A, 0x8B, 0xA4)),
    ],
)
def test_other_ways_to_bind_are_refused(authentication: Sasl | OtherChoice) -> None:
    desk = Desk()
    wire = desk.connect()
    assert wire.code(1, BindRequest("", authentication)) == 7
    assert not desk.directory.seen
    assert wire.code(2, search()) == 50


def test_another_version_is_a_protocol_error() -> None:
    desk = Desk()
    assert desk.connect().code(1, bind(version=2)) == 2
    assert not desk.directory.seen


def test_a_critical_control_is_the_directory_s_to_judge() -> None:
    desk = Desk()
    desk.directory.refusals[ALICE] = Result(12, "unknown critical")
    wire = desk.connect()
    answer = wire.send(1, bind(), Control("1.2.3.4", critical=True))
    assert answer == [(1, BindResponse(Result(12, "unknown critical")))]


# ---- L15, L16, L17


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (FailureClass.UNREACHABLE, 52),
        (FailureClass.SERVER_ERROR, 52),
        (FailureClass.UNTRUSTED, 52),
        (FailureClass.CREDENTIAL, 52),
        (FailureClass.OVERLOAD, 52),
    ],
)
@pytest.mark.parametrize("when", ["preauth", "auth"])
def test_an_outage_is_unavailable(failure: FailureClass, code: int, when: str) -> None:
    desk = Desk()
    if when == "preauth":
        desk.phone.preauth_failure = failure
    else:
        desk.phone.at_once = failure
    wire = desk.connect()
    expected = encode_response(1, BindResponse(Result(code, "The login can't be checked now.")))
    wire.send(1, bind())
    assert wire.octets == expected
    assert wire.code(2, search()) == 50


def test_an_open_door_relays_the_directory_s_success() -> None:
    desk = Desk(policy={"fail_mode": FailMode.SAFE}, door=Door())
    desk.phone.preauth_failure = FailureClass.UNREACHABLE
    wire = desk.connect()
    assert wire.code(1, bind()) == 0
    assert wire.code(2, search()) == 0
    assert desk.reasons() == ["fail_open"]


def test_overload_is_busy() -> None:
    desk = Desk(limits={"pending": 1})
    desk.phone.at_once = None
    waiting = desk.connect()
    waiting.send(1, bind())
    assert desk.connect().code(1, bind(BOB, b"bobs")) == 51
    assert desk.reasons() == ["overloaded"]
    desk.phone.answer(FactorAllow())
    assert code_of(waiting.read()[0][1]) == 0
    desk.phone.at_once = FactorAllow()
    assert desk.connect().code(1, bind(BOB, b"bobs")) == 0, "the place is free again"


def test_no_directory_is_unavailable() -> None:
    desk = Desk()
    desk.directory.down = True
    wire = desk.connect()
    assert wire.code(1, bind()) == 52
    assert desk.reasons() == ["primary_unavailable"]
    desk.directory.down = False
    assert wire.code(2, bind()) == 0, "the connection is good still"


AD = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {}, v2580"


@pytest.mark.parametrize("data", ["525", "52e", "530", "531", "532", "533", "701", "773", "775"])
def test_the_directory_s_refusal_is_relayed_as_it_is(data: str) -> None:
    desk = Desk()
    desk.directory.refusals[ALICE] = Result(49, AD.format(data))
    desk.directory.controls = (
        encode_password_policy(PasswordPolicy(error=0)),
        Control("2.16.840.1.113730.3.4.4", value=b"0"),
    )
    wire = desk.connect()
    wire.send(5, bind())
    assert wire.octets == encode_response(
        5, BindResponse(Result(49, AD.format(data))), desk.directory.controls
    )
    assert not desk.phone.requests, "the right password of an expired account is no success"


@pytest.mark.parametrize("code", [1, 2, 8, 10, 13, 14, 51, 52, 53, 80])
def test_no_other_code_is_a_success(code: int) -> None:
    desk = Desk()
    desk.directory.refusals[ALICE] = Result(code, "as it says")
    wire = desk.connect()
    assert wire.code(1, bind()) in (code, 52)
    assert not desk.phone.requests
    assert wire.code(2, search()) == 50


def test_controls_of_a_success_are_relayed() -> None:
    desk = Desk()
    desk.directory.controls = (encode_password_policy(PasswordPolicy(grace_logins=2)),)
    wire = desk.connect()
    wire.send(1, bind(), Control(PASSWORD_POLICY))
    assert wire.octets == encode_response(1, BindResponse(Result(0)), desk.directory.controls)
    desk.phone.at_once = FactorDeny("deny")
    other = desk.connect()
    other.send(1, bind())
    assert other.octets == encode_response(1, BindResponse(Result(49, "Login refused.")))


# ---- L18


def test_a_pending_bind_cannot_be_abandoned() -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    wire.send(2, AbandonRequest(1))
    assert wire.messages == []
    desk.phone.answer(FactorAllow())
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(1, 0)]
    assert not desk.directory.of(AbandonRequest)


@pytest.mark.parametrize("goodbye", [True, False])
def test_who_goes_while_the_phone_is_asked_leaves_nothing_bound(goodbye: bool) -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    if goodbye:
        wire.send(2, UnbindRequest())
    else:
        wire.hang_up()
    assert not desk.directory.upstreams[0].open
    desk.phone.answer(FactorAllow())
    assert wire.read() == []
    assert desk.listener.pending == 0


def test_who_goes_while_the_password_is_checked() -> None:
    desk = Desk()
    desk.directory.silent.add(BindRequest)
    wire = desk.connect()
    wire.send(1, bind())
    wire.hang_up()
    assert desk.reasons() == ["primary_unavailable"]
    assert not desk.phone.requests


def test_the_directory_goes_while_the_phone_is_asked() -> None:
    desk = Desk()
    desk.phone.at_once = None
    wire = desk.connect()
    wire.send(1, bind())
    desk.directory.upstreams[0].hang_up()
    assert wire.read() == []
    desk.phone.answer(FactorAllow())
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(1, 52)]
    assert wire.code(2, search()) == 50


def test_a_directory_that_never_answers_a_bind() -> None:
    desk = Desk()
    desk.directory.silent.add(BindRequest)
    wire = desk.connect()
    wire.send(1, bind())
    desk.pass_time(9)
    assert wire.read() == []
    desk.pass_time(2)
    assert [(id_, code_of(response)) for id_, response in wire.read()] == [(1, 52)]
    assert not desk.directory.upstreams[0].open


def test_a_directory_whose_answer_is_malformed_has_gone() -> None:
    """Not only what frames a message counts: nobody would be waited for any more."""
    desk = Desk()
    desk.directory.silent.add(BindRequest)
    wire = desk.connect()
    wire.send(1, bind())
    desk.directory.upstreams[0].say_octets(bytes.fromhex("300e 020101 61070a010004000400 0000"))
    assert wire.read() == [(1, BindResponse(Result(52, "The login can't be checked now.")))]
    assert not desk.directory.upstreams[0].open
    assert not wire.closed


# ---- L19


def test_the_same_bind_on_another_connection_joins_and_is_proven_there() -> None:
    desk = Desk()
    desk.phone.at_once = None
    one, two = desk.connect(), desk.connect()
    one.send(1, bind())
    two.send(9, bind())
    assert len(desk.phone.calls) == 1
    desk.phone.answer(FactorAllow())
    assert [(id_, code_of(response)) for id_, response in one.read()] == [(1, 0)]
    assert [(id_, code_of(response)) for id_, response in two.read()] == [(9, 0)]
    assert len(desk.phone.calls) == 1
    assert [upstream.bound for upstream in desk.directory.upstreams] == [ALICE, ALICE]
    assert two.code(10, search()) == 0


@pytest.mark.parametrize(
    ("address", "name", "password"),
    [
        ("192.0.2.2", ALICE, b"right"),
        ("192.0.2.1", "alice@example.test", b"right"),
        ("192.0.2.1", ALICE, b"wrong"),
    ],
)
def test_what_does_not_join(address: str, name: str, password: bytes) -> None:
    desk = Desk()
    desk.phone.at_once = None
    desk.connect().send(1, bind())
    other = desk.connect(address)
    other.send(1, bind(name, password))
    assert desk.joined == []


def test_who_joins_is_refused_where_the_password_has_changed_since() -> None:
    desk = Desk()
    desk.phone.at_once = None
    one, two = desk.connect(), desk.connect()
    one.send(1, bind())
    two.send(1, bind())
    desk.directory.passwords[ALICE] = b"new"
    desk.phone.answer(FactorAllow())
    assert code_of(one.read()[0][1]) == 0
    assert code_of(two.read()[0][1]) == 49
    assert two.code(2, search()) == 50


def test_who_joins_must_be_the_same_entry() -> None:
    desk = Desk()
    desk.phone.at_once = None
    one, two = desk.connect(), desk.connect()
    one.send(1, bind())
    two.send(1, bind())
    desk.people.known[ALICE] = Verified("bob", BOB)
    desk.phone.answer(FactorAllow())
    assert code_of(two.read()[0][1]) == 52
    assert not desk.directory.upstreams[1].open


@pytest.mark.parametrize("reloaded", [True, False])
def test_who_joins_an_open_door_finds_it_open(reloaded: bool) -> None:
    """F3: they are let in when their own password has been found right, and a reload may have shut it by then."""
    desk = Desk(policy={"fail_mode": FailMode.SAFE})
    desk.phone.preauth_failure = FailureClass.UNREACHABLE
    desk.directory.silent.add(BindRequest)
    one, two = desk.connect(), desk.connect()
    one.send(1, bind())
    two.send(2, bind())
    first = desk.directory.seen[-1]
    first.upstream.say(first.frame.message_id, BindResponse(Result(0)))
    assert code_of(one.read()[-1][1]) == 0
    if reloaded:
        desk.listener.serve(desk.section(), (), tls_at_once=False)
    second = desk.directory.seen[-1]
    assert second is not first
    second.upstream.say(second.frame.message_id, BindResponse(Result(0)))
    assert code_of(two.read()[-1][1]) == (52 if reloaded else 0)
    assert second.upstream.open is not reloaded


def test_who_joins_hears_the_refusal_too() -> None:
    desk = Desk()
    desk.phone.at_once = None
    one, two = desk.connect(), desk.connect()
    one.send(1, bind())
    two.send(2, bind())
    desk.phone.answer(FactorDeny("deny"))
    assert code_of(one.read()[0][1]) == code_of(two.read()[0][1]) == 49
    assert len(desk.directory.upstreams) == 1


# ---- L32 and the rest


def test_passwords_over_tls_only() -> None:
    desk = Desk(options={"require_tls": True})
    wire = desk.connect()
    assert wire.code(1, bind()) == 13
    assert not desk.directory.seen
    assert wire.code(2, ROOT) == 0
    wire.handshake()
    assert wire.code(3, bind()) == 0


def test_searches_after_a_bind_can_be_forbidden() -> None:
    desk = Desk(
        options={"allow_searches_after_bind": False},
        policy={"exempts": lambda request, verified: verified.dn == SERVICE},
    )
    wire = desk.connect()
    assert wire.code(1, bind(SERVICE, b"svcpw")) == 0
    assert wire.code(2, search()) == 0
    assert wire.code(3, bind()) == 0
    assert wire.closed


def test_a_bug_is_no_success() -> None:
    desk = Desk()
    desk.people.known[ALICE] = ValueError("our bug")
    wire = desk.connect()
    assert wire.code(1, bind()) == 80
    assert desk.reasons() == [Reason.INTERNAL.value]
    assert not desk.directory.upstreams[0].open


def test_no_secret_is_logged() -> None:
    desk = Desk()
    desk.connect().send(1, bind(ALICE, PASSWORDS[ALICE] + b",123456"))
    assert "right" not in repr(desk.log.events)
    assert "Simple(Secret" not in repr(BindRequest("x", Simple(Secret(b"y"))))
