"""A RADIUS server as the primary: every credential, its challenges, what crosses and what doesn't.

Against FreeRADIUS, and where octets matter that it can't send, against a server that the test scripts.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.system.bench import wire
from tests.system.bench.journal import CloudRequest
from tests.system.bench.mschap import (
    CHAP_CHALLENGE,
    VENDOR_SPECIFIC,
    MsChap2,
    chap,
    inside,
    open_salted,
    vendor_specific,
)
from tests.system.bench.oracles import Section
from tests.system.bench.radius_primary import Asked
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    ACCESS_REJECT,
    CALLING_STATION_ID,
    CHAP_PASSWORD,
    MESSAGE_AUTHENTICATOR,
    PROXY_STATE,
    REPLY_MESSAGE,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    Reply,
    Request,
    codes,
)
from tests.system.bench.world import Login
from tests.system.modes import STRANGE, Modes, greets
from tests.system.parts.clients import radclient
from tests.system.parts.eapol import Heard, eapol
from tests.system.parts.freeradius import FreeRadius

pytestmark = pytest.mark.system

CLASS, FILTER_ID, SERVICE_TYPE, NAS_PORT_TYPE = 25, 11, 6, 61


@pytest.fixture(scope="module")
def _modes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Modes]:
    world = Modes(tmp_path_factory.mktemp("modes"))
    world.start()
    yield world
    world.close()


@pytest.fixture
def modes(_modes: Modes) -> Modes:
    assert _modes.running.running
    for name in _modes.freeradius.people:
        _modes.cloud.users[name].answer = "allow"
    return _modes


def opaque(modes: Modes, name: str, *proof: tuple[int, bytes], authenticator: bytes | None = None) -> Request:
    """A login that shows no password; the oracle is told which one its user has."""
    made = wire.access_request(name, None, modes.secret.encode(), *proof, authenticator=authenticator)
    return Request(made.octets, name, modes.person(name).password.encode())


def others(reply: Reply) -> list[tuple[int, bytes]]:
    return [pair for pair in reply.attributes if pair[0] != MESSAGE_AUTHENTICATOR]


# ---- PAP, CHAP, MS-CHAPv2


def test_pap(modes: Modes) -> None:
    """Right with everything that FreeRADIUS says; wrong with its Reject and no call of the cloud's."""
    plain = modes.person("plain")
    nas = modes.nas(modes.relay)
    reply = nas.ask(plain.user, plain.password)
    assert reply is not None
    assert reply.code == ACCESS_ACCEPT
    assert (CLASS, b"staff") in reply.attributes
    before = len(modes.asked(plain.user, "preauth"))
    assert codes([nas.ask(plain.user, modes.canaries.new("wrong password"))]) == [ACCESS_REJECT]
    assert len(modes.asked(plain.user, "preauth")) == before


def test_a_factor_behind_the_password(modes: Modes) -> None:
    """The server sees the password without it."""
    passcode = modes.canaries.passcode("passcode")
    plain = modes.person("plain")
    modes.cloud.users[plain.user].passcodes = {passcode}
    reply = modes.nas(modes.relay).ask(plain.user, f"{plain.password},{passcode}")
    assert codes([reply]) == [ACCESS_ACCEPT]
    assert modes.asked(plain.user)[-1]["factor"] == "passcode"


@pytest.mark.parametrize("sent", [True, False], ids=["CHAP-Challenge", "Request Authenticator"])
def test_chap(modes: Modes, sent: bool) -> None:
    """R28"""
    nas = modes.nas(modes.relay)
    replies = []
    for password in (modes.person("plain").password, modes.canaries.new("wrong password")):
        challenge = secrets.token_bytes(16)
        request = opaque(
            modes,
            "plain",
            *chap(password, challenge, sent=sent),
            authenticator=None if sent else challenge,
        )
        replies.append(nas.exchange(request))
    assert codes(replies) == [ACCESS_ACCEPT, ACCESS_REJECT]


