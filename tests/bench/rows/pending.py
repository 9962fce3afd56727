"""Row 4: pushes that wait for their users, thousands at once in one process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from tests.bench.figures import Figure, at_most, exactly, percentile
from tests.bench.rows import Plan
from tests.bench.servers import Server, start_authproxy
from tests.bench.tools import Load, Logins, radload


@dataclass(slots=True)
class Watched:
    """What was seen from outside while the pushes waited."""

    kib_each: float
    idle: float  # part of a core
    held: int


def measure(plan: Plan) -> list[Figure]:
    count, rate, wait = (500, 250, 10) if plan.short else (10_000, 500, 60)
    cloud = plan.rig.cloud
    server = start_authproxy(plan.rig, "authproxy-pending", ldap_port=plan.rig.ldap_sink, cloud=cloud).wait()
    radload(server.port, Logins(100, window=8))
    cloud.delay(wait)
    try:
        load, watched = _run(plan, server, count, rate, wait)
    finally:
        cloud.delay(0)
    server.stop()
    delays = [ms - wait * 1000 for ms in load.latencies_ms]
    remark = f"{count} pushes at {rate}/s, {wait} s each; {watched.held} waited at once"
    return [
        Figure(
            4, "pending pushes answered with Accept", load.accepted / count, goal=exactly(1.0), remark=remark
        ),
        Figure(4, "memory per pending push", watched.kib_each, "KiB", at_most(64, 40, slack=2)),
        # On a machine that others keep busy, each wake-up of a daemon at rest begins with cold caches: 5 % and more.
        Figure(4, "CPU while all wait", watched.idle * 100, "% of a core", at_most(1.0, 1.0, slack=20)),
        Figure(
            4, "answer later than the user, p99", percentile(delays, 0.99), "ms", at_most(600, 300, slack=3)
        ),
        Figure(4, "answer later than the user, p50", percentile(delays, 0.5), "ms"),
    ]


def _run(plan: Plan, server: Server, count: int, rate: int, wait: int) -> tuple[Load, Watched]:
    logins = Logins(
        count,
        rate=rate,
        channels=max(16, count // 128),
        give_up=wait * 2,
        at_most=wait * 3,
        users=count,
        keep_latencies=True,
    )
    before, answered = server.process.rss_kib(), list[Load]()
    client = threading.Thread(target=lambda: answered.append(radload(server.port, logins)))
    began = time.monotonic()
    client.start()
    all_asked, first_answer = began + count / rate + 1.0, began + wait
    time.sleep(max(0.0, all_asked - time.monotonic()))
    while plan.rig.cloud.counters()["held"] < count and time.monotonic() < first_answer - 4.0:
        time.sleep(0.1)  # on a slow machine the last ones are still on their way
    watched = _watch(plan, server, count, before, until=first_answer - 1.0)
    client.join()
    if not answered:
        raise RuntimeError("radload failed while pushes were pending")
    return answered[0], watched


def _watch(plan: Plan, server: Server, count: int, rss_before: int, until: float) -> Watched:
    held = plan.rig.cloud.counters()["held"]
    kib_each = (server.process.rss_kib() - rss_before) / count
    cpu, began = server.process.cpu_seconds(), time.monotonic()
    time.sleep(max(1.0, until - began))
    idle = (server.process.cpu_seconds() - cpu) / (time.monotonic() - began)
    return Watched(kib_each, idle, held)
