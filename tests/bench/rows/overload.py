"""Row 12: twice as many logins as there is capacity for. Those that are answered have to be answered in time."""

from __future__ import annotations

import statistics
import time

from tests.bench.figures import Figure, Goal, at_least
from tests.bench.measure import Sample
from tests.bench.rows import Plan
from tests.bench.servers import Server, start_authproxy, start_freeradius
from tests.bench.tools import Logins

PATIENCE = 3.0  # seconds: whoever asked has given up then
LAST = 5.0  # seconds of overload
REST = 4.0  # seconds until what was left over is done with


def measure(plan: Plan) -> list[Figure]:
    rig = plan.rig
    ours = start_authproxy(rig, "authproxy-overload", ldap_port=rig.ldap_sink, cloud=rig.cloud).wait()
    servers = [ours]
    if not plan.short:
        theirs = start_freeradius(
            rig, "freeradius-overload", ldap_port=rig.ldap_sink, cloud=rig.unsigned_cloud, calls=3
        )
        servers.append(theirs.wait())
    parts: dict[str, list[float]] = {server.name: [] for server in servers}
    after: list[float] = []
    refused: list[float] = []
    for _ in range(plan.choose(max(3, plan.rounds // 2), 1)):
        for server in servers:
            capacity = _capacity(plan, server)
            flood = _flood(plan, server, capacity)
            parts[server.name].append(_good(flood) / capacity)
            time.sleep(REST)
            if server is ours:
                refused.append(flood.load.kept_out / flood.load.logins)
                after.append(_capacity(plan, server) / capacity)
    for server in servers:
        server.stop()
    return [
        _figure(
            "answered in time at twice the capacity ÷ capacity",
            parts.pop(ours.name),
            at_least(0.85, 1.0, slack=2),
        ),
        *(_figure(f"{name}: the same", values, None) for name, values in parts.items()),
        _figure("rejected with a right password ÷ offered", refused, None),
        _figure("capacity afterwards ÷ before", after, at_least(0.8, 0.95, slack=2)),
    ]


def _capacity(plan: Plan, server: Server) -> float:
    plan.meter.warm(server, Logins(200, window=32))
    return plan.meter.sample(server, Logins(plan.choose(4000, 1500)), "12 capacity").load.per_second


def _flood(plan: Plan, server: Server, capacity: float) -> Sample:
    rate = round(2 * capacity)
    logins = Logins(
        round(rate * LAST),
        rate=rate,
        channels=160,
        give_up=PATIENCE,
        at_most=LAST + PATIENCE + 4,
        may_be_kept_out=True,
    )
    return plan.meter.sample(server, logins, "12 overload")


def _good(sample: Sample) -> float:
    return sample.load.accepted / max(LAST, sample.load.seconds)


def _figure(what: str, values: list[float], goal: Goal | None) -> Figure:
    return Figure(12, what, statistics.median(values), "×", goal, (min(values), max(values)))
