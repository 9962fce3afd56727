"""Rows 2 and 3: the processor time of a login, beside FreeRADIUS doing the same work and the naive stack."""

from __future__ import annotations

from tests.bench.figures import Figure, Goal, at_least, at_most
from tests.bench.measure import Case, Rounds, Sample, interleave
from tests.bench.rows import Plan
from tests.bench.servers import start_authproxy, start_freeradius, start_naive
from tests.bench.tools import Logins, direct

PASSCODE = ",123456"
WARM = Logins(200, window=32)


def against_freeradius(plan: Plan) -> list[Figure]:
    """Row 2, on OpenLDAP. A passcode takes two calls of the cloud, a push three; FreeRADIUS makes as many."""
    rig, count = plan.rig, plan.choose(3000, 1000)
    users = min(rig.users, 10_000)
    ours = start_authproxy(rig, "authproxy-slapd", ldap_port=rig.slapd, cloud=rig.cloud).wait()
    three = start_freeradius(
        rig, "freeradius-3", ldap_port=rig.slapd, cloud=rig.unsigned_cloud, calls=3
    ).wait()
    two = start_freeradius(rig, "freeradius-2", ldap_port=rig.slapd, cloud=rig.unsigned_cloud, calls=2).wait()
    logins = Logins(count, users=users)
    cases = [
        Case(ours, logins, "push"),
        Case(three, logins),
        Case(ours, Logins(count, users=users, suffix=PASSCODE), "passcode"),
        Case(two, logins),
    ]
    rounds = interleave(plan.meter, "2", cases, plan.rounds, WARM)
    floor = direct(rig.slapd, rig.cloud.port, rig.cloud.ca, "-n", count, "-k", 8)
    for server in (ours, three, two):
        server.stop()
    goal = at_least(0.9, 1.25, slack=5)
    same = "logins per CPU-second ÷ FreeRADIUS ldap + rest"
    return [
        ratio(2, f"passcode (2 calls): {same}", rounds, "passcode", "freeradius-2", goal),
        ratio(2, f"push (3 calls): {same}, 3 calls too", rounds, "push", "freeradius-3", goal),
        ratio(2, "push (3 calls) ÷ FreeRADIUS with 2", rounds, "push", "freeradius-2", None),
        cost("passcode", rounds),
        cost("push", rounds),
        cost("freeradius-2", rounds),
        cost("freeradius-3", rounds),
        Figure(2, "the same calls made directly, from C", floor.cpu_us, "µs CPU"),
        lost(2, rounds, "push", "passcode"),
    ]


def against_naive(plan: Plan) -> list[Figure]:
    """Row 3, on a directory that answers at once."""
    rig = plan.rig
    ours = start_authproxy(rig, "authproxy-sink", ldap_port=rig.ldap_sink, cloud=rig.cloud).wait()
    naive = start_naive(rig, "naive", ldap_port=rig.ldap_sink, cloud=rig.cloud).wait()
    least = start_naive(
        rig, "naive-bind", ldap_port=rig.ldap_sink, cloud=rig.cloud, search=False, calls=2
    ).wait()
    few, many = Logins(plan.choose(800, 200)), Logins(plan.choose(3000, 1000))
    passcode = Logins(many.count, suffix=PASSCODE)
    cases = [Case(ours, many, "push"), Case(naive, few), Case(ours, passcode, "passcode"), Case(least, few)]
    rounds = interleave(plan.meter, "3", cases, plan.rounds, WARM)
    for server in (ours, naive, least):
        server.stop()
    goal = at_least(5, 8, slack=2)
    return [
        ratio(3, "push: logins per CPU-second ÷ naive stack, the same work", rounds, "push", "naive", goal),
        ratio(3, "passcode, with search ÷ naive stack without one", rounds, "passcode", "naive-bind", None),
        cost("push", rounds, row=3),
        cost("naive", rounds, row=3),
        cost("naive-bind", rounds, row=3),
        lost(3, rounds, "push", "passcode"),
    ]


def _speed(sample: Sample) -> float:
    return sample.per_cpu_second


def ratio(row: int, what: str, rounds: Rounds, ours: str, theirs: str, goal: Goal | None) -> Figure:
    ratios = rounds.ratios(ours, theirs, _speed)
    return Figure(row, what, ratios.median, "×", goal, ratios.spread)


def cost(name: str, rounds: Rounds, row: int = 2) -> Figure:
    sample = rounds.by_server[name]
    remark = f"{rounds.median(name, lambda s: s.load.per_second):.0f}/s"
    costs = [s.cpu_us for s in sample]
    return Figure(
        row,
        f"{name}: CPU per login",
        rounds.median(name, lambda s: s.cpu_us),
        "µs CPU",
        None,
        (min(costs), max(costs)),
        remark,
    )


def lost(row: int, rounds: Rounds, *names: str) -> Figure:
    return Figure(
        row, "logins of ours lost below saturation", sum(map(rounds.unanswered, names)), goal=at_most(0, 0)
    )
