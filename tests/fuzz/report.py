"""What a run saw: how many inputs, what they led to, and those that should not have."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# R8, requirements §0: no input may cost more. Seconds of this thread's CPU, the best of three: the machine has
# other things to do as well.
MOST_SECONDS = 0.005
_MOST_FINDINGS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    octets: bytes
    problem: str

    def __str__(self) -> str:
        return f"{self.problem}: {self.octets.hex()}"


@dataclass(slots=True)
class Report:
    target: str
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0  # CPU seconds of one input
    grown: int = 0  # octets of resident memory at its peak, more than before
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        rate = self.inputs / self.seconds if self.seconds else 0.0
        return (
            f"{self.target:<12} {self.inputs:>9,} inputs  {self.seconds:6.1f} s  {rate:>9,.0f}/s"
            f"  slowest {self.slowest * 1000:6.2f} ms  +{self.grown / 2**20:.0f} MiB"
            f"  {'ok' if not self.findings else f'{len(self.findings)} FINDINGS'}"
        )


def drive(
    target: str,
    one: Callable[[bytes], str],
    inputs: Iterable[bytes],
    *,
    seconds: float = float("inf"),
    count: int | None = None,
    bound: float = MOST_SECONDS,
) -> Report:
    """Each input through `one`, which says in a word what became of it, and raises when that should not be.

    Ends after `count` inputs or `seconds`, whichever is first, or at the fifth finding.
    """
    report = Report(target)
    began, before = time.monotonic(), _peak()
    for octets in inputs:
        if report.inputs == count or time.monotonic() - began >= seconds:
            break
        report.inputs += 1
        _try(report, one, octets, bound)
        if len(report.findings) >= _MOST_FINDINGS:
            break
    report.seconds = time.monotonic() - began
    report.grown = _peak() - before
    return report


def _try(report: Report, one: Callable[[bytes], str], octets: bytes, bound: float) -> None:
    try:
        taken = _timed(report, one, octets)
        if taken > bound:
            taken = min(taken, *(_timed(report, one, octets) for _ in range(2)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        report.findings.append(Finding(octets, f"{type(error).__name__}: {error}"))
        return
    report.slowest = max(report.slowest, taken)
    if taken > bound:
        report.findings.append(Finding(octets, f"took {taken * 1000:.1f} ms"))


def _timed(report: Report, one: Callable[[bytes], str], octets: bytes) -> float:
    began = time.thread_time()
    outcome = one(octets)
    taken = time.thread_time() - began
    report.outcomes[outcome] += 1
    return taken


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
