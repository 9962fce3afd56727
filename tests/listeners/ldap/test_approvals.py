"""`approval_memory`: one push for an application that binds several times a login, and no more for it (L12, L19)."""

from __future__ import annotations

import pytest

from authproxy.pipeline.decision import Reason
from authproxy.pipeline.ports import FactorAllow, FactorDeny, FailureClass, PreauthDeny
from authproxy.protocols.ldap import ber
from authproxy.protocols.ldap.requests import ExtendedRequest
from tests.listeners.ldap.world import ALICE, SERVICE, Desk, bind, search


def desk_for(seconds: float = 30, **more: object) -> Desk:
    return Desk(approval_memory=seconds, **more)  # type: ignore[arg-type]


def pushes(desk: Desk) -> int:
    return len(desk.phone.calls)


def test_ten_binds_one_after_the_other_cost_one_push() -> None:
    desk = desk_for()
    for _ in range(5):
        wire = desk.connect()
        assert wire.code(1, bind()) == 0
        assert wire.code(2, bind()) == 0
        assert wire.code(3, search()) == 0
    assert pushes(desk) == 1
    assert desk.reasons() == ["both_factors"] + ["recent_approval"] * 9
    # Each is the directory's own success, on a connection that is bound.
    assert [upstream.bound for upstream in desk.directory.upstreams] == [ALICE] * 5


def test_ten_at_once_cost_one_push() -> None:
    """Without any memory: they join the one that waits."""
    desk = Desk()
    desk.phone.at_once = None
    wires = [desk.connect() for _ in range(10)]
    for number, wire in enumerate(wires):
        wire.send(number + 1, bind())
    desk.phone.answer(FactorAllow())
    assert pushes(desk) == 1
    assert all(wire.read() for wire in wires)
    assert all(wire.code(50, search()) == 0 for wire in wires)


def test_a_passcode_is_used_up_once() -> None:
    desk = desk_for()
    assert desk.connect().code(1, bind(ALICE, b"right,123456")) == 0
    desk.phone.at_once = FactorDeny("deny")  # the cloud takes each passcode once
    assert desk.connect().code(1, bind(ALICE, b"right,123456")) == 0
    assert desk.connect().code(1, bind(ALICE, b"right,654321")) == 49


def test_off_by_default() -> None:
    desk = Desk()
    for number in range(1, 4):
        assert desk.connect().code(1, bind()) == 0
        assert pushes(desk) == number


def test_not_for_long() -> None:
    desk = desk_for(30)
    desk.connect().code(1, bind())
    desk.clock.advance(30)
    desk.connect().code(1, bind())
    assert pushes(desk) == 2


def test_not_from_another_address() -> None:
    desk = desk_for()
    desk.connect().code(1, bind())
    desk.connect("192.0.2.2").code(1, bind())
    assert pushes(desk) == 2


def test_the_password_is_checked_each_time() -> None:
    desk = desk_for()
    desk.connect().code(1, bind())
    desk.directory.passwords[ALICE] = b"new"
    wire = desk.connect()
    assert wire.code(1, bind()) == 49
    assert wire.code(2, search()) == 50
    desk.directory.passwords[ALICE] = b"right"
    desk.phone.at_once = FactorDeny("deny")
    assert desk.connect().code(1, bind()) == 49, "what was refused once isn't approved still"


@pytest.mark.parametrize("status", ["deny", "fraud", "timeout", "locked_out"])
def test_a_denial_from_anywhere_ends_it(status: str) -> None:
    desk = desk_for()
    desk.connect().code(1, bind())
    desk.phone.at_once = FactorDeny(status)
    assert desk.connect("192.0.2.2").code(1, bind()) == 49
    assert desk.connect().code(1, bind()) == 49
    # Whoever reports fraud is asked no more for a while (A11).
    assert pushes(desk) == (2 if status == "fraud" else 3)


def test_the_cloud_s_no_counts() -> None:
    """It is asked each time whether a factor is due, and who is locked out there is out."""
    desk = desk_for()
    desk.connect().code(1, bind())

    async def denied(*_: object) -> PreauthDeny:
        return PreauthDeny("disabled")

    desk.phone.preauth = denied  # type: ignore[assignment]
    assert desk.connect().code(1, bind()) == 49
    assert desk.reasons()[-1] == Reason.CLOUD_DENY


def test_an_outage_is_an_outage() -> None:
    desk = desk_for()
    desk.connect().code(1, bind())
    desk.phone.preauth_failure = FailureClass.UNREACHABLE
    assert desk.connect().code(1, bind()) == 52


@pytest.mark.parametrize("attribute", ["userPassword", "unicodePwd;x", None])
def test_a_password_that_is_changed_through_us_ends_it(attribute: str | None) -> None:
    desk = desk_for()
    desk.connect().code(1, bind())
    wire = desk.connect()
    wire.handshake()
    assert wire.code(1, bind(SERVICE, b"svcpw")) == 0
    before = pushes(desk)
    if attribute is None:
        wire.send(2, ExtendedRequest("1.3.6.1.4.1.4203.1.11.1"))
    else:
        value = ber.tlv(ber.SET, ber.tlv(ber.OCTET_STRING, b"x"))
        change = ber.integer(2, ber.ENUMERATED) + ber.tlv(ber.SEQUENCE, ber.text(attribute) + value)
        modify = ber.text(ALICE) + ber.tlv(ber.SEQUENCE, ber.tlv(ber.SEQUENCE, change))
        wire.octet(ber.tlv(ber.SEQUENCE, ber.integer(2) + ber.tlv(0x66, modify)))
    desk.connect().code(1, bind())
    assert pushes(desk) == before + 1


def test_an_exempt_bind_approves_nothing() -> None:
    desk = desk_for(
        options={"exempt_primary_bind": True}, policy={"exempts": lambda request, _: request.carried.first}
    )
    assert desk.connect().code(1, bind()) == 0
    assert desk.reasons() == ["exempt"]
    wire = desk.connect()
    wire.code(1, bind(SERVICE, b"svcpw"))
    wire.code(2, bind())
    assert pushes(desk) == 1
