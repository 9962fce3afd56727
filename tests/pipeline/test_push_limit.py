"""Push fatigue (A11): one prompt at a time, three that weren't approved, and passcodes always."""

from __future__ import annotations

import pytest

from authproxy.pipeline import push_limit
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import FactorAllow, FactorDeny, FailureClass
from authproxy.pipeline.push_limit import Prompts, PushLimit, PushRules
from authproxy.pipeline.second_step import SecondStep

from .fakes import Cloud, Directory, Door, Record, challenges, request, run

RULES = PushRules(most=3, window=600, pause=900, fraud_pause=3600)
DENY = FactorDeny("deny")


class Desk:
    """Sections that share a limit."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alerts: list[tuple[str, str, str]] = []
        self.limit = PushLimit(lambda *told: self.alerts.append(told))
        self.cloud = Cloud()
        self.record = Record()

    def log_in(
        self,
        password: bytes = b"right",
        section: str = "vpn",
        *,
        account: str = "api",
        mode: Mode = Mode.AUTO,
    ) -> Decision:
        policy = Policy(FailMode.SECURE, mode=mode)
        prompts = Prompts(self.limit, RULES, account)
        clock = lambda: self.now  # noqa: E731
        second = SecondStep(policy, self.cloud, Door(), challenges(), clock, prompts)
        pipeline = Pipeline(policy, Directory(), second, self.record, clock)
        return run(pipeline.authenticate(request(password, section=section)))

    def deny(self, times: int = 3) -> None:
        self.cloud.auth_answer = DENY
        for _ in range(times):
            assert self.log_in() == Reject(Reason.FACTOR_DENIED)
        self.cloud.auth_answer = FactorAllow()

    def cause(self) -> str:
        return self.record.decisions[-1][1].cause


def reason(decision: Decision) -> Reason:
    return decision.reason


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("status", ["deny", "timeout", "sent", "something new"])
def test_three_that_were_not_approved(desk: Desk, status: str) -> None:
    desk.cloud.auth_answer = FactorDeny(status)
    for _ in range(20):
        desk.log_in()
    assert len(desk.cloud.calls) == 3
    assert (reason(desk.log_in()), desk.cause()) == (Reason.PUSH_LIMIT, "push_paused")
    assert desk.alerts == [("push.paused", "alice", "vpn")]


@pytest.mark.parametrize("typed", [b"right", b"right,push", b"right,phone", b"right,sms", b"right,auto"])
def test_then_nothing_rings_whatever_is_typed(desk: Desk, typed: bytes) -> None:
    desk.deny()
    assert reason(desk.log_in(typed)) is Reason.PUSH_LIMIT
    assert len(desk.cloud.calls) == 3


def test_a_passcode_works_all_the_time(desk: Desk) -> None:
    desk.deny()
    assert desk.log_in(b"right,123456") == Accept(Reason.BOTH_FACTORS)


def test_wrong_passcodes_are_the_clouds_to_count(desk: Desk) -> None:
    desk.cloud.auth_answer = DENY
    for _ in range(5):
        desk.log_in(b"right,123456")
    desk.cloud.auth_answer = FactorAllow()
    assert isinstance(desk.log_in(), Accept)


def test_it_ends(desk: Desk) -> None:
    desk.deny()
    desk.now = 899
    assert reason(desk.log_in()) is Reason.PUSH_LIMIT
    desk.now = 900
    assert isinstance(desk.log_in(), Accept)


def test_old_ones_do_not_count(desk: Desk) -> None:
    for desk.now in (0, 300, 600, 900, 1200):
        desk.deny(1)
    assert isinstance(desk.log_in(), Accept)


def test_an_approval_in_between_forgives_nothing(desk: Desk) -> None:
    """Else whoever has the password gets three more each time that the user logs in."""
    desk.deny(2)
    assert isinstance(desk.log_in(), Accept)
    desk.deny(1)
    assert reason(desk.log_in()) is Reason.PUSH_LIMIT


def test_reported_fraud_stops_at_once(desk: Desk) -> None:
    desk.cloud.auth_answer = FactorDeny("fraud")
    assert reason(desk.log_in()) is Reason.FRAUD
    desk.now = 3599
    assert (reason(desk.log_in()), desk.cause()) == (Reason.PUSH_LIMIT, "push_fraud")
    assert desk.alerts == [("push.fraud_reported", "alice", "vpn")]
    desk.cloud.auth_answer, desk.now = FactorAllow(), 3600
    assert isinstance(desk.log_in(), Accept)


def test_over_all_sections_of_an_account(desk: Desk) -> None:
    desk.deny(2)
    desk.cloud.auth_answer = DENY
    desk.log_in(section="ldap")
    assert reason(desk.log_in(section="ldap")) is Reason.PUSH_LIMIT
    # The same name at another cloud account is somebody else.
    desk.cloud.auth_answer = FactorAllow()
    assert isinstance(desk.log_in(account="another"), Accept)


def test_nobody_is_locked_out_by_who_does_not_know_the_password(desk: Desk) -> None:
    desk.cloud.auth_answer = DENY
    for _ in range(50):
        assert reason(desk.log_in(b"wrong")) is Reason.PRIMARY_REJECTED
    desk.cloud.auth_answer = FactorAllow()
    assert isinstance(desk.log_in(), Accept)
    assert len(desk.limit) == 0


def test_an_outage_is_not_the_users(desk: Desk) -> None:
    desk.cloud.auth_answer = FailureClass.UNREACHABLE
    for _ in range(5):
        desk.log_in()
    desk.cloud.auth_answer = FactorAllow()
    assert isinstance(desk.log_in(), Accept)


def test_one_at_a_time() -> None:
    limit = PushLimit()
    prompts, other = Prompts(limit, RULES, "api"), Prompts(limit, RULES, "api")
    assert prompts.begin("alice", 0.0) == ""
    assert other.begin("alice", 1.0) == "push_pending"
    assert other.begin("bob", 1.0) == ""
    prompts.end("alice", "vpn", "allow", 2.0)
    assert other.begin("alice", 2.0) == ""


def test_one_at_a_time_also_without_a_limit() -> None:
    prompts = Prompts(rules=PushRules(most=0))
    for now in range(10):
        assert prompts.begin("alice", now) == ""
        assert prompts.begin("alice", now) == "push_pending"
        prompts.end("alice", "vpn", "deny", now)


def test_a_prompt_whose_work_is_cancelled_waits_no_longer() -> None:
    prompts = Prompts()
    assert prompts.begin("alice", 0.0) == ""
    prompts.end("alice", "vpn", "", 1.0)
    assert prompts.begin("alice", 1.0) == ""


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to go is whoever was heard of longest ago, but nobody who is spared."""
    monkeypatch.setattr(push_limit, "_MOST_USERS", 100)
    prompts = Prompts(rules=RULES)
    for now in range(3):
        prompts.begin("paused", now)
        prompts.end("paused", "vpn", "deny", now)
    for number in range(1000):
        prompts.begin(f"user{number}", 10.0)
        prompts.end(f"user{number}", "vpn", "deny", 10.0)
    assert len(prompts.limit) <= 101
    assert prompts.begin("paused", 11.0) == "push_paused"
