"""Processes the bench starts: pinned to a processor, measured from /proc, ended with the bench."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def processors() -> tuple[int, int]:
    """One for the system under test, one for everything around it. The same when there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


UNDER_TEST, AROUND_IT = processors()


def _prepare(cpu: int, raise_files: bool) -> Callable[[], None]:
    """What the child does before it becomes the program."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # nothing outlives the bench
        os.sched_setaffinity(0, {cpu})
        if raise_files:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return prepare


class Process:
    """A program in the background. Its output goes to a file."""

    def __init__(
        self,
        command: Sequence[object],
        *,
        cpu: int,
        output: Path,
        raise_files: bool = True,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """`raise_files` False: the soft limit of open files stays what a daemon usually gets."""
        self.name = output.stem
        self.output = output
        self._file = output.open("wb")
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            preexec_fn=_prepare(cpu, raise_files),  # noqa: PLW1509 - system calls only, no locks
        )
        self.pid = self._process.pid

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def expect_alive(self) -> None:
        """Raises RuntimeError with what the program said last."""
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"{self.name} ended with {code}:\n{self.said()[-3000:]}")

    def cpu_seconds(self) -> float:
        """User and system time so far, of the process and its children."""
        return sum(_cpu_ticks(pid) for pid in self._family()) / _TICKS

    def rss_kib(self) -> int:
        return sum(_status(pid, "VmRSS") for pid in self._family())

    def open_files(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._family())

    def _family(self) -> Iterator[int]:
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    children = Path(f"/proc/{pid}/task/{task}/children").read_text()
                    waiting += [int(child) for child in children.split()]

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def run(command: Sequence[object], *, cpu: int = AROUND_IT, timeout: float = 300) -> str:
    """A program in the foreground; returns what it printed. Raises RuntimeError when it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        preexec_fn=_prepare(cpu, True),
    )
    if done.returncode:
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}: {done.stderr[-3000:]}{done.stdout[-500:]}"
        )
    return done.stdout


def wait_for(
    what: str, holds: Callable[[], bool], process: Process | None = None, seconds: float = 30
) -> None:
    """Poll until it holds. Raises RuntimeError when it doesn't in time, or the process ends."""
    end = time.monotonic() + seconds
    while not holds():
        if process is not None:
            process.expect_alive()
        if time.monotonic() > end:
            said = process.said()[-2000:] if process else ""
            raise RuntimeError(f"{what}: not within {seconds:.0f} s\n{said}")
        time.sleep(0.01)


def _cpu_ticks(pid: int) -> int:
    """utime, stime, cutime, cstime (proc(5), fields 14 to 17)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(int(value) for value in fields[11:15])


def _status(pid: int, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def busy_seconds() -> float:
    """Processor time that the whole machine has spent working (proc(5), /proc/stat)."""
    values = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = values
    return (user + nice + system + irq + softirq + steal) / _TICKS