def test_mschap2(modes: Modes) -> None:
    """R30, R32: the server's own proof crosses, and the keys, which the NAS opens with its secret."""
    nas = modes.nas(modes.bare)
    exchange = MsChap2("plain", modes.person("plain").password)
    request = opaque(modes, "plain", *exchange.attributes())
    reply = nas.exchange(request)
    assert reply is not None
    assert reply.code == ACCESS_ACCEPT
    found = inside(reply.values(VENDOR_SPECIFIC))
    assert found[26][1:].startswith(exchange.success())
    keys = [open_salted(found[kind], nas.secret, request.authenticator) for kind in (16, 17)]
    assert tuple(keys) == exchange.keys()
    assert found[16][:2] != found[17][:2]
    assert modes.asked("plain")[-1]["factor"] == "auto"


def test_mschap2_refused(modes: Modes) -> None:
    """MS-CHAP-Error crosses, the cloud is not asked; expired says so, for the user's device to act on."""
    nas = modes.nas(modes.bare)
    wrong = MsChap2("plain", "another password")
    before = len(modes.asked("plain", "preauth"))
    reply = nas.exchange(opaque(modes, "plain", *wrong.attributes()))
    assert reply is not None
    assert reply.code == ACCESS_REJECT
    assert b"E=691" in inside(reply.values(VENDOR_SPECIFIC))[2]
    assert len(modes.asked("plain", "preauth")) == before
    expired = MsChap2("expired", modes.person("expired").password)
    reply = nas.exchange(opaque(modes, "expired", *expired.attributes()))
    assert reply is not None
    assert b"E=648" in inside(reply.values(VENDOR_SPECIFIC))[2]
    (event,) = modes.wait_audit(username="expired", decision="reject")
    assert event["cause"] == "expired"


@pytest.mark.parametrize("answer", ["allow", "deny"])
def test_a_new_password(modes: Modes, answer: Literal["allow", "deny"]) -> None:
    """R32: the server takes the new one in the old one's place, and then comes the push.

    The keys are the new password's (R30); a denial brings none of them (R42).
    """
    modes.cloud.users["changes"].answer = answer
    changes = modes.freeradius.people["changes"]
    assert changes.old is not None
    nas, exchange = modes.nas(modes.bare), MsChap2("changes", changes.password)
    before = len(modes.asked("changes", "preauth"))
    wrong = nas.exchange(opaque(modes, "changes", *exchange.change("not the old one")))
    assert wrong is not None
    assert wrong.code == ACCESS_REJECT
    assert b"E=709" in inside(wrong.values(VENDOR_SPECIFIC))[2]
    assert len(modes.asked("changes", "preauth")) == before
    request = opaque(modes, "changes", *exchange.change(changes.old))
    reply = nas.exchange(request)
    assert reply is not None
    assert modes.asked("changes")[-1]["factor"] == "auto"
    found = inside(reply.values(VENDOR_SPECIFIC))
    if answer == "deny":
        assert reply.code == ACCESS_REJECT
        assert found == {}
    else:
        assert reply.code == ACCESS_ACCEPT
        assert found[26][1:].startswith(exchange.success())
        keys = [open_salted(found[kind], nas.secret, request.authenticator) for kind in (16, 17)]
        assert tuple(keys) == exchange.keys()


def test_a_new_password_octet_for_octet(modes: Modes) -> None:
    """R32: what changes a password is the server's alone to read, as is the name that is hashed into it."""
    user = modes.user()
    nas = modes.nas(modes.octets)
    before = len(modes.scripted.logins())
    change = MsChap2(user.user, "new").change("old")
    made = wire.access_request(f"CORP\\{user.user}", None, nas.secret, *change)
    nas.exchange(Request(made.octets, user.user, user.password.encode()))
    (asked,) = modes.scripted.logins()[before:]
    assert [pair for pair in asked.attributes if pair[0] == VENDOR_SPECIFIC] == change
    assert asked.values(USER_NAME) == [f"CORP\\{user.user}".encode()]


