"""The other modes than auto: challenge, concat, factor only; and challenges of the primary's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Accept, Challenge, Decision, Reason, Reject
from authproxy.pipeline.factor import Factor
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import (
    FactorDeny,
    FailureClass,
    PreauthAllow,
    PreauthEnroll,
    PrimaryChallenge,
    Verified,
)
from authproxy.pipeline.second_step import MOST_ROUNDS, SecondStep

from .fakes import Cloud, Directory, Door, Record, challenges, request, run

CHALLENGE = Policy(FailMode.SAFE, Mode.CHALLENGE)
CONCAT = Policy(FailMode.SAFE, Mode.CONCAT)
ALONE = Policy(FailMode.SAFE, Mode.FACTOR_ONLY)


class Desk:
    def __init__(
        self, policy: Policy, directory: Directory | None = None, cloud: Cloud | None = None
    ) -> None:
        self.directory = directory or Directory(Verified("alice", "uid=alice", carried="attributes"))
        self.cloud = cloud or Cloud()
        self.record = Record()
        second = SecondStep(policy, self.cloud, Door(), challenges(), lambda: 0.0)
        self.pipeline = Pipeline(policy, self.directory, second, self.record, clock=lambda: 0.0)

    def login(self, password: bytes = b"right", **changes: Any) -> Decision:
        return run(self.pipeline.authenticate(request(password, **({"can_challenge": True} | changes))))

    def asked(self, password: bytes = b"right", **changes: Any) -> Challenge:
        decision = self.login(password, **changes)
        assert isinstance(decision, Challenge)
        return decision


# ---- challenge


def test_password_then_prompt_then_answer() -> None:
    desk = Desk(CHALLENGE)
    prompt = desk.asked(b"right")
    assert prompt.reason is Reason.FACTOR_PROMPT
    assert prompt.carried is None, "nothing of the primary's Accept leaves before the factor (R42)"
    assert desk.cloud.calls == []
    assert desk.login(b"123456", state=prompt.state) == Accept(Reason.BOTH_FACTORS, carried="attributes")
    assert desk.directory.asked == [b"right"], "the answer never reaches the directory"


def test_a_wrong_password_prompts_nobody() -> None:
    assert Desk(CHALLENGE).login(b"wrong") == Reject(Reason.PRIMARY_REJECTED)


def test_the_password_is_whole() -> None:
    desk = Desk(CHALLENGE)
    desk.login(b"right,push")
    assert desk.directory.asked == [b"right,push"]


def test_a_wrong_passcode_ends_it() -> None:
    desk = Desk(CHALLENGE, cloud=Cloud(auth_answer=FactorDeny("deny")))
    state = desk.asked().state
    assert desk.login(b"111111", state=state).reason is Reason.FACTOR_DENIED
    assert desk.login(b"222222", state=state) == Reject(Reason.BAD_STATE)


def test_sms_asks_again_but_not_for_ever() -> None:
    desk = Desk(CHALLENGE, cloud=Cloud(auth_answer=FactorDeny("sent", "New SMS passcodes sent.")))
    state = desk.asked().state
    for _ in range(MOST_ROUNDS - 1):
        state = desk.asked(b"sms", state=state).state
    assert isinstance(desk.login(b"sms", state=state), Reject)


@pytest.mark.parametrize("state", [b"foreign", b"SEAL" + b"x" * 60])
def test_a_state_that_is_not_ours_is_no_new_login(state: bytes) -> None:
    """R39, R41: even with the right password."""
    desk = Desk(CHALLENGE)
    assert desk.login(b"right", state=state) == Reject(Reason.BAD_STATE)
    assert desk.directory.asked == []
    assert desk.cloud.preauths == []


def test_another_users_state() -> None:
    desk = Desk(CHALLENGE)
    state = desk.asked().state
    assert desk.login(b"123456", state=state, username="bob") == Reject(Reason.BAD_STATE)


def test_without_the_state_it_starts_anew() -> None:
    """R41: the answer `1` without State is a password, and a wrong one."""
    desk = Desk(CHALLENGE)
    desk.asked()
    assert desk.login(b"1") == Reject(Reason.PRIMARY_REJECTED)


@pytest.mark.parametrize("failure", list(FailureClass))
def test_an_outage_behind_the_prompt_opens_nothing(failure: FailureClass) -> None:
    desk = Desk(CHALLENGE)
    state = desk.asked().state
    desk.cloud.preauth_answer = failure
    assert isinstance(desk.login(b"123456", state=state), Reject)


def test_an_outage_before_the_prompt_is_the_sections_choice() -> None:
    cloud = Cloud(FailureClass.UNREACHABLE)
    assert Desk(CHALLENGE, cloud=cloud).login() == Accept(Reason.FAIL_OPEN, carried="attributes")
    secure = dataclasses.replace(CHALLENGE, fail_mode=FailMode.SECURE)
    assert Desk(secure, cloud=cloud).login().reason is Reason.FAIL_CLOSED


def test_enrolling_is_said_where_it_is_seen() -> None:
    desk = Desk(CHALLENGE, cloud=Cloud(PreauthEnroll("Enroll at", "https://x")))
    prompt = desk.asked()
    assert (prompt.reason, prompt.message) == (Reason.ENROLL_PROMPT, "Enroll at https://x")
    desk.cloud.preauth_answer = PreauthAllow()
    assert desk.login(b"anything", state=prompt.state).reason is Reason.ENROLL_REQUIRED
    hidden = dataclasses.replace(CHALLENGE, enroll_challenge=False)
    cloud = Cloud(PreauthEnroll("Enroll at", "https://x"))
    assert Desk(hidden, cloud=cloud).login() == Reject(Reason.ENROLL_REQUIRED, "Enroll at https://x")


def test_a_user_who_is_disabled_meanwhile() -> None:
    desk = Desk(CHALLENGE)
    state = desk.asked().state
    desk.cloud.preauth_answer = PreauthEnroll()
    assert desk.login(b"123456", state=state).reason is Reason.ENROLL_REQUIRED


# ---- auto with a passcode to ask for


def test_auto_asks_for_a_passcode_where_it_can() -> None:
    policy = Policy(FailMode.SECURE, factors=(Factor.PASSCODE,))
    desk = Desk(policy)
    prompt = desk.asked()
    assert prompt.message == "Enter passcode: "
    assert desk.login(b"123456", state=prompt.state).reason is Reason.BOTH_FACTORS
    assert Desk(policy).login(can_challenge=False).reason is Reason.NO_USABLE_FACTOR


# ---- concat


def test_concat_wants_a_factor_before_it_asks_the_directory() -> None:
    desk = Desk(CONCAT)
    assert desk.login(b"right").reason is Reason.NO_USABLE_FACTOR
    assert desk.login(b",123456") == Reject(Reason.EMPTY_PASSWORD)
    assert desk.directory.asked == []
    assert desk.login(b"right,123456").reason is Reason.BOTH_FACTORS
    assert desk.directory.asked == [b"right"]


# ---- factor only


@pytest.mark.parametrize(
    ("typed", "factor"), [(b"push", "push"), (b"123456", "passcode"), (b"odd code", "passcode")]
)
def test_the_password_is_the_factor(typed: bytes, factor: str) -> None:
    desk = Desk(ALONE)
    assert desk.login(typed) == Accept(Reason.DUO_ONLY)
    assert desk.directory.asked == []
    assert desk.cloud.calls[0][1].factor == factor


def test_empty_is_no_factor() -> None:
    desk = Desk(ALONE)
    assert desk.login(b"") == Reject(Reason.EMPTY_PASSWORD)
    assert desk.cloud.preauths == []


@pytest.mark.parametrize("failure", list(FailureClass))
def test_no_password_was_verified_so_nothing_opens(failure: FailureClass) -> None:
    assert isinstance(Desk(ALONE, cloud=Cloud(failure)).login(b"push"), Reject)


# ---- the primary's own challenge


def test_the_primarys_challenge_is_relayed_and_its_answer_too() -> None:
    """R38: its State unmodified; ours and its are told apart by the seal."""
    policy = Policy(FailMode.SECURE, radius_primary=True)
    desk = Desk(policy, Directory(PrimaryChallenge("code?", b"theirs", "attributes")))
    assert desk.login() == Challenge(Reason.PRIMARY_CHALLENGE, "code?", b"theirs", "attributes")
    assert desk.cloud.preauths == [], "a primary's challenge is no success"
    desk.directory.answer = Verified("alice")
    assert desk.login(b"right", state=b"theirs").reason is Reason.BOTH_FACTORS


# ---- proofs that only a RADIUS primary can check


def test_an_opaque_proof_goes_whole_to_a_radius_primary() -> None:
    """R28: CHAP, MS-CHAP, EAP. No factor can stand behind it, so the section's own choice is asked for."""
    desk = Desk(Policy(FailMode.SECURE, radius_primary=True), Directory(Verified("alice")))
    assert desk.login(b"right", opaque=True).reason is Reason.BOTH_FACTORS
    assert desk.cloud.calls[0][1].factor == "auto"


