"""python -m tests.soak --minutes N: logins over RADIUS and LDAP with faults at random; prints a report in Markdown.

Exit code 1: a decision was wrong, an oracle objected, or memory in use, descriptors or threads grow.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.soak.figures import Sample, per_hour, percentile, sample
from tests.soak.logins import Client, Tally
from tests.soak.world import Soak
from tests.system.bench.daemon import use_ports_of

WINDOW = 60.0  # seconds of traffic between two verdicts of the oracles
CLIENTS = 24
WARM = 0.15  # of the run, until caches and pools have their size
# Growth an hour (A17): MB, and numbers. Without a leak `rss` has grown by 1 to 2: freed, and kept for later.
LIMITS = {"live": 0.5, "rss": 3.0, "descriptors": 6.0, "threads": 1.0}
FLAT_FROM = 20.0  # minutes: a shorter run's slopes say nothing


class Barrier:
    """Where the clients wait while the oracles look."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._closed = False
        self._inside = 0

    def pass_(self) -> None:
        """Called by a client between two logins, when none of its own is under way."""
        with self._condition:
            self._inside += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._closed)
            self._inside -= 1

    def close(self, clients: int, timeout: float) -> None:
        with self._condition:
            self._closed = True
            assert self._condition.wait_for(lambda: self._inside == clients, timeout), "a client never ended"

    def open(self) -> None:
        with self._condition:
            self._closed = False
            self._condition.notify_all()


class Run:
    """One daemon, from its start to its end."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.world = Soak(folder)
        self.tally = Tally()
        self.samples: list[Sample] = []
        self.peak = 0.0  # MB
        self.faults: Counter[str] = Counter()
        self._barrier = Barrier()
        self._clients = [
            Client(self.world, number, self.tally, self._barrier.pass_, CLIENTS / rate)
            for number in range(CLIENTS)
        ]

    def go(self, minutes: float) -> float:
        """Seconds that it took. Raises AssertionError when an oracle objects."""
        world = self.world
        world.start()
        world.fill()
        world.forget(pushes=True)
        began = time.monotonic()
        for client in self._clients:
            client.start()
        while time.monotonic() - began < minutes * 60:
            self._window(min(WINDOW, minutes * 60 - (time.monotonic() - began)))
            self._barrier.close(CLIENTS, 120)
            self._look(time.monotonic() - began)
            self._barrier.open()
        for client in self._clients:
            client.ended.set()
        for client in self._clients:
            client.join(120)
        seconds = time.monotonic() - began
        world.close()
        return seconds

    def _window(self, seconds: float) -> None:
        """Calm, then something breaks, then it is mended."""
        calm = threading.Event()
        calm.wait(seconds * 0.4)
        self.faults[self.world.break_something()] += 1
        calm.wait(seconds * 0.35)
        self.world.mend()
        calm.wait(max(0.0, seconds * 0.25 - self.world.recoveries[-1]))

    def _look(self, at: float) -> None:
        world = self.world
        self.peak = max(self.peak, _peak(world.running.pid))
        world.cloud.decide(None, "deny")
        world.forget(pushes=True)
        world.reload()  # one a minute: what it leaves behind is little, and reloads are few
        self.samples.append(sample(world.running.pid, world.figures, at))
        last = self.samples[-1]
        print(
            f"{at / 60:6.1f} min  {sum(self.tally.outcomes.values()):7} logins  "
            f"{last.live:6.2f} of {last.rss:6.1f} MB  "
            f"{last.descriptors:4} fds  {last.threads:3} threads  {len(self.tally.wrong)} wrong",
            flush=True,
        )


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def report(run: Run, minutes: float, seconds: float) -> str:
    warm = [one for one in run.samples if one.at >= WARM * seconds] or run.samples
    first, last = warm[0], warm[-1]
    outcomes = run.tally.outcomes
    kinds = sorted({kind for kind, _, _ in outcomes})
    lines = [
        f"`python -m tests.soak --minutes {minutes:g}`: {sum(outcomes.values())} logins in "
        f"{seconds / 60:.0f} minutes, {sum(run.faults.values())} faults, "
        f"**{len(run.tally.wrong)} wrong decisions**.",
        "",
        "| | after warming up | at the end | growth an hour | most |",
        "|---|---|---|---|---|",
        f"| memory in use, MB | {first.live:.2f} | {last.live:.2f} | {per_hour(warm, 'live'):+.2f} | "
        f"{max(one.live for one in run.samples):.2f} |",
        f"| memory, MB | {first.rss:.1f} | {last.rss:.1f} | {per_hour(warm, 'rss'):+.2f} | {run.peak:.1f} |",
    ]
    for what, name in (("descriptors", "descriptors"), ("threads", "threads")):
        most = max(getattr(one, what) for one in run.samples)
        lines.append(
            f"| {name} | {getattr(first, what)} | {getattr(last, what)} | {per_hour(warm, what):+.2f} | {most} |"
        )
    recovered = run.world.recoveries
    lines += [
        "",
        f"Processor: {100 * last.cpu / last.at:.1f} % of one. Logins in calm that nobody keeps waiting: "
        f"median {1000 * percentile(run.tally.seconds, 0.5):.0f} ms, "
        f"p99 {1000 * percentile(run.tally.seconds, 0.99):.0f} ms. From the end of a fault to the first login by "
        f"both factors: median {percentile(recovered, 0.5):.1f} s, at most {max(recovered):.1f} s.",
        "",
        "| login | in calm | accepted | refused | unanswered | beside a fault | accepted | refused | unanswered |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in kinds:
        cells = []
        for weather in ("calm", "fault"):
            counts = [outcomes[kind, weather, each] for each in ("accepted", "refused", "unanswered")]
            cells += [sum(counts), *counts]
        lines.append(f"| {kind} | {' | '.join(map(str, cells))} |")
    lines += [
        "",
        "Faults: " + ", ".join(f"{name} {count}" for name, count in sorted(run.faults.items())) + ".",
    ]
    lines += [f"WRONG {wrong}" for wrong in run.tally.wrong[:50]]
    return "\n".join(lines) + "\n"


def grows(samples: Sequence[Sample]) -> list[str]:
    """What grows by more than an hour may take; nothing can be said of a short run."""
    if not samples or samples[-1].at < FLAT_FROM * 60:
        return []
    warm = [one for one in samples if one.at >= WARM * samples[-1].at]
    return [
        f"{what} grows by {per_hour(warm, what):.2f} an hour"
        for what, limit in LIMITS.items()
        if per_hour(warm, what) > limit
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=5, help="logins a second")
    parser.add_argument("--report", type=Path, help="where to write the report as well")
    options = parser.parse_args(arguments)
    os.nice(5)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    use_ports_of(4)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        run = Run(Path(folder), options.rate)
        try:
            seconds = run.go(options.minutes)
        except BaseException:
            print("\n".join(f"{name}:\n{text}" for name, text in run.world.story()))
            print("\n".join(run.tally.wrong[:50]))
            raise
        finally:
            for daemon in run.world.daemons:
                daemon.kill()
    text = report(run, options.minutes, seconds)
    print(text)
    if options.report:
        options.report.write_text(text)
    growing = grows(run.samples)
    print("\n".join(growing))
    return 1 if run.tally.wrong or growing else 0


if __name__ == "__main__":
    sys.exit(main())
