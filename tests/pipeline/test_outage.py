"""What an outage makes of a login, mode by mode; and what speaks against it."""

from __future__ import annotations

import pytest

from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject, Silence
from authproxy.pipeline.fail_mode import OUTAGE, FailMode
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    FactorDeny,
    FailureClass,
    PreauthAllow,
    PreauthFactors,
    PrimaryUnavailable,
    Verified,
)

from .fakes import PHONE, Cloud, Directory, Door, request, run
from .test_authenticate import Desk

SILENT = Policy(FailMode.SILENT)


def ends(
    policy: Policy, cloud: Cloud, door: Door | None = None, password: bytes = b"right"
) -> tuple[Decision, str]:
    desk = Desk(policy, cloud=cloud, door=door)
    decision = desk.login(password)
    return decision, desk.record.decisions[-1][1].why


@pytest.mark.parametrize("failure", sorted(OUTAGE))
def test_silent(failure: FailureClass) -> None:
    assert ends(SILENT, Cloud(failure)) == (Silence(Reason.FAIL_CLOSED), "silent")


@pytest.mark.parametrize("failure", [each for each in FailureClass if each not in OUTAGE])
def test_whatever_is_no_outage_is_answered(failure: FailureClass) -> None:
    decision, why = ends(SILENT, Cloud(failure))
    assert isinstance(decision, Reject)
    assert (decision.reason, why) == (Reason.CLOUD_REFUSED, "")


def test_a_login_s_own_failure_silences_nobody() -> None:
    """F6: else a user name that makes the cloud fail would drive a NAS to its next server, which may be weaker."""
    decision, why = ends(SILENT, Cloud(FailureClass.SERVER_ERROR), Door(disagrees="probe_disagrees"))
    assert isinstance(decision, Reject)
    assert (decision.reason, why) == (Reason.FAIL_CLOSED, "probe_disagrees")


def test_a_silent_section_never_asks_the_gates() -> None:
    door = Door()
    ends(SILENT, Cloud(FailureClass.UNREACHABLE), door)
    assert door.asked == []


def test_once_a_factor_was_asked_for_there_is_an_answer() -> None:
    decision, why = ends(SILENT, Cloud(auth_answer=FailureClass.UNREACHABLE))
    assert isinstance(decision, Reject)
    assert (decision.reason, why) == (Reason.FAIL_CLOSED, "factor_asked")


def test_the_answer_to_a_challenge_is_answered() -> None:
    """No other server knows the State."""
    desk = Desk(Policy(FailMode.SILENT, Mode.CHALLENGE), cloud=Cloud(PreauthFactors((PHONE,))))
    asked = run(desk.pipeline.authenticate(request(can_challenge=True)))
    assert isinstance(asked, Challenge)
    desk.cloud.preauth_answer = FailureClass.UNREACHABLE
    answered = run(desk.pipeline.authenticate(request(b"1", state=asked.state)))
    assert isinstance(answered, Reject)


@pytest.mark.parametrize("mode", list(Mode))
def test_without_a_primary(mode: Mode) -> None:
    """Nothing opens (F3); silence opens nothing."""
    for fail_mode, expected in [
        (FailMode.SILENT, Silence(Reason.FAIL_CLOSED)),
        (FailMode.SAFE, "no_primary"),
        (FailMode.SECURE, "no_primary"),
    ]:
        door = Door()
        policy = Policy(fail_mode, mode, no_primary=True)
        decision, why = ends(policy, Cloud(FailureClass.UNREACHABLE), door, b"123456")
        if isinstance(expected, Silence):
            assert decision == expected
        else:
            assert isinstance(decision, Reject)
            assert (decision.reason, why) == (Reason.FAIL_CLOSED, expected)
        assert door.asked == []


def test_a_primary_s_failure_is_answered() -> None:
    desk = Desk(SILENT, Directory(PrimaryUnavailable("dc1")), Cloud(FailureClass.UNREACHABLE))
    assert desk.login() == Reject(Reason.PRIMARY_UNAVAILABLE)


@pytest.mark.parametrize("policy", [Policy(FailMode.SAFE), SILENT])
def test_who_passes_both_factors_is_remembered(policy: Policy) -> None:
    door = Door()
    Desk(policy, cloud=Cloud(), door=door).login()
    assert door.seen == ["alice"]


@pytest.mark.parametrize("cloud", [Cloud(PreauthAllow()), Cloud(auth_answer=FactorDeny("deny"))])
def test_who_passes_less_is_not(cloud: Cloud) -> None:
    """A bypass at the cloud is no second factor; nor is one without a password before it."""
    door = Door()
    Desk(Policy(FailMode.SAFE), cloud=cloud, door=door).login()
    assert door.seen == []


def test_a_factor_alone_is_not_remembered() -> None:
    door = Door()
    desk = Desk(Policy(FailMode.SAFE, Mode.FACTOR_ONLY, no_primary=True), cloud=Cloud(), door=door)
    assert desk.login(b"123456").reason is Reason.DUO_ONLY
    assert door.seen == []


def test_the_gates_are_asked_about_the_confirmed_name() -> None:
    door = Door()
    desk = Desk(
        Policy(FailMode.SAFE), Directory(Verified("alice")), Cloud(FailureClass.UNREACHABLE), door=door
    )
    desk.login(username="CORP\\ALICE")
    assert door.asked == ["alice"]


def test_only_who_passes_an_open_door_is_marked() -> None:
    """F9."""
    policy = Policy(FailMode.SAFE, mark="restricted")
    opened = Desk(policy, cloud=Cloud(FailureClass.UNREACHABLE)).login()
    assert opened == Accept(Reason.FAIL_OPEN, mark="restricted")
    assert Desk(policy, cloud=Cloud()).login() == Accept(Reason.BOTH_FACTORS)
    assert Desk(policy, cloud=Cloud(PreauthAllow())).login() == Accept(Reason.CLOUD_ALLOW)
