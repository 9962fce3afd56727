"""What an outage makes of a login, mode by mode; and what speaks against it."""

from __future__ import annotations

from typing import Any

import pytest

from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject, Silence
from authproxy.pipeline.fail_mode import OUTAGE, UNAVAILABLE, FailMode, SlowCloud
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    FactorDeny,
    FailureClass,
    PreauthAllow,
    PreauthFactors,
    PrimaryUnavailable,
    Verified,
)
from authproxy.pipeline.prompt import ENTER_PASSCODE
from authproxy.pipeline.second_step import SecondStep

from .fakes import PHONE, Cloud, Directory, Door, Record, challenges, request, run
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


# ---- primary-only


def test_by_order_the_password_is_enough() -> None:
    desk = Desk(Policy(FailMode.SAFE, mark="restricted"), door=Door(ordered=True))
    assert desk.login(b"right,123456") == Accept(Reason.PRIMARY_ONLY, mark="restricted")
    assert desk.cloud.preauths == []
    facts = desk.record.decisions[-1][1]
    assert (facts.factor, facts.detail) == ("passcode", "passcode was typed and went unchecked")


@pytest.mark.parametrize("fail_mode", [FailMode.SECURE, FailMode.SILENT])
def test_no_order_opens_another_section(fail_mode: FailMode) -> None:
    desk = Desk(Policy(fail_mode), door=Door(ordered=True))
    assert desk.login().reason is Reason.BOTH_FACTORS
    assert desk.cloud.preauths == ["alice"]


def test_an_order_is_behind_a_right_password() -> None:
    for typed, reason in ((b"wrong", Reason.PRIMARY_REJECTED), (b"", Reason.EMPTY_PASSWORD)):
        assert Desk(Policy(FailMode.SAFE), door=Door(ordered=True)).login(typed).reason is reason
    unavailable = Desk(Policy(FailMode.SAFE), Directory(PrimaryUnavailable("dc1")), door=Door(ordered=True))
    assert unavailable.login().reason is Reason.PRIMARY_UNAVAILABLE


@pytest.mark.parametrize("mode", list(Mode))
def test_an_order_opens_nothing_without_a_primary(mode: Mode) -> None:
    desk = Desk(Policy(FailMode.SAFE, mode, no_primary=True), door=Door(ordered=True))
    assert desk.login(b"123456").reason is not Reason.PRIMARY_ONLY


def test_an_order_answers_no_challenge() -> None:
    """The factor was asked for before it."""
    desk = Desk(
        Policy(FailMode.SAFE, Mode.CHALLENGE), cloud=Cloud(auth_answer=FactorDeny("deny")), door=Door()
    )
    asked = run(desk.pipeline.authenticate(request(can_challenge=True)))
    assert isinstance(asked, Challenge)
    desk.door.ordered = True
    assert run(desk.pipeline.authenticate(request(b"1", state=asked.state))).reason is Reason.FACTOR_DENIED


def test_no_record_no_entry_by_order() -> None:
    """F8."""
    desk = Desk(Policy(FailMode.SAFE), door=Door(ordered=True), record=Record(full=True))
    assert desk.login() == Reject(Reason.FAIL_CLOSED)


# ---- a slow cloud


class SlowDesk(Desk):
    """The cloud is slow; `slow_cloud` says what comes of it."""

    def __init__(self, policy: Policy, cloud: Cloud | None = None, door: Door | None = None) -> None:
        super().__init__(policy, cloud=cloud, door=door)
        self.slow = True
        second = SecondStep(
            policy, self.cloud, self.door, challenges(), lambda: 0.0, is_slow=lambda: self.slow
        )
        self.pipeline = Pipeline(policy, self.directory, second, self.record, clock=lambda: 0.0)

    def ask(self, password: bytes = b"right", **changes: Any) -> Decision:
        return run(self.pipeline.authenticate(request(password, **{"can_challenge": True} | changes)))


def slow(mode: SlowCloud, fail_mode: FailMode = FailMode.SAFE, **more: Any) -> SlowDesk:
    return SlowDesk(Policy(fail_mode, slow_cloud=mode), **more)


def test_wait_waits() -> None:
    desk = slow(SlowCloud.WAIT)
    assert desk.ask().reason is Reason.BOTH_FACTORS
    assert desk.cloud.calls[0][1].factor == "auto"


@pytest.mark.parametrize(
    ("fail_mode", "expected"),
    [
        (FailMode.SAFE, Accept(Reason.FAIL_OPEN)),
        (FailMode.SILENT, Silence(Reason.FAIL_CLOSED)),
        (FailMode.SECURE, Reject(Reason.FAIL_CLOSED, UNAVAILABLE)),
    ],
)
def test_as_in_an_outage(fail_mode: FailMode, expected: Decision) -> None:
    desk = slow(SlowCloud.FAILMODE, fail_mode)
    assert desk.ask() == expected
    assert desk.cloud.preauths == []
    assert desk.record.decisions[-1][1].cause == "slow"
    desk.slow = False
    assert desk.ask().reason is Reason.BOTH_FACTORS


def test_the_gates_have_their_say_on_a_slow_cloud() -> None:
    decision = slow(SlowCloud.FAILMODE, door=Door("max_minutes")).ask()
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.FAIL_CLOSED


@pytest.mark.parametrize("mode", list(SlowCloud))
def test_a_cloud_that_becomes_slow_answers_no_challenge(mode: SlowCloud) -> None:
    """Once a factor was asked for, nothing but an allow lets anyone in (F3)."""
    desk = SlowDesk(
        Policy(FailMode.SAFE, Mode.CHALLENGE, slow_cloud=mode), Cloud(auth_answer=FactorDeny("deny"))
    )
    desk.slow = False
    asked = desk.ask()
    assert isinstance(asked, Challenge)
    desk.slow = True
    assert desk.ask(b"1", state=asked.state).reason is Reason.FACTOR_DENIED


def test_a_slow_cloud_opens_nothing_without_a_primary() -> None:
    desk = SlowDesk(Policy(FailMode.SAFE, Mode.FACTOR_ONLY, no_primary=True, slow_cloud=SlowCloud.FAILMODE))
    assert desk.ask(b"123456").reason is Reason.FAIL_CLOSED


def test_rather_a_passcode_than_a_push() -> None:
    desk = slow(SlowCloud.PASSCODE)
    asked = desk.ask()
    assert isinstance(asked, Challenge)
    assert (asked.reason, asked.message) == (Reason.FACTOR_PROMPT, ENTER_PASSCODE)
    assert desk.ask(b"123456", state=asked.state).reason is Reason.BOTH_FACTORS
    assert desk.cloud.calls[0][1].factor == "passcode"


def test_a_factor_that_was_typed_is_asked_for() -> None:
    desk = slow(SlowCloud.PASSCODE)
    assert desk.ask(b"right,push").reason is Reason.BOTH_FACTORS
    assert desk.cloud.calls[0][1].factor == "push"


def test_who_can_t_be_asked_waits() -> None:
    desk = slow(SlowCloud.PASSCODE)
    assert desk.ask(can_challenge=False).reason is Reason.BOTH_FACTORS
