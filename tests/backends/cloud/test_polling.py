"""What is borne of polls, and how long until the next."""

from __future__ import annotations

import pytest

from authproxy.backends.cloud.answers import Refused
from authproxy.backends.cloud.failures import BrokenReply, NoReply, ReplyTimeout, class_of_status
from authproxy.backends.cloud.http1 import Reply
from authproxy.backends.cloud.polling import FIRST_PAUSE, MOST_EXPIRED, MOST_PAUSE, SECONDS_BETWEEN, Polls
from authproxy.pipeline.ports import CloudFailure, FactorDeny, FailureClass


def refused(status: int, code: int = 0) -> Refused:
    return Refused(class_of_status(status), status, code, "no", Reply(status, b""))


def test_a_service_that_holds_is_asked_again_at_once() -> None:
    polls = Polls()
    assert [polls.waiting(0.0), polls.waiting(20.0), polls.waiting(20.0)] == [0.0, 0.0, 0.0]


def test_a_service_that_does_not_is_asked_each_second() -> None:
    polls = Polls()
    assert [polls.waiting(0.0), polls.waiting(0.0), polls.waiting(0.25)] == [0.0, SECONDS_BETWEEN, 0.75]


@pytest.mark.parametrize(
    "failure",
    [
        NoReply("reset"),
        BrokenReply("cut"),
        refused(503),
        refused(429),
        CloudFailure(FailureClass.UNREACHABLE, "no"),
    ],
)
def test_a_poll_that_is_lost(failure: CloudFailure) -> None:
    polls = Polls()
    pauses = [polls.failed(failure) for _ in range(20)]
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert max(pauses) == MOST_PAUSE
    with pytest.raises(CloudFailure) as over:
        polls.over("T1")
    assert over.value is failure
    polls.waiting(1.0)
    assert polls.failed(failure) == FIRST_PAUSE
    polls.waiting(1.0)
    assert polls.over("T1") == FactorDeny("timeout", "Login timed out.", "T1")


def test_a_poll_that_is_held_for_too_long_is_no_loss() -> None:
    polls = Polls()
    assert polls.failed(ReplyTimeout("no reply in time")) == SECONDS_BETWEEN
    assert polls.over("T1").status == "timeout"


@pytest.mark.parametrize(
    "failure",
    [
        refused(401, 40103),
        refused(400, 40001),
        refused(404),
        CloudFailure(FailureClass.PROTOCOL, "not understood"),
        CloudFailure(FailureClass.UNTRUSTED, "certificate"),
        CloudFailure(FailureClass.SKEW, "clock"),
        CloudFailure(FailureClass.INTERNAL, "bug"),
    ],
)
def test_what_asking_again_cannot_mend(failure: CloudFailure) -> None:
    with pytest.raises(CloudFailure) as raised:
        Polls().failed(failure)
    assert raised.value is failure


def test_an_expired_poll_a_few_times() -> None:
    polls = Polls()
    assert [polls.failed(refused(400, 40002)) for _ in range(MOST_EXPIRED)] == [
        SECONDS_BETWEEN
    ] * MOST_EXPIRED
    with pytest.raises(Refused):
        polls.failed(refused(400, 40002))
