"""A coroutine goes on when what it waits for has come or failed, and whoever runs it is told how it broke."""

from __future__ import annotations

import gc
import weakref

import pytest
from twisted.internet.defer import CancelledError, Deferred

from authproxy.listeners.work import run


class Heard:
    def __init__(self) -> None:
        self.said: list[object] = []
        self.failures: list[BaseException] = []

    async def wait_for(self, *each: Deferred[str]) -> None:
        for waited in each:
            self.said.append(await waited)


def test_what_has_come_already_is_not_waited_for() -> None:
    heard, first, second = Heard(), Deferred[str](), Deferred[str]()
    first.callback("one")
    run(heard.wait_for(first, second), heard.failures.append)
    assert heard.said == ["one"]
    second.callback("two")
    assert heard.said == ["one", "two"]
    assert not heard.failures


def test_a_failure_is_raised_where_it_was_waited_for() -> None:
    heard, waited, after = Heard(), Deferred[str](), Deferred[str]()

    async def work() -> None:
        with pytest.raises(OSError, match="gone"):
            await waited
        await heard.wait_for(after)

    run(work(), heard.failures.append)
    waited.errback(OSError("gone"))
    after.callback("went on")
    assert heard.said == ["went on"]
    assert not heard.failures


@pytest.mark.parametrize("at_once", [True, False])
def test_what_it_raises_is_told_once(at_once: bool) -> None:
    heard, waited = Heard(), Deferred[str]()

    async def work() -> None:
        if not at_once:
            await waited
        raise ValueError("a bug")

    run(work(), heard.failures.append)
    waited.callback("go")
    (told,) = heard.failures
    assert isinstance(told, ValueError)


def test_what_is_waited_for_is_cancelled() -> None:
    heard, waited = Heard(), Deferred[str]()
    run(heard.wait_for(waited), heard.failures.append)
    waited.cancel()
    (told,) = heard.failures
    assert isinstance(told, CancelledError)


def test_nothing_is_left_to_the_garbage_collector() -> None:
    heard, waited = Heard(), Deferred[str]()
    heard_no_more = weakref.ref(heard)
    gc.disable()
    try:
        run(heard.wait_for(waited), heard.failures.append)
        del heard
        waited.callback("came")
        assert heard_no_more() is None
    finally:
        gc.enable()
