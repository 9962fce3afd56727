"""A load against a server, with what it cost; rounds that give every server the same minutes of the machine."""

from __future__ import annotations

import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.figures import Ratios
from tests.bench.process import busy_seconds
from tests.bench.rig import Rig
from tests.bench.servers import Server
from tests.bench.tools import Load, Logins, radload

# Cores that others may use while we measure; above it a sample is marked.
CALM = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """`cpu_us`: processor time of the server per answered login. `others`: cores used by anybody else."""

    server: str
    load: Load
    cpu_us: float
    others: float

    @property
    def per_cpu_second(self) -> float:
        return 1e6 / self.cpu_us if self.cpu_us else float("inf")

    def told(self) -> dict[str, object]:
        """For the JSON file."""
        kept = {name: getattr(self.load, name) for name in self.load.__slots__ if name != "latencies_ms"}
        return {"server": self.server, "cpu_us": self.cpu_us, "others": self.others, **kept}


class Meter:
    """Takes samples. Keeps them all for the record."""

    def __init__(self, rig: Rig, *, patience: float) -> None:
        """`patience`: seconds to wait, at most, for a calm machine before each sample."""
        self._rig = rig
        self._patience = patience
        self.samples: dict[str, list[Sample]] = defaultdict(list)

    def warm(self, server: Server, logins: Logins) -> None:
        radload(server.port, logins)

    def sample(self, server: Server, logins: Logins, row: str) -> Sample:
        self._wait_for_calm()
        before, began = self._spent(server), time.monotonic()
        load = radload(server.port, logins)
        elapsed = time.monotonic() - began
        time.sleep(0.05)  # the server's last answer is out before its accounts are
        after = self._spent(server)
        server.process.expect_alive()
        cpu = after.server - before.server
        others = (after.everybody - before.everybody - (after.ours - before.ours)) / elapsed
        sample = Sample(server.name, load, cpu / max(load.answered, 1) * 1e6, max(others, 0.0))
        self.samples[row].append(sample)
        return sample

    def _spent(self, server: Server) -> _Spent:
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        tools = own.ru_utime + own.ru_stime
        rig = sum(process.cpu_seconds() for process in self._rig.processes)
        return _Spent(server.process.cpu_seconds(), rig + tools, busy_seconds())

    def _wait_for_calm(self) -> None:
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            before = busy_seconds()
            time.sleep(0.2)
            if (busy_seconds() - before) / 0.2 < CALM:
                return


@dataclass(frozen=True, slots=True)
class _Spent:
    server: float
    ours: float  # all that the bench runs: the server, its back ends, the tools
    everybody: float


@dataclass(slots=True)
class Rounds:
    """The samples of interleaved rounds, by server."""

    by_server: Mapping[str, Sequence[Sample]] = field(default_factory=dict)

    def median(self, server: str, of: Callable[[Sample], float]) -> float:
        return statistics.median(of(sample) for sample in self.by_server[server])

    def ratios(self, ours: str, theirs: str, of: Callable[[Sample], float]) -> Ratios:
        return Ratios.of([of(s) for s in self.by_server[ours]], [of(s) for s in self.by_server[theirs]])

    def pooled(self, server: str) -> list[float]:
        """All latencies, of all rounds."""
        return [ms for sample in self.by_server[server] for ms in sample.load.latencies_ms]

    def unanswered(self, server: str) -> int:
        return sum(sample.load.lost for sample in self.by_server[server])


@dataclass(frozen=True, slots=True)
class Case:
    """What one server is asked in each round. `key` names it where a server has two."""

    server: Server
    logins: Logins
    key: str = ""

    @property
    def name(self) -> str:
        return self.key or self.server.name


def interleave(
    meter: Meter, row: str, cases: Iterable[Case], rounds: int, warm: Logins | None = None
) -> Rounds:
    taken: dict[str, list[Sample]] = defaultdict(list)
    cases = list(cases)
    for number in range(rounds):
        # Whoever comes first in a round does not come first in the next.
        for case in cases[number % len(cases) :] + cases[: number % len(cases)]:
            if warm is not None:
                meter.warm(case.server, warm)
            taken[case.name].append(meter.sample(case.server, case.logins, row))
    return Rounds(taken)
