"""Row 10: memory at rest, and how soon after the start a login is answered."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tests.bench.figures import Figure, at_most
from tests.bench.rows import Plan
from tests.bench.servers import Server, start_authproxy, start_freeradius


def measure(plan: Plan) -> list[Figure]:
    rig, rounds = plan.rig, plan.choose(5, 2)

    def ours(number: int) -> Server:
        return start_authproxy(rig, f"authproxy-start-{number}", ldap_port=rig.ldap_sink, cloud=rig.cloud)

    def theirs(number: int) -> Server:
        name = f"freeradius-start-{number}"
        return start_freeradius(rig, name, ldap_port=rig.ldap_sink, cloud=rig.unsigned_cloud, calls=2)

    ours(0).wait().stop()  # bytecode and page cache are warm afterwards
    starts: list[float] = []
    memory: list[float] = []
    their_starts: list[float] = []
    their_memory: list[float] = []
    for number in range(1, rounds + 1):
        for start, seconds, mib in ((ours, starts, memory), (theirs, their_starts, their_memory)):
            first, rest = _one(start, number)
            seconds.append(first)
            mib.append(rest)
    own, other = statistics.median(memory), statistics.median(their_memory)
    return [
        Figure(10, "memory at rest ÷ FreeRADIUS", own / other, "×", at_most(0.75, 0.65, slack=1.5)),
        Figure(10, "memory at rest", own, "MiB", remark=f"FreeRADIUS {other:.0f} MiB"),
        Figure(
            10,
            "first login answered after the start",
            statistics.median(starts),
            "s",
            at_most(0.6, 0.4, slack=4),
            (min(starts), max(starts)),
            remark=f"FreeRADIUS {statistics.median(their_starts):.2f} s",
        ),
    ]


def _one(start: Callable[[int], Server], number: int) -> tuple[float, float]:
    """Seconds to the first answered login; MiB one second later."""
    server = start(number)
    server.wait()
    seconds = time.monotonic() - server.process.started
    time.sleep(1)
    mib = server.process.rss_kib() / 1024
    server.stop()
    return seconds, mib
