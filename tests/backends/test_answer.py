"""One wait: what came arrives once, with whoever runs the coroutine, ours or Twisted."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from authproxy.backends.answer import Answer
from authproxy.listeners.work import run

Told = list[Any]


async def _wait(answer: Answer[str], told: Told) -> None:
    try:
        told.append(await answer)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test wants it
        told.append(error)


def _run(answer: Answer[str], told: Told) -> None:
    run(_wait(answer, told), told.append)


def _by_twisted(answer: Answer[str], told: Told) -> None:
    Deferred.fromCoroutine(_wait(answer, told))


RUNNERS = pytest.mark.parametrize("waits", [_run, _by_twisted])
Waits = Callable[[Answer[str], Told], None]


@RUNNERS
def test_what_comes(waits: Waits) -> None:
    told: Told = []
    answer: Answer[str] = Answer()
    waits(answer, told)
    assert (told, answer.called) == ([], False)
    answer.callback("hello")
    assert (told, answer.called) == (["hello"], True)


@RUNNERS
def test_what_is_there_already(waits: Waits) -> None:
    told: Told = []
    answer: Answer[str] = Answer()
    answer.callback("hello")
    waits(answer, told)
    assert told == ["hello"]


@RUNNERS
@pytest.mark.parametrize("before", [False, True])
def test_what_fails(waits: Waits, before: bool) -> None:
    told: Told = []
    answer: Answer[str] = Answer()
    problem = OSError("gone")
    if before:
        answer.errback(problem)
        waits(answer, told)
    else:
        waits(answer, told)
        answer.errback(problem)
    assert told == [problem]


@RUNNERS
def test_cancelled(waits: Waits) -> None:
    told: Told = []
    given_up: Told = []
    answer: Answer[str] = Answer(lambda: given_up.append(True))
    waits(answer, told)
    answer.cancel()
    answer.cancel()
    assert given_up == [True]
    assert [type(each) for each in told] == [CancelledError]


@RUNNERS
def test_whoever_is_cancelled_may_answer_still(waits: Waits) -> None:
    told: Told = []
    answer: Answer[str] = Answer(lambda: answer.callback("late"))
    waits(answer, told)
    answer.cancel()
    assert told == ["late"]


def test_cancelled_by_whoever_runs_it_all() -> None:
    told: Told = []
    given_up: Told = []
    answer: Answer[str] = Answer(lambda: given_up.append(True))
    running = Deferred.fromCoroutine(_wait(answer, told))
    running.cancel()
    assert given_up == [True]
    assert [type(each) for each in told] == [CancelledError]


def test_after_another_wait() -> None:
    first: Deferred[str] = Deferred()
    answer: Answer[str] = Answer()
    told: Told = []

    async def both() -> str:
        return await first + await answer

    Deferred.fromCoroutine(both()).addBoth(told.append)
    first.callback("hello ")
    answer.callback("world")
    assert told == ["hello world"]


@pytest.mark.parametrize("again", [lambda it: it.callback("b"), lambda it: it.errback(OSError())])
def test_once_only(again: Callable[[Answer[str]], None]) -> None:
    told: Told = []
    answer: Answer[str] = Answer()
    _run(answer, told)
    answer.callback("a")
    with pytest.raises(RuntimeError):
        again(answer)
    assert told == ["a"]


def test_whoever_runs_it_gets_a_failure() -> None:
    told: Told = []
    answer: Answer[str] = Answer()
    answer.addBoth(told.append)
    answer.errback(OSError("gone"))
    assert isinstance(told[0], Failure)


def test_nothing_is_left_for_the_garbage_collector() -> None:
    class Owner:
        def __init__(self) -> None:
            self.answer: Answer[str] = Answer(self.close)

        def close(self) -> None: ...

    gc.disable()
    try:
        owner = Owner()
        gone = weakref.ref(owner)
        _run(owner.answer, [])
        owner.answer.callback("hello")
        del owner
        assert gone() is None
    finally:
        gc.enable()
