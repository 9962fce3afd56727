"""Row 0: before speed, truth. Right and wrong passwords and refused pushes, all mixed and all at once."""

from __future__ import annotations

from tests.bench.figures import Figure, Goal, at_most, exactly
from tests.bench.rows import Plan
from tests.bench.servers import start_authproxy
from tests.bench.tools import Logins, WrongAnswer, radload


def measure(plan: Plan) -> list[Figure]:
    """radload raises WrongAnswer for any answer that is not the one due."""
    count = plan.choose(10_000, 1_000)
    cloud = plan.rig.cloud
    server = start_authproxy(plan.rig, "authproxy-answers", ldap_port=plan.rig.ldap_sink, cloud=cloud).wait()
    before = cloud.counters()
    load = radload(server.port, Logins(count, wrong_every=10, deny_every=10, give_up=30))
    after = cloud.counters()
    server.stop()
    mistyped = len(range(0, count, 10))
    asked, pushed = after["preauth"] - before["preauth"], after["push"] - before["push"]
    if load.unsigned:
        raise WrongAnswer(f"{load.unsigned} answers without Message-Authenticator")
    if mistakes := after["signature_wrong"] - before["signature_wrong"]:
        raise WrongAnswer(f"{mistakes} calls with a wrong signature")
    return [
        Figure(
            0, "right answers ÷ logins, a fifth of them refused", load.answered / count, goal=exactly(1.0)
        ),
        Figure(0, "cloud calls for wrong passwords", asked - (count - mistyped), goal=_none()),
        Figure(0, "pushes ÷ logins with the right password", pushed / (count - mistyped), goal=exactly(1.0)),
    ]


def _none() -> Goal:
    return at_most(0, 0)