def test_nothing_leaks_on_a_denial(modes: Modes) -> None:
    """R42: the server's Accept had keys, groups and addresses; the NAS sees none (wire.read_reply looks too)."""
    modes.cloud.users["denied"].answer = "deny"
    person = modes.person("denied")
    nas = modes.nas(modes.relay)
    pap = nas.ask(person.user, person.password)
    exchange = MsChap2("denied", person.password)
    mschap = nas.exchange(opaque(modes, "denied", *exchange.attributes()))
    for reply in (pap, mschap):
        assert reply is not None
        assert reply.code == ACCESS_REJECT
        assert {kind for kind, _ in reply.attributes} == {MESSAGE_AUTHENTICATOR, REPLY_MESSAGE}


def test_a_directory_can_not_check_a_proof(modes: Modes) -> None:
    """R28: refused at once, with a line that says what to do; no bind."""
    user = modes.user()
    nas = modes.nas(modes.challenge)
    challenge = secrets.token_bytes(16)
    for proof in (
        chap(user.password, challenge, sent=True),
        MsChap2(user.user, user.password).attributes(),
        [(wire.EAP_MESSAGE, b"\x02\x01\x00\x0a\x01alice")],
    ):
        made = wire.access_request(user.user, None, nas.secret, *proof)
        assert codes([nas.exchange(made)]) == [ACCESS_REJECT]
    assert modes.binds(user.user) == []
    assert "radius.credential_not_usable" in modes.log()


def test_the_same_proof_again(modes: Modes) -> None:
    """R46: a NAS that asks anew, with a new identifier, while the push waits: one push, two answers."""
    modes.cloud.users["plain"].answer = None
    began, before = len(modes.journal), len(modes.asked("plain"))
    exchange = MsChap2("plain", modes.person("plain").password)
    nas = modes.nas(modes.bare)
    requests = [opaque(modes, "plain", *exchange.attributes()) for _ in range(3)]
    for request in requests:
        nas.send(request)
    modes.journal.wait(CloudRequest, lambda r: r.user == "plain" and r.endpoint == "auth_status", since=began)
    assert nas.hears_nothing(0.3)
    modes.cloud.decide("plain", "allow")
    replies = [nas.receive(request) for request in requests]
    assert codes(replies) == [ACCESS_ACCEPT] * 3
    assert len(modes.asked("plain")) - before == 1
    for request, reply in zip(requests, replies, strict=True):
        assert reply is not None
        found = inside(reply.values(VENDOR_SPECIFIC))
        # Each with its own Authenticator.
        assert open_salted(found[16], nas.secret, request.authenticator) == exchange.keys()[0]


def test_what_the_server_may_decide_by_does_not_join(modes: Modes) -> None:
    """R46: a user who may use the VPN, and may not manage the switch, isn't let into it by a push for the VPN."""

    def no_administrators(asked: Asked) -> bytes:
        return asked.reply(3 if asked.values(SERVICE_TYPE) == [(6).to_bytes(4, "big")] else 2)

    modes.scripted.script = no_administrators
    user = modes.user(answer=None)
    nas = modes.nas(modes.octets)
    vpn = nas.login(user.user, user.password, (SERVICE_TYPE, (2).to_bytes(4, "big")), (5, bytes(4)))
    again = nas.login(user.user, user.password, (SERVICE_TYPE, (2).to_bytes(4, "big")), (5, b"\0\0\0\1"))
    switch = nas.login(user.user, user.password, (SERVICE_TYPE, (6).to_bytes(4, "big")), (5, bytes(4)))
    nas.send(vpn)
    modes.journal.wait(CloudRequest, lambda r: r.user == user.user and r.endpoint == "auth_status")
    nas.send(again)
    nas.send(switch)
    assert codes([nas.receive(switch)]) == [ACCESS_REJECT]
    modes.cloud.decide(user.user, "allow")
    assert codes([nas.receive(vpn), nas.receive(again)]) == [ACCESS_ACCEPT] * 2
    assert len(modes.asked(user.user)) == 1


# ---- EAP that goes through


def through(modes: Modes, folder: Path, method: str, person: Login, section: Section, **more: Any) -> Heard:
    """A login by EAP that ends at FreeRADIUS."""
    server = modes.freeradius if section in (modes.bare, modes.relay) else modes.delivered
    where = {"port": section.port, "secret": modes.secret, "authority": server.authority}
    return eapol(folder, method, person.user, more.pop("password", person.password), **where, **more)


