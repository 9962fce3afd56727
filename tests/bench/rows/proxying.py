"""Row 1: the processor time of a login that is only passed on to a RADIUS server, beside FreeRADIUS doing the same."""

from __future__ import annotations

from tests.bench.figures import Figure, at_least
from tests.bench.measure import Case, interleave
from tests.bench.rows import Plan
from tests.bench.rows.throughput import WARM, cost, lost, ratio
from tests.bench.servers import start_authproxy_relay, start_freeradius_relay
from tests.bench.tools import Logins

USERS = 1000


def measure(plan: Plan) -> list[Figure]:
    """Every login is let in by its password alone: its user is exempt here, and FreeRADIUS has no second factor."""
    rig = plan.rig
    ours = start_authproxy_relay(
        rig, "authproxy-relay", radius_port=rig.radius_sink, cloud=rig.cloud, users=USERS
    ).wait()
    theirs = start_freeradius_relay(rig, "freeradius-relay", radius_port=rig.radius_sink).wait()
    logins = Logins(plan.choose(10_000, 3_000), users=USERS)
    rounds = interleave(plan.meter, "1", [Case(ours, logins), Case(theirs, logins)], plan.rounds, WARM)
    for server in (ours, theirs):
        server.stop()
    what = "RADIUS to RADIUS: logins per CPU-second ÷ FreeRADIUS proxying"
    return [
        ratio(1, what, rounds, ours.name, theirs.name, at_least(0.9, 1.3, slack=7)),
        cost(ours.name, rounds, row=1),
        cost(theirs.name, rounds, row=1),
        lost(1, rounds, ours.name),
    ]
