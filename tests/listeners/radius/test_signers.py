"""R19's report: who can be required to sign, and what a stranger's packet can do to it (keep it from saying so)."""

from __future__ import annotations

import pytest

from authproxy.listeners.radius.clients import RequireMessageAuthenticator
from authproxy.listeners.radius.signers import LONG_ENOUGH, Advice, Signers

YES, AUTO, NO = (
    RequireMessageAuthenticator.YES,
    RequireMessageAuthenticator.AUTO,
    RequireMessageAuthenticator.NO,
)


class Time:
    now = 1_738_324_800.0

    def __call__(self) -> float:
        return self.now


def test_a_week_of_signed_requests_is_enough() -> None:
    clock = Time()
    signers = Signers(wall_clock=clock)
    assert signers.advice("asa", AUTO) is Advice.UNSEEN
    assert signers.advice("asa", YES) is Advice.REQUIRED
    signers.unsigned("asa")
    assert signers.advice("asa", NO) is Advice.UNSAFE
    clock.now += 10
    signers.signed("asa")
    assert signers.advice("asa", NO) is Advice.WAIT
    clock.now += LONG_ENOUGH
    signers.signed("asa")
    assert signers.advice("asa", NO) is Advice.SAFE
    signers.unsigned("asa")
    assert signers.advice("asa", NO) is Advice.UNSAFE
    assert (signers.of("asa").signed_count, signers.of("asa").unsigned_count) == (2, 2)
    assert signers.advice("forti", NO) is Advice.UNSEEN


def test_it_lasts() -> None:
    clock = Time()
    before = Signers(wall_clock=clock)
    before.unsigned("asa")
    clock.now += 5
    before.signed("asa")
    assert (before.changed, before.turned) == (True, True)
    state = before.state()
    assert (before.changed, before.turned) == (False, False)
    after = Signers(state, clock)
    assert after.of("asa").signed_since == clock.now
    assert after.of("asa").unsigned_at == clock.now - 5
    assert after.state() == state
    after.signed("asa")
    assert (after.changed, after.turned) == (True, False)  # nothing that is urgent


@pytest.mark.parametrize("known", [{"a": {}}, {"a": 3}, {"a": {"signed_at": "x"}}, [1], {"a": None}])
def test_another_file(known: object) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Signers(known)  # type: ignore[arg-type]