@pytest.mark.parametrize("method", ["peap-mschapv2", "ttls-pap", "ttls-mschapv2", "peap-gtc"])
def test_eap(modes: Modes, method: str, tmp_path: Path) -> None:
    """R44: by wpa_supplicant; keys on both sides are the same. A wrong password costs no call of the cloud's.

    R33: the factor is of whom the server has let in, whose name no packet of the NAS's has in it.
    """
    plain = modes.person("plain")
    heard = through(modes, tmp_path, method, plain, modes.bare)
    assert heard.accepted, heard.text[-3000:]
    assert heard.keys, heard.text[-3000:]
    assert modes.asked("plain")[-1]["factor"] == "auto"
    assert modes.wait_audit(user="plain", decision="accept", server_section="bare")
    before = len(modes.asked("plain", "preauth"))
    heard = through(modes, tmp_path, method, plain, modes.bare, password="wrong password")
    assert not heard.accepted
    assert len(modes.asked("plain", "preauth")) == before


@pytest.mark.parametrize("method", ["ttls-pap", "peap-mschapv2"])
@pytest.mark.parametrize("outside", ["eve", "robot", "nobody-knows", "plain"])
def test_the_name_outside_chooses_nobodys_factor(
    modes: Modes, method: str, outside: str, tmp_path: Path
) -> None:
    """R33, `eap_outer_name: refuse`: eve knows plain's password, and has a phone; robot needs none."""
    began = len(modes.journal.all(CloudRequest, lambda request: request.endpoint == "preauth"))
    heard = through(modes, tmp_path, method, modes.person("plain"), modes.unnamed, outer=outside)
    assert not heard.accepted, heard.text[-3000:]
    assert heard.failure
    assert len(modes.journal.all(CloudRequest, lambda request: request.endpoint == "preauth")) == began
    assert modes.wait_audit(reason="primary_unavailable", server_section="unnamed")


@pytest.mark.parametrize("method", ["ttls-pap", "peap-mschapv2"])
def test_the_name_outside_is_asked_for_a_factor(modes: Modes, method: str, tmp_path: Path) -> None:
    """R44: with FreeRADIUS as it is delivered, and devices that have no other name outside."""
    plain, began = modes.person("plain"), len(modes.asked("plain"))
    heard = through(modes, tmp_path, method, plain, modes.outer, outer="plain")
    assert heard.accepted, heard.text[-3000:]
    assert heard.keys
    assert len(modes.asked("plain")) == began + 1
    modes.cloud.users["plain"].answer = "deny"
    heard = through(modes, tmp_path, method, plain, modes.outer, outer="plain")
    assert not heard.accepted
    assert heard.failure
    assert not heard.keys


def test_the_name_outside_of_one_who_needs_no_factor(modes: Modes, tmp_path: Path) -> None:
    """R33: whoever knows plain's password says that they are robot, who is exempt here and has bypass status there."""
    modes.cloud.users["robot"].preauth = "allow"
    heard = through(modes, tmp_path, "ttls-pap", modes.person("plain"), modes.outer, outer="robot")
    assert not heard.accepted, heard.text[-3000:]
    assert modes.wait_audit(user="robot", cause="name_unproven", server_section="outer")


def test_another_name_outside(modes: Modes, tmp_path: Path) -> None:
    """The server says who is inside: it's nobody else's session, whoever's factor is asked for."""
    began = len(modes.asked("eve", "preauth")), len(modes.asked("plain", "preauth"))
    heard = through(modes, tmp_path, "ttls-pap", modes.person("plain"), modes.bare, outer="eve")
    assert not heard.accepted
    assert (len(modes.asked("eve", "preauth")), len(modes.asked("plain", "preauth"))) == began
    assert modes.wait_audit(cause="another_name_inside", decision="reject")


