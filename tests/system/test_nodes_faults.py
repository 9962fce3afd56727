"""Whatever becomes of the store that nodes share, and whoever owns it: nobody gets in for it, and nobody waits (H5)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.system.bench.daemon import Daemon
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, CALLING_STATION_ID, codes
from tests.system.bench.world import World, wait_for
from tests.system.parts.redis import Redis
from tests.system.parts.redis_tap import Fate, RedisTap
from tests.system.test_nodes import PLACE, THERE, redis, start, state_of, wait_for_join, wait_for_push

pytestmark = pytest.mark.system

__all__ = ["redis"]


@pytest.fixture
def tap(world: World, redis: Redis) -> Iterator[RedisTap]:  # noqa: F811
    with RedisTap(redis) as made:
        world.config["shared_state"] = made.options()
        yield made
        if not world.closed:
            world.close()


def downs(node: Daemon) -> int:
    """How often it has lost the store."""
    return (node.folder / "log" / "authproxy.log").read_text().count("shared_state.down")


def test_many_answers_at_once(world: World, redis: Redis) -> None:  # noqa: F811
    """The store takes a breath, shorter than its time-out, and then answers five hundred at once."""
    world.add_section()
    users = [world.add_user(f"user{number}", answer=None) for number in range(500)]
    second = start(world)
    ports = [[world.nas(address=address) for _ in range(2)] for address in ("127.0.0.1", THERE)]
    asked = []
    for nases in ports:
        for number, user in enumerate(users):
            nas = nases[number // 250]
            request = nas.login(user.user, user.password, PLACE, identifier=number % 250)
            nas.send(request)
            asked.append((nas, request))
            time.sleep(0.004)
    wait_for(
        lambda: (second.folder / "log" / "authproxy.log").read_text().count("login.joined_node") >= 500, 30
    )
    assert redis.process is not None
    redis.process.pause()
    time.sleep(0.35)
    redis.process.resume()
    time.sleep(1)
    assert downs(second) == 0
    for user in users:
        world.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request, 30) for nas, request in asked) == [ACCESS_ACCEPT] * 1000
    assert all(len(world.asked(user.user)) == 1 for user in users)


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.LOST, Fate.HUNG])
@pytest.mark.parametrize("at", ["CLAIM", "FINISH"])
def test_who_lost_the_store_is_not_held_for_it(world: World, tap: RedisTap, at: str, fate: Fate) -> None:
    """One command is lost, and with it who has the user's prompt. The user's next login has its turn all the same."""
    world.add_section()
    alice = world.add_user("alice")
    second = start(world)
    here, there = world.nas(), world.nas(address=THERE)
    left = [1]

    def once(name: str, command: list[bytes]) -> Fate | None:
        if name != at or not left[0]:
            return None
        left[0] -= 1
        return fate

    tap.hook = once
    assert codes([here.ask(alice.user, alice.password, PLACE)]) == [ACCESS_ACCEPT]
    for node in (world.running, second):
        wait_for(lambda node=node: node.metric("authproxy_shared_state_up") == 1)
    time.sleep(1.5)
    for node in (world.running, second):
        wait_for(lambda node=node: node.metric("authproxy_shared_state_up") == 1)
    assert not left[0]
    elsewhere = (CALLING_STATION_ID, b"198.51.100.9")
    for nas in (there, here):
        began = time.monotonic()
        assert codes(
            [nas.receive(nas.send(sent := nas.login(alice.user, alice.password, elsewhere)) or sent, 10)]
        ) == [ACCESS_ACCEPT]
        assert time.monotonic() - began < 3


GARBAGE = (
    b":0\r\n",
    b":7\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"$-1\r\n",
    b"$3\r\nfoo\r\n",
    b"+OK\r\n",
    b"*1\r\n:1\r\n",
    b"*2\r\n:1\r\n:1\r\n",
    b"*2\r\n$7\r\nverdict\r\n:1\r\n",
    b"*2\r\n$5\r\ntaken\r\n*0\r\n",
    b"*2\r\n$5\r\ntaken\r\n$5\r\na b c\r\n",
    b"*2\r\n$6\r\ndenied\r\n$5\r\nallow\r\n",
    b"*2\r\n$4\r\nheld\r\n:3\r\n",
    b"*2\r\n*1\r\n:1\r\n$0\r\n\r\n",
    b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-\xff\xfe\r\n",
    b"%1\r\n+a\r\n+b\r\n",
    b"*" + b"9" * 20 + b"\r\n",
    b"$" + b"9" * 20 + b"\r\nabc",
    b"*1\r\n" * 50_000 + b"$1\r\na\r\n",
    b":1\r\n:1\r\n",
)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("script", ["ALIVE", "CLAIM", "FINISH", "KEEP", "ANSWER", "ATTEMPT", "DECIDED"])
def test_any_answer(world: World, tap: RedisTap, script: str) -> None:
    """Whatever the store says: one answer, never an Accept without both factors, and no traceback."""
    world.add_section(
        kind="radius_server_challenge" if script in ("KEEP", "ANSWER") else "radius_server_auto",
        failures_per_client=0,
    )
    world.config["shared_state"]["timeout"] = 0.2
    alice = world.add_user("alice", answer="allow")
    mallory = world.add_user("mallory", answer="deny")
    world.start()
    nas = world.nas()
    up = lambda: world.running.metric("authproxy_shared_state_up") == 1  # noqa: E731
    for garbage in GARBAGE:
        tap.hook = lambda name, command: None
        wait_for(up, 20)
        tap.hook = lambda name, command, garbage=garbage: garbage if name == script else None
        for user, wanted in ((alice, ACCESS_ACCEPT), (mallory, ACCESS_REJECT)):
            reply = nas.ask(user.user, user.password)
            if script in ("KEEP", "ANSWER"):
                assert codes([reply]) == [ACCESS_CHALLENGE], (garbage[:40], user)
                assert reply is not None
                reply = nas.ask(user.user, "1", state_of(reply.octets))
            got = codes([reply])
            assert got in ([wanted], [ACCESS_REJECT]), (garbage[:40], user)
            if got != [wanted]:
                print("refused", garbage[:40], world.audit(username=user.user)[-1])
        assert not list(world._failures())[:1], garbage[:40]
