"""What a process takes, over time, and how fast that grows."""

from __future__ import annotations

import os
import socket
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` and `cpu` in seconds, `rss` and `live` in MB. `live`: what is in use of it, by Python and by malloc."""

    at: float
    live: float
    rss: float
    descriptors: int
    threads: int
    cpu: float


def sample(pid: int, inside: Path, at: float) -> Sample:
    """`inside`: the socket of the process's own figures."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return Sample(
        at=at,
        live=_asked(inside) / 1_000_000,
        rss=int(status["VmRSS"].split()[0]) / 1000,
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(status["Threads"]),
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
    )


def _asked(inside: Path) -> int:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(10)
        asking.connect(str(inside))
        return int(asking.makefile().read())


def per_hour(samples: Sequence[Sample], what: str) -> float:
    """The slope of the line of least squares; 0 with fewer than two samples."""
    if len(samples) < 2:
        return 0.0
    line = statistics.linear_regression([one.at for one in samples], [getattr(one, what) for one in samples])
    return line.slope * 3600


def percentile(values: Sequence[float], share: float) -> float:
    """0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