def test_a_server_that_sees_to_names(modes: Modes, tmp_path: Path) -> None:
    heard = through(modes, tmp_path, "ttls-pap", modes.person("plain"), modes.trusted, outer="plain")
    assert heard.accepted, heard.text[-3000:]
    assert not through(modes, tmp_path, "ttls-pap", modes.person("plain"), modes.trusted).accepted


@pytest.mark.parametrize("method", ["ttls-pap", "peap-mschapv2"])
def test_eap_denied_by_the_cloud(modes: Modes, method: str, tmp_path: Path) -> None:
    """R44: EAP said yes already, and has to hear no; no keys."""
    modes.cloud.users["eve"].answer = "deny"
    heard = through(modes, tmp_path, method, modes.person("eve"), modes.bare)
    assert not heard.accepted
    assert heard.failure, heard.text[-3000:]
    assert not heard.keys
    assert modes.wait_audit(user="eve", decision="reject")[-1]["reason"] == "factor_denied"


# ---- challenges of the server's


def test_a_challenge_of_the_servers(modes: Modes) -> None:
    """R38: its State and words cross as they are; the answer goes to it; then comes our factor."""
    asked = modes.person("asked")
    nas = modes.nas(modes.bare)
    challenge = nas.ask(asked.user, asked.password)
    assert challenge is not None
    assert others(challenge) == [
        (STATE, b"1"),
        (REPLY_MESSAGE, b"Code 1 of your token: "),
        (27, (90).to_bytes(4, "big")),
        (76, bytes(4)),
    ]
    assert modes.asked(asked.user, "preauth") == []
    assert codes([nas.ask(asked.user, "wrong code", (STATE, b"1"))]) == [ACCESS_REJECT]
    assert modes.asked(asked.user, "preauth") == []
    request = nas.login(asked.user, modes.codes[0], (STATE, b"1"))
    reply = nas.exchange(request)
    assert codes([reply]) == [ACCESS_ACCEPT]
    assert len(modes.asked(asked.user)) == 1


def test_two_of_the_servers_and_one_of_ours(modes: Modes) -> None:
    """A challenge section over a server that asks twice: each State finds its way back."""
    twice = modes.person("twice")
    nas = modes.nas(modes.asks)
    assert codes([nas.ask(twice.user, twice.password)]) == [ACCESS_CHALLENGE]
    second = nas.ask(twice.user, modes.codes[0], (STATE, b"1"))
    assert second is not None
    assert second.values(STATE) == [b"2"]
    ours = nas.ask(twice.user, modes.codes[1], (STATE, b"2"))
    assert ours is not None
    assert ours.code == ACCESS_CHALLENGE
    assert ours.message.startswith("Second factor for twice.")
    (state,) = ours.values(STATE)
    reply = nas.ask(twice.user, "1", (STATE, state))
    assert codes([reply]) == [ACCESS_ACCEPT]
    # Ours again, changed: it is not shown to the server.
    asked = modes.freeradius.log.count("[twice]")
    bad = state[:-1] + bytes((state[-1] ^ 1,))
    assert codes([nas.ask(twice.user, "1", (STATE, bad))]) == [ACCESS_REJECT]
    assert modes.freeradius.log.count("[twice]") == asked


def test_attributes_wait_for_the_answer(modes: Modes) -> None:
    """What the server's Accept carried comes with ours, a challenge later."""
    many = modes.person("many")
    nas = modes.nas(modes.asks)
    challenge = nas.ask(many.user, many.password)
    assert challenge is not None
    assert {kind for kind, _ in challenge.attributes} == {MESSAGE_AUTHENTICATOR, REPLY_MESSAGE, STATE}
    (state,) = challenge.values(STATE)
    request = nas.login(many.user, "1", (STATE, state))
    reply = nas.exchange(request)
    assert reply is not None
    assert reply.values(CLASS) == [b"\x00\xff\x10", b"second class"]
    assert open_salted(reply.values(69)[0][1:], nas.secret, request.authenticator) == b"secret tunnel"


# ---- what crosses


