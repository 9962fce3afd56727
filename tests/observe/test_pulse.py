"""A16: beats while the loop turns, knows how late it was, and survives a bug in one beat."""

from __future__ import annotations

from twisted.internet.task import Clock

from authproxy.observe.pulse import Beat, Pulse
from tests.observe.fakes import Remembered


def test_beats_and_lag() -> None:
    clock, log = Clock(), Remembered()
    lags: list[float] = []
    fast: list[float] = []
    slow: list[float] = []

    def broken() -> None:
        raise ValueError

    pulse = Pulse(
        clock,
        beats=[
            Beat(60, broken),
            Beat(0.5, lambda: fast.append(clock.seconds())),
            Beat(5, lambda: slow.append(clock.seconds())),
        ],
        lag=lags.append,
        log=log,
    )
    pulse.start()
    clock.pump([0.1] * 100)
    assert len(fast) in (20, 21)
    assert len(slow) in (2, 3)
    assert max(lags) < 0.001
    assert len(log.of("pulse.failed")) == 1
    clock.advance(2.1)  # the loop was blocked
    assert round(lags[-1], 3) == 2.0
    assert len(log.of("loop.late")) == 1
    pulse.stop()
    pulse.stop()
    assert clock.getDelayedCalls() == []


def test_the_first_interval_is_a_whole_one() -> None:
    """Whatever the clock said at the start: once at once, then an interval later."""
    clock = Clock()
    clock.advance(100_000.05)
    beaten: list[float] = []
    pulse = Pulse(
        clock,
        beats=[Beat(3600, lambda: beaten.append(clock.seconds()))],
        lag=lambda _: None,
        log=Remembered(),
    )
    pulse.start()
    clock.pump([0.5] * 7190)
    assert len(beaten) == 1
    clock.pump([0.5] * 20)
    assert len(beaten) == 2
    pulse.stop()
