"""B2 counts binds of LDAP applications as it counts Access-Accepts."""

from __future__ import annotations

import pytest

from tests.system.bench.journal import LdapBind, LdapResult, PrimaryBind
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
    world.journal.add(PrimaryBind, name="bob", user="bob", password=bob.password.encode(), result=0)
    asked = world.journal.add(
        LdapBind,
        server=client.server,
        user="bob",
        password=bob.password.encode(),
        station=client.address[0].encode(),
    )
    world.journal.add(LdapResult, request=asked.order, result=0)
    with pytest.raises(AssertionError, match="has no ground of its own"):
        world.check()
    world.journal.forget()