def test_everything_crosses(modes: Modes) -> None:
    """pass_through_all of the client: all of FreeRADIUS's, several of a kind in their order, keys for this hop."""
    many = modes.person("many")
    nas = modes.nas(modes.relay)
    request = nas.login(many.user, many.password)
    reply = nas.exchange(request)
    assert reply is not None
    assert reply.code == ACCESS_ACCEPT
    assert reply.values(CLASS) == [b"\x00\xff\x10", b"second class"]
    assert reply.values(FILTER_ID) == [b"vpn-users"]
    assert reply.values(SERVICE_TYPE) == [(6).to_bytes(4, "big")]
    cisco = [value for value in reply.values(VENDOR_SPECIFIC) if value[:4] == (9).to_bytes(4, "big")]
    assert [value[6:] for value in cisco] == [b"shell:priv-lvl=15", b"ip:inacl#1=permit ip any any"]
    assert open_salted(reply.values(69)[0][1:], nas.secret, request.authenticator) == b"secret tunnel"


def test_only_what_is_named_crosses(modes: Modes) -> None:
    """R43"""
    many = modes.person("many")
    reply = modes.nas(modes.named).ask(many.user, many.password)
    assert reply is not None
    assert reply.values(CLASS) == [b"\x00\xff\x10", b"second class"]
    kinds = {kind for kind, _ in reply.attributes}
    assert kinds == {MESSAGE_AUTHENTICATOR, REPLY_MESSAGE, CLASS, VENDOR_SPECIFIC}
    assert len(reply.values(VENDOR_SPECIFIC)) == 2
    nothing = modes.nas(modes.bare).ask(many.user, many.password)
    assert nothing is not None
    assert {kind for kind, _ in nothing.attributes} == {MESSAGE_AUTHENTICATOR, REPLY_MESSAGE}


def test_octet_for_octet(modes: Modes) -> None:
    """R5: formats that nobody here can read, both ways, in their order."""
    modes.scripted.script = greets(*STRANGE)
    user = modes.user()
    nas = modes.nas(modes.octets)
    before = len(modes.scripted.logins())
    own = [pair for pair in STRANGE if pair[0] != 26 or len(pair[1]) > 4]
    reply = nas.ask(user.user, user.password, *own, (PROXY_STATE, b"the NAS's own"))
    assert reply is not None
    assert reply.code == ACCESS_ACCEPT
    assert [pair for pair in others(reply) if pair[0] not in (REPLY_MESSAGE, PROXY_STATE)] == STRANGE
    (asked,) = modes.scripted.logins()[before:]
    assert [pair for pair in asked.attributes if pair in own] == own
    assert asked.values(PROXY_STATE) == []
    assert asked.attributes[0][0] == MESSAGE_AUTHENTICATOR
    assert asked.password == user.password.encode()


def test_only_what_is_named_is_shown_to_the_server(modes: Modes) -> None:
    user = modes.user()
    nas = modes.nas(modes.some)
    before = len(modes.scripted.logins())
    station, port_type = (CALLING_STATION_ID, b"192.0.2.9"), (NAS_PORT_TYPE, (5).to_bytes(4, "big"))
    mixed = vendor_specific(9, (1, b"a=b"), (2, b"not named"))
    assert codes([nas.ask(user.user, user.password, station, (5, bytes(4)), port_type, mixed)]) == [2]
    (asked,) = modes.scripted.logins()[before:]
    kinds = {kind for kind, _ in asked.attributes}
    own = {USER_NAME, USER_PASSWORD, MESSAGE_AUTHENTICATOR, wire.NAS_IP_ADDRESS}
    assert kinds == own | {CALLING_STATION_ID, NAS_PORT_TYPE, VENDOR_SPECIFIC}
    assert asked.values(VENDOR_SPECIFIC) == [vendor_specific(9, (1, b"a=b"))[1]]


# ---- which answers count


def without_signature(asked: Asked) -> bytes:
    return asked.reply(2, signed=False)


def wrong_signature(asked: Asked) -> bytes:
    octets = asked.reply(2)
    octets = octets[:25] + bytes((octets[25] ^ 1,)) + octets[26:]
    return octets[:4] + wire.md5(octets[:4], asked.authenticator, octets[20:], asked.secret) + octets[20:]


