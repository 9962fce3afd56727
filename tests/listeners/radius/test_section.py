"""From an Access-Request to a login: names, passwords, addresses; and which are none."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from twisted.internet.defer import Deferred

from authproxy.listeners.radius.answer import reply_of
from authproxy.listeners.radius.section import RadiusSection
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.logins import Logins
from authproxy.pipeline.request import AuthRequest
from authproxy.protocols.radius.packet import Code
from authproxy.secret import Secret

from .world import ASA, NAS, SECRET, World, client, code, login

PALO_ALTO = (26, (25461).to_bytes(4, "big") + b"\x05\x04ab" + b"\x07\x0c192.0.2.33")


def asked(world: World) -> AuthRequest:
    [request] = world.logins.requests
    return request


# ---- the login


def test_what_is_in_a_login() -> None:
    world = World(new_login=lambda: "L1")
    request = login(b"right", (31, b"192.0.2.7"), (24, b"state"), user=b" Alice ")
    world.ask(request)
    made = asked(world)
    assert (made.login, made.section, made.client, made.nas_ip) == ("L1", "vpn", "asa", NAS.ip)
    assert (made.username.typed, made.username.canonical) == ("Alice", "alice")
    assert made.password == Secret(b"right")
    assert (made.received, made.deadline) == (1000.0, 1060.0)
    assert (made.client_ip, made.calling_station, made.state) == ("192.0.2.7", b"192.0.2.7", b"state")
    assert made.can_challenge
    assert not made.opaque
    assert made.carried is None


@pytest.mark.parametrize(
    "password",
    [
        b"correct horse",
        "pässword".encode(),
        "pa\u0308ssword".encode(),
        "pässword".encode("latin-1"),
        b"\xff\xff\xff",
        b" leading and trailing ",
        b"tab\tinside",
        b"\x01\x02 controls",
        b"a" * 128,
        b"",
    ],
)
def test_passwords_are_octets(password: bytes) -> None:
    """R24. An empty one is the pipeline's to refuse, with its own reason (R25)."""
    world = World()
    world.ask(login(password))
    assert asked(world).password.reveal() == password


@pytest.mark.parametrize("password", [b"\0leading", b"in\0side", b"\0\0x"])
def test_a_nul_in_a_password(password: bytes) -> None:
    """R24: refused in so many words, since half the world would stop reading there."""
    world = World()
    world.ask(login(password))
    assert world.logins.requests == []
    assert world.rejecter.causes == ["nul_in_password"]


@pytest.mark.parametrize(
    "user",
    [b"", b" ", b"\xff\xfe", b"al\0ice", b"alice\n", "ali\u200bce".encode(), "\u202eecila".encode(), None],
)
def test_names_that_are_none(user: bytes | None) -> None:
    """R3, R33: answered with a Reject, and nobody is asked."""
    world = World()
    request = login(user=user)
    world.ask(request)
    assert world.logins.requests == []
    assert world.rejecter.causes == ["username"]
    [reply] = world.wait(1)
    assert code(reply, request) == 3


@pytest.mark.parametrize(
    "attribute",
    [
        (3, bytes(17)),
        (70, bytes(16)),
        (79, b"\x02\x01\x00\x0a\x01alice"),
        (26, (311).to_bytes(4, "big") + b"\x19\x34" + bytes(50)),
        None,
    ],
)
def test_credentials_that_show_no_password(attribute: tuple[int, bytes] | None) -> None:
    """R28: refused, and the log says what to do."""
    world = World()
    world.ask(login(None, *([attribute] if attribute else [])))
    assert world.logins.requests == []
    assert world.rejecter.causes == ["credential"]
    [fields] = world.log.fields("radius.credential_not_usable")
    assert "PAP" in str(fields["todo"])


# ---- pw_codec


def test_another_codec() -> None:
    world = World(password_codec="latin-1")
    world.ask(login("pässword".encode("latin-1")))
    assert asked(world).password.reveal() == "pässword".encode()


def test_what_the_codec_can_not_read() -> None:
    world = World(password_codec="ascii")
    world.ask(login("pässword".encode()))
    assert world.logins.requests == []
    assert world.rejecter.causes == ["password_codec"]


# ---- R22: the user's own address


