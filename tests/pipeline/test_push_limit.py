"""Push fatigue (A11): one prompt at a time, three that weren't approved, and passcodes always."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from authproxy.backends.turns import ReactorTurn
from authproxy.pipeline import push_limit
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Accept, Decision, Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.policy import Mode, Policy
from authproxy.pipeline.ports import FactorAllow, FactorDeny, FailureClass
from authproxy.pipeline.prompting import Prompts
from authproxy.pipeline.push_limit import PushLimit, PushRules
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


def begin(prompts: Prompts, user: str = "alice", now: float = 0.0) -> str:
    return run(prompts.begin(user, lambda: now, now + 60))


def test_one_at_a_time() -> None:
    limit = PushLimit()
    prompts, other = Prompts(limit, RULES, "api"), Prompts(limit, RULES, "api")
    assert begin(prompts) == ""
    assert begin(other) == "push_pending"
    assert begin(other, "bob") == ""
    prompts.end("alice", "vpn", "allow", 2.0)
    assert begin(other) == ""


def test_one_at_a_time_also_without_a_limit() -> None:
    prompts = Prompts(rules=PushRules(most=0))
    for now in range(10):
        assert begin(prompts, now=now) == ""
        assert begin(prompts, now=now) == "push_pending"
        prompts.end("alice", "vpn", "deny", now)


def test_a_prompt_whose_work_is_cancelled_is_over() -> None:
    prompts = Prompts()
    assert begin(prompts) == ""
    prompts.end("alice", "vpn", "", 1.0)
    assert begin(prompts) == ""


class Line:
    """Logins of one user, on a clock that the test moves."""

    def __init__(self, rules: PushRules = RULES) -> None:
        self.clock = Clock()
        self.prompts = Prompts(PushLimit(new_turn=lambda: ReactorTurn(self.clock)), rules)

    def begin(self, patience: float = 60) -> Deferred[str]:
        now = self.clock.seconds
        return Deferred.fromCoroutine(self.prompts.begin("alice", now, now() + patience))

    def end(self, status: str = "allow") -> None:
        self.prompts.end("alice", "vpn", status, self.clock.seconds())


def results(waiting: list[Deferred[str]]) -> list[str | None]:
    return [one.result if one.called else None for one in waiting]


def test_the_others_wait_in_line() -> None:
    """Two applications at once are two prompts, one after the other."""
    line = Line()
    waiting = [line.begin() for _ in range(3)]
    assert results(waiting) == ["", None, None]
    line.end()
    assert results(waiting) == ["", "", None]
    line.end("deny")
    assert results(waiting) == ["", "", ""]
    line.end()
    assert results([line.begin()]) == [""]


def test_a_line_has_an_end_and_so_has_its_patience() -> None:
    line = Line()
    waiting = [line.begin() for _ in range(12)]
    assert results(waiting)[9:] == ["push_pending"] * 3
    line.clock.advance(60)
    assert results(waiting) == [""] + ["push_pending"] * 11
    line.end()
    assert results([line.begin()]) == [""]


def test_who_is_spared_is_told_at_once() -> None:
    """Sixty logins with a stolen password: the third denial ends them all."""
    line = Line()
    waiting = [line.begin() for _ in range(9)]
    for _ in range(3):
        line.end("deny")
    assert results(waiting) == [""] * 3 + ["push_paused"] * 6


def test_a_cancelled_place_goes_to_the_next() -> None:
    line = Line()
    waiting = [line.begin() for _ in range(3)]
    waiting[1].addErrback(lambda _: "cancelled")
    waiting[1].cancel()
    line.end()
    assert results(waiting) == ["", "cancelled", ""]


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first to go is whoever was heard of longest ago, but nobody who is spared."""
    monkeypatch.setattr(push_limit, "_MOST_USERS", 100)
    prompts = Prompts(rules=RULES)
    for now in range(3):
        begin(prompts, "paused", now)
        prompts.end("paused", "vpn", "deny", now)
    for number in range(1000):
        begin(prompts, f"user{number}", 10.0)
        prompts.end(f"user{number}", "vpn", "deny", 10.0)
    assert len(prompts.limit) <= 101
    assert begin(prompts, "paused", 11.0) == "push_paused"


# ---- names that nobody has confirmed

FORMS = [
    "alice",
    "corp\\alice",
    "alice@corp.example",
    "\u00e1lice",
    "elsewhere\\alice",
    "corp/alice",
    "alice%corp.example",
]


@pytest.mark.parametrize(("confirmed", "told"), [(False, 1), (True, len(FORMS))])
def test_forms_of_a_name_are_one_telephone(confirmed: bool, told: int) -> None:
    """A11: a RADIUS server takes them all for one account, and a cloud may ring one telephone for all of them.

    What a directory has confirmed is one name; two that differ are two people's.
    """
    limit = PushLimit()
    prompts = Prompts(limit, RULES, "api", confirmed=confirmed)
    begun = [run(prompts.begin(name, lambda: 0.0, 60.0)) for name in FORMS]
    assert begun.count("") == told
    for name, held in zip(FORMS, begun, strict=True):
        if not held:
            prompts.end(name, "vpn", "allow", 1.0)
    assert len(limit) == 0
