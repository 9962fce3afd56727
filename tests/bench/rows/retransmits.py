"""Row 5: clients that ask again while the user is looking for the phone. One login, one push."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.bench.figures import Figure, Goal, at_most, exactly
from tests.bench.rig import Cloud
from tests.bench.rows import Plan
from tests.bench.servers import Server, start_authproxy, start_freeradius, start_naive, start_redis
from tests.bench.tools import Load, Logins, radload


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long a user takes, when a client asks again, when it gives up."""

    user: float
    again: float
    give_up: float


def measure(plan: Plan) -> list[Figure]:
    rig = plan.rig
    patience = Patience(4, 2, 12) if plan.short else Patience(10, 5, 30)
    count, rate = plan.choose(500, 100), plan.choose(100, 50)
    logins = Logins(
        count, rate=rate, give_up=patience.give_up, retransmit=patience.again, at_most=count / rate + 40
    )
    figures = []
    for renew, what in ((False, "the same datagram again"), (True, "a new request again")):
        server = start_authproxy(
            rig, f"authproxy-again-{int(renew)}", ldap_port=rig.ldap_sink, cloud=rig.cloud
        )
        load, pushes = _run(server.wait(), rig.cloud, _renewing(logins) if renew else logins, patience)
        remark = f"{load.retransmitted} retransmissions of {count} logins"
        figures += [
            Figure(5, f"{what}: accepted ÷ offered", load.accepted / count, goal=exactly(1.0), remark=remark),
            Figure(5, f"{what}: pushes ÷ logins", pushes / count, goal=_exactly_one()),
        ]
    figures += _two_nodes(plan, _renewing(logins), patience)
    return figures if plan.short else figures + _peers(plan, logins, patience)


def _two_nodes(plan: Plan, logins: Logins, patience: Patience) -> list[Figure]:
    """H6: each time that a client asks again, it asks the other node; a Redis server stands between them."""
    with start_redis(plan.rig) as store:
        one, two = (
            start_authproxy(
                plan.rig,
                f"authproxy-node-{number}",
                ldap_port=plan.rig.ldap_sink,
                cloud=plan.rig.cloud,
                store=store.port,
            )
            for number in (1, 2)
        )
        two.wait()
        try:
            load, pushes = _run(one.wait(), plan.rig.cloud, replace(logins, other_port=two.port), patience)
        finally:
            two.stop()
    remark = f"{load.retransmitted} new requests, each at the other node, of {logins.count} logins"
    what = "a new request again, at the other of two nodes"
    return [
        Figure(
            5, f"{what}: accepted ÷ offered", load.accepted / logins.count, goal=exactly(1.0), remark=remark
        ),
        Figure(5, f"{what}: pushes ÷ logins", pushes / logins.count, goal=_exactly_one()),
    ]


def _exactly_one() -> Goal:
    """More than one push per login is the failure; fewer can't be with every login accepted."""
    return at_most(1.0, 1.0)


def _renewing(logins: Logins) -> Logins:
    return replace(logins, renew=True)


def _peers(plan: Plan, logins: Logins, patience: Patience) -> list[Figure]:
    rig = plan.rig
    theirs = start_freeradius(
        rig, "freeradius-again", ldap_port=rig.ldap_sink, cloud=rig.unsigned_cloud, calls=2
    ).wait()
    naive = start_naive(rig, "naive-again", ldap_port=rig.ldap_sink, cloud=rig.cloud).wait()
    figures = []
    for server, cloud in ((theirs, rig.unsigned_cloud), (naive, rig.cloud)):
        load, pushes = _run(server, cloud, logins, patience)
        part, each = load.accepted / logins.count, pushes / logins.count
        figures.append(
            Figure(5, f"{server.name}: accepted ÷ offered", part, remark=f"{each:.2f} pushes per login")
        )
    return figures


def _run(server: Server, cloud: Cloud, logins: Logins, patience: Patience) -> tuple[Load, int]:
    before = cloud.counters()["push"]
    cloud.delay(patience.user)
    try:
        load = radload(server.port, logins)
    finally:
        cloud.delay(0)
        server.stop()
    return load, cloud.counters()["push"] - before
