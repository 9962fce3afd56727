"""The search for cyclic garbage: seldom, not while thousands wait, and not never."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from authproxy.service.garbage import Garbage


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    done: list[str] = []
    before = gc.get_threshold()
    monkeypatch.setattr(gc, "collect", lambda: done.append("collect"))
    monkeypatch.setattr(gc, "freeze", lambda: done.append("freeze"))
    yield done
    gc.set_threshold(*before)


def test_what_was_loaded_is_searched_once(searches: list[str]) -> None:
    garbage = Garbage(lambda: 10_000)
    garbage.collect()
    assert searches == ["collect", "freeze"]
    assert gc.get_threshold()[2] > 100_000
    garbage.collect()
    assert searches == ["collect", "freeze"]


def test_a_quiet_moment_is_used(searches: list[str]) -> None:
    pending = [0]
    garbage = Garbage(lambda: pending[0])
    garbage.collect()
    garbage.collect()
    pending[0] = 10_000
    garbage.collect()
    pending[0] = 3
    garbage.collect()
    assert searches == ["collect", "freeze", "collect", "collect"]


def test_it_is_not_put_off_for_ever(searches: list[str]) -> None:
    garbage = Garbage(lambda: 10_000)
    for _ in range(1 + 26):
        garbage.collect()
    assert searches == ["collect", "freeze", "collect", "collect"]
