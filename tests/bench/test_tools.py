"""The bench's tools see what is put before them; the naive peer and FreeRADIUS do the work they are measured by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import selfcheck
from tests.bench.rig import Rig
from tests.bench.servers import Server, start_freeradius, start_naive
from tests.bench.tools import Logins, WrongAnswer, radload
from tests.system.parts.needs import needs

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    needs("gcc", "gcc libc6-dev libssl-dev")
    needs("slapd", "slapd")
    with Rig(tmp_path_factory.mktemp("bench"), users=1000) as rig:
        yield rig


@pytest.mark.long
def test_the_tools_judge_each_other(rig: Rig) -> None:
    speeds = selfcheck.check(rig)
    assert speeds.radius_per_second > 1000


def test_the_naive_peer_does_the_work(rig: Rig) -> None:
    server = start_naive(rig, "naive", ldap_port=rig.ldap_sink, cloud=rig.cloud).wait()
    _does_the_work(rig, server, calls=3, refuses=True)


@pytest.mark.parametrize("calls", [2, 3])
def test_freeradius_does_the_work(rig: Rig, calls: int) -> None:
    """It doesn't read the cloud's verdict, so who denies is let in: only passwords are put to it."""
    needs("freeradius", "freeradius freeradius-ldap freeradius-rest")
    cloud = rig.unsigned_cloud
    server = start_freeradius(
        rig, f"freeradius-{calls}", ldap_port=rig.slapd, cloud=cloud, calls=calls
    ).wait()
    _does_the_work(rig, server, calls=calls, refuses=False)


def _does_the_work(rig: Rig, server: Server, *, calls: int, refuses: bool) -> None:
    cloud = rig.cloud if refuses else rig.unsigned_cloud
    before = cloud.counters()
    load = radload(server.port, Logins(100, users=1000, wrong_every=10, deny_every=10 if refuses else 0))
    after = cloud.counters()
    server.stop()
    assert (load.accepted, load.rejected, load.lost) == ((80, 20, 0) if refuses else (90, 10, 0))
    made = {kind: after[kind] - before[kind] for kind in ("push", "status", "signature_wrong")}
    assert made == {"push": 90, "status": 90 if calls == 3 else 0, "signature_wrong": 0}


def test_a_server_that_lets_anyone_in_is_not_measured(rig: Rig, tmp_path: Path) -> None:
    """FreeRADIUS lets users in who denied their push; the generator has to say so."""
    needs("freeradius", "freeradius freeradius-ldap freeradius-rest")
    server = start_freeradius(
        rig, "freeradius-gullible", ldap_port=rig.ldap_sink, cloud=rig.unsigned_cloud, calls=2
    ).wait()
    with pytest.raises(WrongAnswer):
        radload(server.port, Logins(20, deny_every=10))
    server.stop()
