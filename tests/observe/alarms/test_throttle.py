"""A storm wakes nobody twice, and the last word of each topic always gets out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from authproxy.observe.alarms.alarm import Alarm, AlarmKind
from authproxy.observe.alarms.throttle import _MOST_TOPICS, MOST, QUIET, WINDOW, Throttle

OPENED, CLOSED = AlarmKind.DOOR_OPENED, AlarmKind.DOOR_CLOSED


def alarm(kind: AlarmKind = OPENED, subject: str = "vpn", text: str = "") -> Alarm:
    return Alarm(kind, subject, text, 0.0)


def test_one_a_minute_of_each_topic() -> None:
    throttle = Throttle()
    assert throttle.admit(alarm(), 0.0) is not None
    assert throttle.admit(alarm(subject="wifi"), 0.0) is not None
    assert throttle.admit(alarm(), 1.0) is None
    assert throttle.held_back == 1
    assert throttle.admit(alarm(subject="mail"), 1.0) is not None


def test_who_was_told_closed_is_told_opened() -> None:
    """A door that flaps: the last that is sent is how it stands."""
    throttle = Throttle()
    assert throttle.admit(alarm(OPENED), 0.0) is not None
    assert throttle.admit(alarm(CLOSED), 1.0) is None
    assert throttle.admit(alarm(OPENED, text="again"), 2.0) is None
    assert throttle.due(QUIET - 1) == []
    (due,) = throttle.due(QUIET)
    assert (due.alarm.kind, due.alarm.text, due.held_back) == (OPENED, "again", 1)
    assert throttle.due(QUIET + 1) == []
    assert throttle.admit(alarm(CLOSED), QUIET + 1) is None
    assert throttle.admit(alarm(CLOSED), 3 * QUIET) is None  # behind one that waits still
    (due,) = throttle.due(3 * QUIET)
    assert due.held_back == 1


def test_so_many_in_all() -> None:
    throttle = Throttle()
    sent = [throttle.admit(alarm(subject=str(number)), 0.0) for number in range(MOST + 5)]
    assert sum(due is not None for due in sent) == MOST
    assert throttle.due(1.0) == []
    assert [due.alarm.subject for due in throttle.due(WINDOW)] == [str(MOST + n) for n in range(5)]


def test_what_is_left_goes_out_at_the_end() -> None:
    throttle = Throttle()
    throttle.admit(alarm(OPENED), 0.0)
    throttle.admit(alarm(CLOSED), 1.0)
    assert [due.alarm.kind for due in throttle.rest()] == [CLOSED]


def test_topics_stay_few() -> None:
    throttle = Throttle()
    for number in range(3 * _MOST_TOPICS):
        throttle.admit(alarm(subject=str(number)), number * 10.0)
    assert len(throttle._topics) <= _MOST_TOPICS + 1


KINDS = st.sampled_from([OPENED, CLOSED])
STEPS = st.lists(st.tuples(KINDS, st.sampled_from("abc"), st.floats(0, 90)), max_size=60)


@given(STEPS)
def test_the_last_word_of_each_topic_gets_out(steps: list[tuple[AlarmKind, str, float]]) -> None:
    """Whatever comes, in whatever gaps; and what was not sent is counted."""
    throttle, now = Throttle(), 0.0
    sent: list[tuple[str, AlarmKind, int]] = []
    last: dict[str, AlarmKind] = {}
    for kind, subject, gap in steps:
        now += gap
        dues = [throttle.admit(alarm(kind, subject), now), *throttle.due(now)]
        sent += [(due.alarm.subject, due.alarm.kind, due.held_back) for due in dues if due is not None]
        last[subject] = kind
    for _ in range(len(steps) + 1):
        now += QUIET
        sent += [(due.alarm.subject, due.alarm.kind, due.held_back) for due in throttle.due(now)]
    assert {subject: kind for subject, kind, _ in sent} == last
    assert len(sent) + sum(held_back for _, _, held_back in sent) == len(steps)