@pytest.mark.parametrize(
    ("signed", "trusted", "expected"),
    [(True, False, "192.0.2.7"), (False, False, None), (False, True, "192.0.2.7")],
)
def test_an_address_needs_a_signature(signed: bool, trusted: bool, expected: str | None) -> None:
    world = World(clients=[client("no")], trust_unsigned_client_ip=trusted)
    world.ask(login(b"right", (31, b"192.0.2.7"), signed=signed))
    assert asked(world).client_ip == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"2001:db8::7", "2001:db8::7"),
        (b"2001:0DB8:0::0007", "2001:db8::7"),
        (b"00-11-22-33-44-55", None),
        (b"192.0.2.7:4711", None),
        (b"+49 30 123", None),
        (b"\xff", None),
        (b"", None),
        (b"192.0.2.7\n", None),
    ],
)
def test_what_is_no_address_is_none(value: bytes, expected: str | None) -> None:
    world = World()
    world.ask(login(b"right", (31, value)))
    assert asked(world).client_ip == expected


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [((25461, 7), "192.0.2.33"), ((None, 31), "192.0.2.7"), ((9, 7), None), (None, None)],
)
def test_where_the_address_stands(attribute: tuple[int | None, int] | None, expected: str | None) -> None:
    world = World(client_ip_attribute=attribute)
    world.ask(login(b"right", (31, b"192.0.2.7"), PALO_ALTO))
    assert asked(world).client_ip == expected


# ---- R14


def test_a_client_that_has_shown_the_secret_may_have_another_code() -> None:
    """A long Latin-1 password looks like noise; not from who has logged somebody in before."""
    odd = ("pässwörd" * 2).encode("latin-1")
    world = World(clients=[client("no")])
    world.ask(login(odd, signed=False))
    assert world.rejecter.causes == ["wrong_secret"]
    world.ask(login(b"right", signed=False))
    world.logins.answer(Accept(Reason.BOTH_FACTORS))
    world.ask(login(odd, signed=False))
    assert world.logins.requests[-1].password.reveal() == odd


def test_a_reject_proves_no_secret() -> None:
    odd = ("pässwörd" * 2).encode("latin-1")
    world = World(clients=[client("no")])
    world.ask(login(b"wrong", signed=False))
    world.logins.answer(Reject(Reason.PRIMARY_REJECTED))
    world.ask(login(odd, signed=False))
    assert world.rejecter.causes == ["wrong_secret"]


# ---- what goes back


@pytest.mark.parametrize(
    ("decision", "reply"),
    [
        (Accept(Reason.BOTH_FACTORS, "Hi\nthere"), (Code.ACCESS_ACCEPT, [(18, b"Hi there")])),
        (Accept(Reason.BOTH_FACTORS), (Code.ACCESS_ACCEPT, [])),
        (Reject(Reason.FACTOR_DENIED, "No"), (Code.ACCESS_REJECT, [(18, b"No")])),
        (
            Challenge(Reason.FACTOR_PROMPT, "One:\n 1. Push", b"state"),
            (Code.ACCESS_CHALLENGE, [(18, b"One:\n 1. Push"), (24, b"state")]),
        ),
    ],
)
def test_replies(decision: Decision, reply: object) -> None:
    assert reply_of(decision, login(b"right"), SECRET) == reply


def test_a_reject_carries_nothing_of_the_primarys_accept() -> None:
    """R42."""
    assert reply_of(Reject(Reason.CLOUD_DENY, "No", carried=[(25, b"admins")]), login(b"right"), SECRET) == (
        3,
        [(18, b"No")],
    )


# ---- R46: with the real desk behind it


class Approves:
    """Counts pushes; answers when told."""

    def __init__(self) -> None:
        self.pushes: list[AuthRequest] = []
        self.waiting: list[Deferred[Decision]] = []

    def begin(self) -> None: ...

    def end(self) -> None: ...

    async def authenticate(self, request: AuthRequest) -> Decision:
        self.pushes.append(request)
        self.waiting.append(Deferred())
        return await self.waiting[-1]

    def reject(self, request: AuthRequest, reason: Reason, cause: str = "") -> Reject:
        return Reject(reason)


def test_three_requests_one_push_three_accepts() -> None:
    """A NAS that fails over and one that counts on: the same login, so the same push and the same answer."""
    cloud = Approves()
    desk = Logins(
        cloud,
        key=bytes(32),
        denial_memory=30.0,
        clock=lambda: 0.0,
        failed=lambda request, error: None,
        joined=lambda request, waiting: None,
    )
    other = client(name="other", key="other", networks=(ip_network("10.2.0.0/24"),))
    world = World(clients=[ASA, other], logins=desk)
    sources = (NAS, NAS._replace(port=5), NAS._replace(ip="10.2.0.9"))
    requests = [login(identifier=number) for number in range(3)]
    for request, source in zip(requests, sources, strict=True):
        world.ask(request, source)
        world.clock.advance(5)
    world.ask(login(b"another", identifier=4))
    assert [push.password.reveal() for push in cloud.pushes] == [b"right", b"another"]
    cloud.waiting[0].callback(Accept(Reason.BOTH_FACTORS))
    assert [code(reply, request) for (reply, _), request in zip(world.sent, requests, strict=True)] == [2] * 3
    assert world.listener.pending == 1, "another password is another login"


def test_the_section_names_itself() -> None:
    world = World(name="wifi", section=RadiusSection)
    world.ask(login())
    assert asked(world).section == "wifi"
