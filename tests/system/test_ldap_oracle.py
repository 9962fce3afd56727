"""B2 counts binds of LDAP applications as it counts Access-Accepts."""

from __future__ import annotations

import pytest

from tests.system.bench.journal import LdapBindRequest, LdapBindResponse, PrimaryBind
from tests.system.bench.world import World

pytestmark = pytest.mark.system


def test_binds_stand_on_both_factors(world: World) -> None:
    apps = world.add_ldap_section("apps")
    alice, bob = world.add_user("alice"), world.add_user("bob", answer="deny")
    world.start()
    client = world.application(apps)
    dn = world.directory.accounts[1].dn
    assert dn.startswith("CN=alice")
    assert client.bind(dn, alice.password) == 0
    assert client.bind(dn.replace("alice", "bob"), bob.password) == 49
    world.check()
    # The same success with nothing at the cloud behind it.
    asked = world.journal.add(
        LdapBindRequest,
        nas=client.address,
        server=client.server,
        user="bob",
        password=bob.password.encode(),
    )
    world.journal.add(PrimaryBind, name="bob", user="bob", password=bob.password.encode(), result=0)
    forged = {
        "nas": client.address,
        "source": client.server,
        "octets": b"0",
        "request": asked.order,
        "result": 0,
    }
    world.journal.add(LdapBindResponse, **forged)
    with pytest.raises(AssertionError, match="has no ground of its own"):
        world.check()
    world.journal._events.clear()
