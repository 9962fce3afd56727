"""Row 14: what a login costs more when nodes share a store."""

from __future__ import annotations

from tests.bench.figures import Figure, at_least
from tests.bench.measure import Case, interleave
from tests.bench.rows import Plan
from tests.bench.rows.throughput import PASSCODE, WARM, cost, lost, ratio
from tests.bench.servers import start_authproxy, start_redis
from tests.bench.tools import Logins


def measure(plan: Plan) -> list[Figure]:
    """A passcode takes two commands of the store, a push four."""
    rig, count = plan.rig, plan.choose(3000, 1000)
    with start_redis(rig) as store:
        alone, shared = (
            start_authproxy(rig, name, ldap_port=rig.ldap_sink, cloud=rig.cloud, store=port).wait()
            for name, port in (("authproxy-alone", 0), ("authproxy-shared", store.port))
        )
        push, passcode = Logins(count), Logins(count, suffix=PASSCODE)
        cases = [
            Case(alone, push, "push, alone"),
            Case(shared, push, "push, shared"),
            Case(alone, passcode, "passcode, alone"),
            Case(shared, passcode, "passcode, shared"),
        ]
        rounds = interleave(plan.meter, "14", cases, plan.rounds, WARM)
        for server in (alone, shared):
            server.stop()
    goal, same = at_least(0.7, 0.9, slack=2), "logins per CPU-second ÷ without a store"
    return [
        ratio(14, f"passcode: {same}", rounds, "passcode, shared", "passcode, alone", goal),
        ratio(14, f"push: {same}", rounds, "push, shared", "push, alone", goal),
        *(cost(case.name, rounds, row=14) for case in cases),
        lost(14, rounds, "push, shared", "passcode, shared"),
    ]
