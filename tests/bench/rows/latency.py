"""Row 6: what a login waits for at an everyday load, beside FreeRADIUS and beside nobody in between."""

from __future__ import annotations

import statistics

from tests.bench.figures import Figure, Ratios, at_most, percentile
from tests.bench.measure import Case, Rounds, interleave
from tests.bench.process import UNDER_TEST
from tests.bench.rows import Plan
from tests.bench.servers import start_authproxy, start_freeradius
from tests.bench.tools import Direct, Logins, direct

RATE = 100
PASSCODE = ",123456"


def measure(plan: Plan) -> list[Figure]:
    """On a directory that answers at once: a slow one would hide the difference."""
    rig, count = plan.rig, plan.choose(500, 200)
    ours = start_authproxy(rig, "authproxy-latency", ldap_port=rig.ldap_sink, cloud=rig.cloud).wait()
    three = start_freeradius(
        rig, "freeradius-3", ldap_port=rig.ldap_sink, cloud=rig.unsigned_cloud, calls=3
    ).wait()
    two = start_freeradius(
        rig, "freeradius-2", ldap_port=rig.ldap_sink, cloud=rig.unsigned_cloud, calls=2
    ).wait()
    logins = Logins(count, rate=RATE, keep_latencies=True)
    passcode = Logins(count, rate=RATE, keep_latencies=True, suffix=PASSCODE)
    cases = [
        Case(ours, logins, "push"),
        Case(three, logins),
        Case(ours, passcode, "passcode"),
        Case(two, logins),
    ]
    rounds = interleave(plan.meter, "6", cases, plan.rounds, Logins(50, window=4))
    floor = [_direct(plan, count) for _ in range(plan.choose(3, 1))]
    for server in (ours, three, two):
        server.stop()
    return [
        *_beside(rounds, "passcode", "freeradius-2"),
        *_beside(rounds, "push", "freeradius-3"),
        _direct_figure("the same calls directly, p50", [one.p50_ms for one in floor]),
        _direct_figure("the same calls directly, p99", [one.p99_ms for one in floor]),
    ]


def _beside(rounds: Rounds, ours: str, theirs: str) -> list[Figure]:
    middle = rounds.ratios(ours, theirs, lambda sample: sample.load.p50_ms)
    tails = [percentile(rounds.pooled(name), 0.99) for name in (ours, theirs)]
    tail = Ratios.of(tails[:1], tails[1:])
    return [
        Figure(6, f"{ours} p50 ÷ {theirs}", middle.median, "×", at_most(1.5, 1.1, slack=4), middle.spread),
        Figure(6, f"{ours} p99 ÷ {theirs}, pooled", tail.median, "×", at_most(2, 1.2, slack=4)),
        Figure(
            6,
            f"{ours} p50",
            rounds.median(ours, lambda s: s.load.p50_ms),
            "ms",
            remark=f"p99 {tails[0]:.2f} ms",
        ),
        Figure(
            6,
            f"{theirs} p50",
            rounds.median(theirs, lambda s: s.load.p50_ms),
            "ms",
            remark=f"p99 {tails[1]:.2f} ms",
        ),
    ]


def _direct(plan: Plan, count: int) -> Direct:
    rig = plan.rig
    return direct(rig.ldap_sink, rig.cloud.port, rig.cloud.ca, "-n", count, "-r", RATE, cpu=UNDER_TEST)


def _direct_figure(what: str, values: list[float]) -> Figure:
    return Figure(6, what, statistics.median(values), "ms")
