"""S1: what other code says of its own accord lands in our log, without values."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import Logger, globalLogPublisher
from twisted.python import log as old_log

from authproxy.observe.bridge import take_over, twisted_observer
from authproxy.observe.failures import describe
from tests.observe.fakes import Remembered
from tests.observe.test_failures import CANARY


@pytest.fixture
def log() -> Iterator[Remembered]:
    remembered = Remembered()
    observer = twisted_observer(remembered)
    kept = (warnings.showwarning, sys.unraisablehook, threading.excepthook, logging.getLogger().handlers)
    globalLogPublisher.addObserver(observer)
    take_over(remembered)
    yield remembered
    globalLogPublisher.removeObserver(observer)
    warnings.showwarning, sys.unraisablehook, threading.excepthook, logging.getLogger().handlers = kept


def test_an_unhandled_failure(log: Remembered) -> None:
    def login(password: str) -> None:
        raise ValueError(f"bad password '{password}'")

    answered: Deferred[str] = Deferred()
    answered.addCallback(login)
    answered.callback(CANARY)
    del answered
    gc.collect()
    ((level, event, fields),) = [found for found in log.events if found[0] == "failure"]
    assert (level, event) == ("failure", "twisted.failed")
    error = fields.pop("error")
    assert isinstance(error, ValueError)
    told = describe(error)
    assert "test_bridge.py" in told["traceback"]
    assert "login" in told["traceback"]
    assert CANARY not in f"{fields}{told}"


def test_what_the_reactor_caught_has_its_traceback(log: Remembered) -> None:
    """Old-style, and the only word of a bug in whatever the reactor calls."""
    try:
        _ = {}[CANARY]
    except KeyError:
        old_log.err()
    ((level, event, fields),) = log.events
    assert (level, event) == ("failure", "twisted.failed")
    told = describe(fields.pop("error"))
    assert "test_what_the_reactor_caught_has_its_traceback" in told["traceback"]
    assert CANARY not in f"{fields}{told}"


def test_ordinary_events_show_their_format_only(log: Remembered) -> None:
    logger = Logger(namespace="some.protocol")
    logger.info("got {line}", line=CANARY)
    logger.warn("odd {line}", line=CANARY)
    logger.error("bad {line}", line=CANARY)
    old_log.msg(f"old style '{CANARY}'")
    said = {"source": "some.protocol"}
    assert log.events[:3] == [
        ("debug", "twisted.reported", {**said, "said": "got {line}"}),
        ("warn", "twisted.reported", {**said, "said": "odd {line}"}),
        ("error", "twisted.reported", {**said, "said": "bad {line}"}),
    ]
    assert CANARY not in str(log.events)


def test_python_and_libraries(log: Remembered) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("old thing", DeprecationWarning, "x.py", 3)
    logging.getLogger("somebody").warning("token %s", CANARY)
    logging.getLogger("somebody").info("token %s", CANARY)
    assert log.of("python.warned") == [
        {"category": "DeprecationWarning", "problem": "old thing", "at": "x.py:3"}
    ]
    assert log.of("library.reported") == [{"source": "somebody", "said": "token %s"}]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_by_an_error(log: Remembered) -> None:
    def work() -> None:
        raise ValueError

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    (fields,) = log.of("thread.failed")
    assert fields["thread"] == "worker"


def test_an_error_in_a_destructor(log: Remembered) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError

    Broken()
    gc.collect()
    assert isinstance(log.of("python.failed")[0]["error"], ValueError)
