"""What a client's repetitions say of its patience, and how little is kept of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.pipeline.patience import ClientPatience, GaveUp, Patiences, StillThere, Wait


def wait(*asked: float) -> Wait:
    made = Wait(asked[0], asked[0])
    for at in asked[1:]:
        made.again(at)
    return made


@pytest.mark.parametrize(
    ("asked", "answered", "seen"),
    [
        ([0], 40, None),
        ([0, 5, 10], 12, StillThere(12, 5)),
        ([0, 5, 10], 40, GaveUp(15, 5)),
        ([0, 2, 6, 14], 30, StillThere(30, 8)),  # each gap twice the one before
        ([0, 2, 6, 14], 40, GaveUp(22, 8)),
        ([0, 3], 30, GaveUp(6, 3)),
    ],
)
def test_one_login(asked: list[float], answered: float, seen: object) -> None:
    assert wait(*asked).answered(answered) == seen


@given(
    gap=st.floats(0.5, 20),
    tries=st.integers(2, 10),
    factor=st.sampled_from([1.0, 2.0]),
    user=st.floats(0.1, 300),
)
def test_a_client_of_any_settings(gap: float, tries: int, factor: float, user: float) -> None:
    """Whatever it is set to: who is said to have given up had done so, and not long before or after it is said to."""
    asked, at, pause = [], 0.0, gap
    for _ in range(tries):
        asked.append(at)
        at += pause
        pause *= factor
    gone = at
    heard = [one for one in asked if one <= user]
    match wait(*heard).answered(user):
        case GaveUp(after, _):
            assert user > gone or len(heard) < tries
            if len(heard) == tries:
                assert 0.5 * gone <= after <= 1.01 * gone
        case StillThere(waited, _):
            assert waited == user
            assert user <= gone * 3.5 + 2
        case None:
            assert len(heard) == 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.floats(0, 100)), max_size=60)
)
def test_nothing_is_left_behind(steps: list[tuple[int, int, bool, float]]) -> None:
    patiences, pending, now = Patiences(), set[tuple[int, int]](), 0.0
    for client, login, asks, later in steps:
        now += later
        if asks:
            patiences.asked(str(client), login, now)
            pending.add((client, login))
        else:
            patiences.answered(str(client), login, now)
            pending.discard((client, login))
        assert len(patiences) == len(pending)
    for report in patiences.report():
        assert report.gap is not None
        assert report.gap >= 0


def log_in(
    patiences: Patiences, at: float, asks: int, gap: float, answered: float, client: str = "asa"
) -> None:
    for number in range(asks):
        patiences.asked(client, "alice", at + number * gap)
    patiences.answered(client, "alice", at + answered)


def test_who_gives_up_is_told_of() -> None:
    """Not at the first time, which may have been the user; then once an hour."""
    told: list[ClientPatience] = []
    patiences = Patiences(told.append)
    for number in range(10):
        log_in(patiences, number * 100.0, asks=3, gap=5, answered=60)
        assert len(told) == (number >= 2)
    assert told == [ClientPatience("asa", 5, 15, 0)]
    log_in(patiences, 5000, asks=3, gap=5, answered=60)
    assert len(told) == 2


def test_who_waits_long_enough_is_not() -> None:
    told: list[ClientPatience] = []
    patiences = Patiences(told.append)
    for number in range(10):
        log_in(patiences, number * 200.0, asks=6, gap=10, answered=100)
    assert told == []
    assert patiences.report() == [ClientPatience("asa", 10, 60, 0)]


def test_a_client_that_was_set_to_wait_longer() -> None:
    patiences = Patiences()
    for number in range(5):
        log_in(patiences, number * 100.0, asks=3, gap=5, answered=60)
    assert patiences.report()[0].gives_up == 15
    log_in(patiences, 1000, asks=9, gap=5, answered=42)
    assert patiences.report() == [ClientPatience("asa", 5, None, 42)]


def test_clients_are_few() -> None:
    patiences = Patiences()
    for number in range(5000):
        log_in(patiences, number * 100.0, asks=2, gap=1, answered=1.5, client=f"client{number}")
    assert len(patiences.report()) == 4096