def test_a_round_of_eap_is_no_event() -> None:
    """A14: each login has some eight, and anybody at a switch can begin one; a challenge in words is one (R38)."""
    asks = Directory(PrimaryChallenge("", b"theirs"))
    desk = Desk(Policy(FailMode.SAFE, radius_primary=True), asks)
    assert desk.login(b"\x02proof", opaque=True).reason is Reason.PRIMARY_CHALLENGE
    assert desk.record.decisions == []
    desk.login()
    assert len(desk.record.decisions) == 1


@pytest.mark.parametrize("mode", list(Mode))
def test_a_directory_never_sees_an_opaque_proof_as_a_password(mode: Mode) -> None:
    desk = Desk(Policy(FailMode.SAFE, mode))
    assert desk.login(b"right", opaque=True) == Reject(Reason.MALFORMED)
    assert desk.directory.asked == []
    assert desk.cloud.preauths == []


def test_an_opaque_proof_is_no_answer() -> None:
    desk = Desk(dataclasses.replace(CHALLENGE, radius_primary=True))
    state = desk.asked().state
    assert desk.login(b"123456", state=state, opaque=True) == Reject(Reason.MALFORMED)
    assert desk.cloud.calls == []


# ---- no primary behind another mode (`client: duo_only_client`)


@pytest.mark.parametrize(
    ("typed", "factor"),
    [(b"", "auto"), (b"whatever", "auto"), (b"x,push", "push"), (b"push", "push"), (b"123456", "passcode")],
)
def test_auto_without_a_primary(typed: bytes, factor: str) -> None:
    desk = Desk(Policy(FailMode.SAFE, no_primary=True))
    assert desk.login(typed) == Accept(Reason.DUO_ONLY)
    assert desk.directory.asked == []
    assert desk.cloud.calls[0][1].factor == factor


def test_challenge_without_a_primary() -> None:
    desk = Desk(dataclasses.replace(CHALLENGE, no_primary=True))
    state = desk.asked(b"").state
    assert desk.login(b"123456", state=state) == Accept(Reason.DUO_ONLY)


def test_a_prompt_without_a_password_is_worth_nothing_where_one_is_checked() -> None:
    """After a reload, or at another node, that gave the section a primary."""
    before = Desk(dataclasses.replace(CHALLENGE, no_primary=True))
    state = before.asked(b"").state
    after = Desk(CHALLENGE)
    assert after.login(b"123456", state=state) == Reject(Reason.BAD_STATE)
    assert after.record.decisions[-1][1].cause == "no_password"
    assert after.cloud.calls == []


@pytest.mark.parametrize("failure", list(FailureClass))
def test_without_a_primary_no_outage_opens(failure: FailureClass) -> None:
    assert isinstance(Desk(Policy(FailMode.SAFE, no_primary=True), cloud=Cloud(failure)).login(), Reject)


def test_without_a_primary_nobody_is_exempt() -> None:
    policy = Policy(FailMode.SAFE, no_primary=True, exempt=frozenset({"alice"}))
    assert Desk(policy).login(b"").reason is Reason.DUO_ONLY
