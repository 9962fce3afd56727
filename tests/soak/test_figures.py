"""What the soak says grows: what is in use, not what the allocators keep; and the figures come from them."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import pytest

from tests.soak.__main__ import grows
from tests.soak.figures import Sample
from tests.soak.inside import of_malloc, of_python

LOGINS = 5 * 3600  # an hour


def an_hour(
    live: Callable[[float], float], rss: Callable[[float], float] = lambda hours: 80.0
) -> list[Sample]:
    """A sample a minute. `live`, `rss`: MB after so many hours."""
    return [
        Sample(60.0 * minute, live(minute / 60), rss(minute / 60), descriptors=32, threads=5, cpu=minute)
        for minute in range(1, 61)
    ]


def noisy(hours: float) -> float:
    """What a fault and the garbage of five minutes make of it; MB."""
    minute = round(hours * 60)
    return 0.06 * (minute % 5) + 0.3 * (minute % 7 == 0)


@pytest.mark.parametrize("octets", [40, 80, 1000])
def test_a_leak_of_so_many_octets_a_login(octets: int) -> None:
    (told,) = grows(an_hour(lambda hours: 48 + octets * LOGINS * hours / 1e6 + noisy(hours)))
    assert told.startswith("live grows by ")


def test_a_leak_of_a_configuration_with_each_reload() -> None:
    """One a minute, 120 KB each."""
    assert grows(an_hour(lambda hours: 48 + 0.12 * 60 * hours + noisy(hours)))


def test_tables_that_fill() -> None:
    assert grows(an_hour(lambda hours: 49.5 - 1.5 * 0.5 ** (hours * 60 / 4) + noisy(hours))) == []


def test_what_the_allocators_keep() -> None:
    assert grows(an_hour(lambda hours: 49 + noisy(hours), lambda hours: 78 + hours)) == []


def test_a_short_run_says_nothing() -> None:
    assert grows(an_hour(lambda hours: 48 + 100 * hours)[:15]) == []


def test_octets_of_python() -> None:
    libc = ctypes.CDLL(None)
    gc.collect()
    before = of_python(libc)
    kept = [object() for _ in range(100_000)]
    assert of_python(libc) - before > 15 * len(kept)  # 16 each; other tests' things may go meanwhile
    del kept
    assert of_python(libc) - before < 400_000


def test_octets_of_malloc() -> None:
    libc = ctypes.CDLL(None)
    gc.collect()
    before = of_malloc(libc)
    kept = [bytearray(size) for size in (5_000_000, *[2_000] * 1_000)]
    assert of_malloc(libc) - before > 0.9 * sum(map(len, kept))
    del kept
    assert of_malloc(libc) - before < 1_000_000
