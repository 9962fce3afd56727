"""Wrong passwords from one station or client, whoever's they are (A10)."""

from __future__ import annotations

import pytest

from authproxy.pipeline import failure_limit
from authproxy.pipeline.authenticate import Pipeline
from authproxy.pipeline.decision import Reason, Reject
from authproxy.pipeline.fail_mode import FailMode
from authproxy.pipeline.failure_limit import FailureLimit, FailureRules, Failures
from authproxy.pipeline.policy import Policy
from authproxy.pipeline.ports import PrimaryUnavailable, RefusalKind, Refused
from authproxy.pipeline.second_step import SecondStep

from .fakes import Cloud, Directory, Door, Record, challenges, request, run

RULES = FailureRules(station=10, client=0, window=100)


class Desk:
    def __init__(self, rules: FailureRules = RULES) -> None:
        self.now = 0.0
        self.alerts: list[tuple[str, str, str]] = []
        self.limit = FailureLimit(lambda *told: self.alerts.append(told))
        self.directory, self.record = Directory(), Record()
        policy = Policy(FailMode.SECURE)
        clock = lambda: self.now  # noqa: E731
        second = SecondStep(policy, Cloud(), Door(), challenges(), clock)
        failures = Failures(self.limit, rules)
        self.pipeline = Pipeline(policy, self.directory, second, self.record, clock, failures=failures)

    def log_in(
        self, password: bytes = b"wrong", station: bytes = b"192.0.2.1", user: str = "alice"
    ) -> Reason:
        made = request(password, user, calling_station=station)
        return run(self.pipeline.authenticate(made)).reason


def test_one_password_at_a_thousand_users() -> None:
    desk = Desk()
    reasons = [desk.log_in(user=f"user{number}") for number in range(1000)]
    assert reasons == [Reason.PRIMARY_REJECTED] * 10 + [Reason.RATE_LIMITED] * 990
    assert len(desk.directory.asked) == 10
    assert desk.record.decisions[-1][1].cause == "station_failures"
    assert desk.alerts == [("station", "192.0.2.1", "vpn")]


def test_other_stations_go_on() -> None:
    desk = Desk()
    for _ in range(20):
        desk.log_in()
    assert desk.log_in(b"right") is Reason.RATE_LIMITED
    assert desk.log_in(b"right", b"192.0.2.2") is Reason.BOTH_FACTORS
    assert desk.log_in(b"right", b"") is Reason.BOTH_FACTORS


def test_right_passwords_are_never_counted() -> None:
    desk = Desk(FailureRules(station=10, client=10, window=100))
    assert {desk.log_in(b"right") for _ in range(1000)} == {Reason.BOTH_FACTORS}
    assert len(desk.limit) == 0


def test_it_fills_again() -> None:
    desk = Desk()
    for _ in range(10):
        desk.log_in()
    desk.now = 9
    assert desk.log_in(b"right") is Reason.RATE_LIMITED
    desk.now = 10
    assert desk.log_in(b"right") is Reason.BOTH_FACTORS
    assert desk.log_in() is Reason.PRIMARY_REJECTED
    assert desk.log_in() is Reason.RATE_LIMITED


def test_guesses_that_were_on_their_way_are_a_debt() -> None:
    desk = Desk()
    failures = Failures(desk.limit, RULES)
    asked = request(calling_station=b"192.0.2.1")
    for _ in range(500):
        failures.failed(asked, 0.0)
    assert failures.refuses(asked, 1000.0) == "station_failures"
    assert failures.refuses(asked, 1010.0) == ""  # ten times the bucket is the most


def test_by_client_where_asked_for() -> None:
    desk = Desk(FailureRules(station=0, client=5, window=100))
    reasons = [desk.log_in(station=f"192.0.2.{number}".encode()) for number in range(10)]
    assert reasons == [Reason.PRIMARY_REJECTED] * 5 + [Reason.RATE_LIMITED] * 5
    assert desk.alerts == [("client", "vpn/asa", "vpn")]


def test_switched_off() -> None:
    desk = Desk(FailureRules())
    assert {desk.log_in() for _ in range(100)} == {Reason.PRIMARY_REJECTED}
    assert len(desk.limit) == 0


@pytest.mark.parametrize(
    "answer", [PrimaryUnavailable("away"), Refused("not_in_group", RefusalKind.NOT_IN_GROUP)]
)
def test_what_is_no_wrong_password(answer: PrimaryUnavailable | Refused) -> None:
    desk = Desk()
    desk.directory.answer = answer
    for _ in range(20):
        desk.log_in(b"right")
    assert len(desk.directory.asked) == 20


def test_a_primary_that_holds_back_is_a_limit_too() -> None:
    desk = Desk()
    desk.directory.answer = Refused("too_many_failures", RefusalKind.RATE_LIMITED)
    assert run(desk.pipeline.authenticate(request())) == Reject(Reason.RATE_LIMITED)
    assert desk.record.decisions[-1][1].cause == "too_many_failures"


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_limit, "_MOST_BUCKETS", 50)
    desk = Desk()
    for number in range(1000):
        desk.log_in(station=f"station {number}".encode())
    assert len(desk.limit) == 50
