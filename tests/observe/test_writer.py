"""A14: a full, blocked or gone outlet stops nobody, loses what doesn't fit, and says so when it works again."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable

import pytest

from authproxy.observe import writer as writer_module
from authproxy.observe.writer import LineWriter, OutletFailed
from tests.observe.fakes import Paper, Told

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_RETRY", 0.01)


@pytest.fixture
def made() -> Callable[..., LineWriter]:
    def make(paper: Paper, told: Told | None = None, **changes: float) -> LineWriter:
        return LineWriter(paper, name="file", told=told or Told(), gap=gap, **changes)

    return make


def gap(count: int, problem: str) -> bytes:
    return b"lost %d: %s" % (count, problem.encode())


Make = Callable[..., LineWriter]


def test_lines_go_out_in_order(made: Make) -> None:
    paper = Paper(takes=7)
    writer = made(paper)
    expected = [b"%d" % number for number in range(1000)]
    for line in expected:
        writer.put(line)
    assert writer.flush()
    assert paper.lines == expected
    writer.close()
    assert paper.closed


def test_a_line_goes_out_by_itself(made: Make) -> None:
    """Whether the thread still looks for lines, or has gone to sleep because none came."""
    paper = Paper()
    writer = made(paper, linger=0.01)
    for number, pause in enumerate([0, 0.005, 0.02, 0.25, 0, 0.25, 0.1]):
        time.sleep(pause)
        writer.put(b"%d" % number)
        end = time.monotonic() + 5
        while len(paper.lines) <= number and time.monotonic() < end:
            time.sleep(0.001)
    assert paper.lines == [b"%d" % number for number in range(7)]
    writer.close()


def test_a_full_disk_loses_nothing_that_fits(made: Make) -> None:
    paper, told = Paper(problem=FULL), Told()
    writer = made(paper, told, capacity=3)
    for number in range(3):
        writer.put(b"%d" % number)
    assert told.failed.wait(5)
    for number in range(3, 10):
        writer.put(b"%d" % number)
    assert writer.problem == "No space left on device"
    lost = writer.lost
    assert lost >= 4  # what is just being tried has left its place
    paper.problem = None
    assert told.recovered.wait(5)
    kept = [b"%d" % number for number in range(3)]
    assert paper.lines[:3] == kept
    assert len(paper.lines) == 10 - lost + 1
    assert paper.lines[-1] == b"lost %d: No space left on device" % lost
    assert told.said == ["file failed: No space left on device", f"file recovered, lost {lost}"]
    writer.put(b"10")
    assert writer.flush()
    assert paper.lines[-1] == b"10"
    assert writer.problem == ""
    writer.close()


def test_a_stuck_outlet_keeps_nobody_waiting(made: Make) -> None:
    paper, told = Paper(), Told()
    writer = made(paper, told, capacity=100)
    paper.free.clear()
    writer.put(b"0")
    assert paper.tried.wait(5)
    began = time.monotonic()
    for number in range(1000):
        writer.put(b"%d" % number)
    with pytest.raises(OutletFailed, match="no answer"):
        writer.put_now(b"now", 0.05)
    for _ in range(100):  # only the first waits
        with pytest.raises(OutletFailed, match="no answer"):
            writer.put_now(b"now", 5)
    assert time.monotonic() - began < 5
    assert writer.lost == 900
    paper.free.set()
    assert told.recovered.wait(5)
    assert b"now" not in paper.lines
    assert paper.lines[-1] == b"lost 900: no answer in 0.05 s"
    writer.put_now(b"after", 5)
    assert paper.lines[-1] == b"after"
    writer.close()


def test_what_waits_is_bounded_in_octets_too(made: Make) -> None:
    paper, told = Paper(problem=FULL), Told()
    writer = made(paper, told, octets=1000)
    for _ in range(100):
        writer.put(b"x" * 100)
    assert writer.lost == 90
    assert told.failed.wait(5)
    paper.problem = None
    assert told.recovered.wait(5)
    for _ in range(10):
        writer.put(b"y" * 100)
    assert writer.flush()
    assert writer.lost == 90
    writer.close()


def test_put_now_is_out_when_it_returns(made: Make) -> None:
    paper = Paper()
    writer = made(paper)
    for number in range(100):
        writer.put(b"before")
        writer.put_now(b"%d" % number, 5)
        assert paper.lines[-1] == b"%d" % number
    writer.close()


def test_a_line_that_failed_never_goes_out(made: Make) -> None:
    """F8: who was told that it isn't recorded was not let in; the record mustn't say otherwise later."""
    paper, told = Paper(problem=FULL), Told()
    writer = made(paper, told)
    writer.put(b"kept")
    with pytest.raises(OutletFailed, match="No space"):
        writer.put_now(b"let in", 5)
    paper.problem = None
    assert told.recovered.wait(5)
    assert writer.flush()
    assert paper.lines == [b"kept"]
    writer.close()


def test_closing_a_failing_outlet_ends(made: Make) -> None:
    paper, told = Paper(problem=FULL), Told()
    writer = made(paper, told)
    writer.put(b"0")
    assert told.failed.wait(5)
    writer.close(5)
    assert not writer._thread.is_alive()
    assert writer.lost == 1


def test_closing_a_stuck_outlet_ends(made: Make) -> None:
    paper = Paper()
    writer = made(paper)
    paper.free.clear()
    writer.put(b"0")
    assert paper.tried.wait(5)
    writer.close(0.01)
    paper.free.set()
    writer._thread.join(5)
    assert paper.lines == [b"0"]


def test_many_threads_write(made: Make) -> None:
    paper = Paper()
    writer = made(paper, capacity=100_000)
    lock = threading.Lock()  # as the log has one

    def write(name: int) -> None:
        for number in range(500):
            with lock:
                writer.put(b"%d %d" % (name, number))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush()
    assert len(paper.lines) == 4000
    for name in range(8):
        own = [line for line in paper.lines if line.startswith(b"%d " % name)]
        assert own == [b"%d %d" % (name, number) for number in range(500)]
    writer.close()


@pytest.mark.parametrize("problem", [MemoryError(), RuntimeError("a bug")])
def test_the_thread_outlives_what_is_no_outlet_s_fault(made: Make, problem: Exception) -> None:
    """A14: no memory for a moment, or a bug of ours; a log that ended there would never say so."""
    paper, told = Paper(problem=problem), Told()
    writer = made(paper, told)
    writer.put(b"first")
    assert told.failed.wait(5)
    with pytest.raises(OutletFailed):
        writer.put_now(b"an open door", 5)
    paper.problem = None
    assert told.recovered.wait(5)
    writer.put(b"second")
    assert writer.flush()
    assert paper.lines == [b"first", b"second"]
    assert told.said[0] == f"file failed: {type(problem).__name__}"
    writer.close()


def test_the_thread_outlives_whoever_is_told(made: Make) -> None:
    """There may be no memory for saying so, either."""

    class Deaf(Told):
        def outlet_failed(self, name: str, problem: str) -> None:
            super().outlet_failed(name, problem)
            raise MemoryError

    paper, told = Paper(problem=FULL), Deaf()
    writer = made(paper, told)
    writer.put(b"first")
    assert told.failed.wait(5)
    paper.problem = None
    assert writer.flush() or told.recovered.wait(5)
    writer.close()
    assert paper.lines == [b"first"]
