"""The breaker's table, and who can't move it (A7, F6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authproxy.backends.cloud.breaker import IN_A_ROW, NEXT, WINDOW, Breaker, Event, State
from authproxy.pipeline.fail_mode import OUTAGE
from authproxy.pipeline.ports import CloudFailure, FailureClass

DOWN = CloudFailure(FailureClass.UNREACHABLE, "refused")
BROKEN = CloudFailure(FailureClass.SERVER_ERROR, "HTTP 503")
REFUSALS = [CloudFailure(failure, "no") for failure in FailureClass if failure not in OUTAGE]


def tripped() -> Breaker:
    breaker = Breaker()
    assert [breaker.noted(DOWN, now) for now in range(IN_A_ROW)] == [False, False, True]
    return breaker


def opened() -> Breaker:
    breaker = tripped()
    assert breaker.probed(DOWN, 3)
    return breaker


def test_three_failures_and_a_probe_open_it() -> None:
    breaker = tripped()
    assert breaker.state is State.SUSPECT
    assert breaker.failure is None, "logins still try"
    assert not breaker.noted(DOWN, 3), "one probe is enough"
    assert breaker.probed(BROKEN, 4)
    assert (breaker.state, breaker.failure, breaker.opened_at) == (State.OPEN, BROKEN, 4)


def test_a_probe_that_is_answered_keeps_it_closed() -> None:
    breaker = tripped()
    assert not breaker.probed(None, 3)
    assert breaker.state is State.CLOSED
    assert [breaker.noted(DOWN, now) for now in range(IN_A_ROW)] == [False, False, True], "counted anew"


def test_success_breaks_the_row() -> None:
    breaker = Breaker()
    for now in range(9):
        assert not breaker.noted(DOWN if now % 3 else None, now)
    assert breaker.state is State.CLOSED


def test_it_closes_on_an_answer() -> None:
    breaker = opened()
    assert not breaker.probed(BROKEN, 20)
    assert (breaker.state, breaker.failure, breaker.opened_at) == (State.OPEN, BROKEN, 3)
    assert breaker.probed(None, 40)
    assert (breaker.state, breaker.failure, breaker.opened_at) == (State.CLOSED, None, None)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda failure: failure.failure.value)
def test_a_refusal_is_an_answer(refusal: CloudFailure) -> None:
    """Whoever logs in has to meet it, so that it is told by its own name."""
    breaker = opened()
    assert breaker.probed(refusal, 20)
    assert breaker.state is State.CLOSED
    breaker = tripped()
    assert not breaker.probed(refusal, 4)
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda failure: failure.failure.value)
def test_refusals_never_trip_it(refusal: CloudFailure) -> None:
    breaker = Breaker()
    assert not any(breaker.noted(refusal, now) for now in range(100))


def test_a_share_of_failures_trips_it_too() -> None:
    breaker = Breaker()
    outcomes = [None, DOWN, DOWN] * 20
    assert any(breaker.noted(outcome, at * 0.1) for at, outcome in enumerate(outcomes))


def test_old_outcomes_do_not_count() -> None:
    breaker = Breaker()
    for at in range(20):
        breaker.noted(DOWN if at % 2 else None, at * 0.01)
    late = WINDOW + 1
    assert not breaker.noted(None, late)
    assert not breaker.noted(DOWN, late + 1)


def test_every_state_knows_what_a_probe_says() -> None:
    for state in (State.SUSPECT, State.OPEN):
        for event in (Event.PROBE_ANSWERED, Event.PROBE_MET_OUTAGE):
            assert (state, event) in NEXT


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("noted"), st.sampled_from([None, DOWN, BROKEN, *REFUSALS])),
            st.tuples(st.just("probed"), st.sampled_from([None, DOWN, BROKEN, *REFUSALS])),
        ),
        max_size=60,
    )
)
def test_only_a_probe_opens_and_only_a_probe_closes(history: list[tuple[str, CloudFailure | None]]) -> None:
    breaker = Breaker()
    for now, (what, failure) in enumerate(history):
        before = breaker.state
        if what == "noted":
            asked = breaker.noted(failure, now)
            assert (before, breaker.state) in {(before, before), (State.CLOSED, State.SUSPECT)}
            assert asked is (before is not breaker.state)
            if asked:
                assert failure in (DOWN, BROKEN)
        else:
            changed = breaker.probed(failure, now)
            assert changed is ((before is State.OPEN) is not (breaker.state is State.OPEN))
        assert (breaker.failure is None) is (breaker.state is not State.OPEN)
        if breaker.state is State.OPEN and before is not State.OPEN:
            assert failure in (DOWN, BROKEN)


def test_what_is_older_than_the_window_is_not_kept() -> None:
    """A17: with nothing but successes, too."""
    breaker = Breaker()
    for second in range(10_000):
        breaker.noted(None, float(second))
    assert len(breaker._counted) <= WINDOW + 1