def with_proxy_state(asked: Asked) -> bytes:
    """The shape that the collision of CVE-2024-3596 has."""
    return asked.reply(2, *[(PROXY_STATE, secrets.token_bytes(220))] * 3)


def another_secret(asked: Asked) -> bytes:
    return asked.reply(2, secret=b"another secret, not theirs")


def another_code(asked: Asked) -> bytes:
    return asked.reply(5)


FORGERIES = [without_signature, wrong_signature, with_proxy_state, another_secret, another_code]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_accept(modes: Modes, forgery: object) -> None:
    """R20, R35: it is not an answer, and the right one that comes behind it still is."""
    modes.scripted.script = lambda asked: [forgery(asked), asked.reply(3)]  # type: ignore[operator]
    user = modes.user()
    assert codes([modes.nas(modes.octets).ask(user.user, user.password)]) == [ACCESS_REJECT]
    assert modes.asked(user.user, "preauth") == []
    (event,) = modes.wait_audit(username=user.user, decision="reject")
    assert event["reason"] == "primary_rejected"


# ---- failover


def test_silence_moves_on(modes: Modes) -> None:
    user = modes.user()
    modes.scripted.script = lambda asked: None
    reply = modes.nas(modes.pair).ask(user.user, user.password, timeout=20)
    assert codes([reply]) == [ACCESS_ACCEPT]


def test_a_no_is_final(modes: Modes) -> None:
    """A5: a Reject never makes the next server be asked, or a lock-out would come twice as soon."""
    modes.scripted.script = lambda asked: asked.reply(3, (REPLY_MESSAGE, b"No."))
    user = modes.user()
    before = len(modes.second.logins())
    modes.second.script = lambda asked: asked.reply(2)
    nas = modes.nas(modes.octets)
    reply = nas.ask(user.user, user.password)
    assert reply is not None
    assert (reply.code, reply.message) == (ACCESS_REJECT, "No.")
    assert len(modes.second.logins()) == before


def test_nobody_answers(modes: Modes) -> None:
    """The fail mode has no say in it: the password is unchecked."""
    modes.scripted.script = modes.second.script = lambda asked: None
    user = modes.user()
    reply = modes.nas(modes.pair).ask(user.user, user.password, timeout=30)
    assert codes([reply]) == [ACCESS_REJECT]
    (event,) = modes.wait_audit(username=user.user, decision="reject")
    assert event["reason"] == "primary_unavailable"


# ---- FreeRADIUS in front


def test_behind_a_relay(modes: Modes, tmp_path: Path) -> None:
    """R34: FreeRADIUS as the NAS adds its Proxy-State, and takes our answers only with it."""
    user, denied = modes.user(), modes.user(answer="deny")
    tap = modes.tap(modes.octets)
    modes.scripted.script = greets((CLASS, b"through two hops"))
    with FreeRadius(tmp_path / "relay", "testing123", relay_to=(tap.port, modes.secret)) as relay:
        said = radclient("127.0.0.1", relay.port, relay.secret, user.user, user.password)
        assert said.reply == "Access-Accept", said.text
        assert f"Class = 0x{b'through two hops'.hex()}" in said.text
        said = radclient("127.0.0.1", relay.port, relay.secret, denied.user, denied.password)
        assert said.reply == "Access-Reject", said.text


def test_proofs_that_came_unsigned(modes: Modes) -> None:
    """R21: EAP without Message-Authenticator is nobody's; two kinds of proof in one request are none."""
    nas = modes.nas(modes.bare)
    eap = (wire.EAP_MESSAGE, b"\x02\x01\x00\x0a\x01plain")
    unsigned = wire.access_request("plain", None, nas.secret, eap, message_authenticator=False)
    assert nas.silent(unsigned, 0.3)
    both = wire.access_request("plain", "x", nas.secret, eap)
    assert nas.silent(both, 0.3)
    two = wire.access_request(
        "plain", "x", nas.secret, (CHAP_PASSWORD, bytes(17)), (CHAP_CHALLENGE, bytes(16))
    )
    assert nas.silent(two, 0.3)
