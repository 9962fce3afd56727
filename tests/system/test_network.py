"""A bad network: what a NAS repeats because datagrams are lost, doubled or late costs no second push."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.bench.journal import CloudRequest
from tests.system.bench.nas import Nas
from tests.system.bench.relay import Bad, Relay
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, CALLING_STATION_ID, Request
from tests.system.bench.world import Login, World

pytestmark = pytest.mark.system

LOGINS, TRIES = 30, 4


class Lossy(World):
    """One section, a relay before it, users whose pushes wait."""

    def build(self, bad: Bad, seed: int) -> None:
        section = self.add_section("vpn", login_patience=60)
        self.users = [self.add_user(f"user{number}", answer=None) for number in range(LOGINS)]
        self.start()
        self.relay = Relay(self.loop, ("127.0.0.1", section.port), bad, seed)

    def fresh_nas(self) -> Nas:
        """Another source port."""
        return self.nas(via=self.relay.address)

    def close(self, *, code: int = 0) -> None:
        self.relay.close()
        super().close(code=code)


@pytest.fixture
def lossy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lossy]:
    world = Lossy(tmp_path_factory.mktemp("lossy"))
    world.build(*request.param)
    yield world
    world.close()


Sent = list[tuple[Nas, Request]]


def tries(world: Lossy, user: Login, station: bytes, *, ports: bool) -> Sent:
    """A login and its retries, each with a new Identifier and authenticator, and if `ports` from a new port."""
    nas, sent = world.fresh_nas(), []
    for _ in range(TRIES):
        request = nas.login(user.user, user.password, (CALLING_STATION_ID, station))
        nas.send(request)
        sent.append((nas, request))
        if ports:
            nas = world.fresh_nas()
    return sent


def arrived(world: Lossy, sent: Sent) -> Sent:
    return [(nas, request) for nas, request in sent if request.octets in world.relay.passed]


def settled(world: Lossy) -> None:
    """Until the network has carried nothing for a moment, much longer than it holds anything back."""
    before, idle = -1, world.nas()
    while before != (now := sum(world.relay.counts.values())):
        before = now
        idle.hears_nothing(0.15)


@pytest.mark.parametrize(
    "lossy",
    [
        pytest.param((Bad(drop=0.3), 1), id="30 % lost"),
        pytest.param((Bad(drop=0.3, twice=0.3, reorder=0.5), 2), id="30 % lost, doubled, late"),
    ],
    indirect=True,
)
def test_retries_cost_no_second_push(lossy: Lossy) -> None:
    """R45, R46: three retries through the loss, new Identifiers, new ports; one push, and whoever hears it gets in."""
    sent = [
        tries(lossy, user, f"192.0.2.{number}".encode(), ports=number % 2 == 0)
        for number, user in enumerate(lossy.users)
    ]
    settled(lossy)
    there = [arrived(lossy, each) for each in sent]
    assert lossy.relay.counts["in lost"] > LOGINS * TRIES * 0.2
    reached = [user for user, some in zip(lossy.users, there, strict=True) if some]
    assert len(reached) > LOGINS * 0.9
    lossy.journal.wait(CloudRequest, lambda r: r.endpoint == "auth", count=len(reached), timeout=60)
    lossy.cloud.decide(None, "allow")
    # Whoever hears nothing sends the same datagram again; what arrived before is answered with the same octets.
    unheard = [(user, some) for user, some in zip(lossy.users, there, strict=True) if some]
    for _ in range(15):
        settled(lossy)
        unheard = [(user, some) for user, some in unheard if not _accepted(some)]
        for _, some in unheard:
            for nas, request in some:
                nas.send(request)
    assert unheard == []
    for user in lossy.users:
        pushes = len(lossy.asked(user.user))
        assert pushes == (user in reached), f"{pushes} pushes for {user.user}"
        assert len(lossy.binds(user.user)) == pushes
    assert lossy.running.metric("authproxy_pending_logins") == 0


def _accepted(some: Sent) -> bool:
    replies = [nas.receive(request, 0.001) for nas, request in some]
    assert {reply.code for reply in replies if reply} <= {ACCESS_ACCEPT}
    return any(replies)


@pytest.mark.parametrize(
    "lossy", [pytest.param((Bad(drop=0.2, twice=0.5, reorder=0.5), 3), id="bad")], indirect=True
)
def test_wrong_passwords_through_a_bad_network(lossy: Lossy) -> None:
    """However often it is repeated, a wrong password is asked about once, and stays wrong."""
    wrong = lossy.canaries.new("a wrong password")
    unheard = []
    for user in lossy.users:
        nas = lossy.fresh_nas()
        unheard.append((nas, nas.login(user.user, wrong)))
    for _ in range(15):
        for nas, request in unheard:
            nas.send(request)
        settled(lossy)
        replies = [(nas, request, nas.receive(request, 0.001)) for nas, request in unheard]
        assert {reply.code for *_, reply in replies if reply} <= {ACCESS_REJECT}
        unheard = [(nas, request) for nas, request, reply in replies if reply is None]
    assert unheard == []
    for user in lossy.users:
        assert len(lossy.binds(user.user)) == 1
        assert lossy.asked(user.user) == []
