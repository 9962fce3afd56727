"""Several nodes with a Redis server between them (H4 to H6): two daemons, and a real server, over TLS."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.daemon import Daemon, run
from tests.system.bench.journal import CloudRequest
from tests.system.bench.nas import Nas
from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    ACCESS_REJECT,
    CALLING_STATION_ID,
    STATE,
    Request,
    codes,
    split_attributes,
)
from tests.system.bench.world import World, wait_for
from tests.system.parts.freeradius import FreeRadius, Person
from tests.system.parts.redis import COMMANDS, Redis

pytestmark = pytest.mark.system

THERE = "127.0.0.2"
PLACE = (CALLING_STATION_ID, b"192.0.2.7")


@pytest.fixture
def redis(world: World) -> Iterator[Redis]:
    made = Redis(world.folder / "redis", world.authority, world.canaries.new("the store's password"))
    made.start()
    world.config["main"]["challenge_key"] = world.canaries.new("the challenge key", 40)
    world.config["shared_state"] = made.options()
    yield made
    if not world.closed:
        world.close()
    made.stop()


def start(world: World) -> Daemon:
    """Two nodes, which have found each other. Returns the second one."""
    first, second = world.start(), world.start_node(THERE)
    for node in (first, second):
        wait_for(lambda node=node: node.metric("authproxy_shared_state_up") == 1)
    return second


def wait_for_push(world: World, user: str, count: int = 1) -> None:
    asked = lambda r: r.user == user and r.endpoint == "auth"  # noqa: E731
    world.journal.wait(CloudRequest, asked, count=count, timeout=20)


def fail_over(
    world: World, second: Daemon, user: str, password: str, *more: tuple[int, bytes]
) -> list[tuple[Nas, Request]]:
    """A login at the first node, and once its push waits, the same at the second, which joins it."""
    asked = [(nas, nas.login(user, password, *more)) for nas in (world.nas(), world.nas(address=THERE))]
    for nas, request in asked:
        nas.send(request)
        wait_for_push(world, user)
    wait_for_join(second)
    return asked


def wait_for_join(node: Daemon) -> None:
    file = node.folder / "log" / "authproxy.log"
    wait_for(lambda: "login.joined_node" in file.read_text())


def state_of(octets: bytes) -> tuple[int, bytes]:
    return next((kind, value) for kind, value in split_attributes(octets[20:]) if kind == STATE)


def test_a_nas_that_fails_over(world: World, redis: Redis) -> None:
    """H6: the second node joins the push that waits at the first; both get its answer. Nothing in between tells who."""
    world.add_section()
    alice = world.add_user("alice", answer=None)
    second = start(world)
    asked = fail_over(world, second, alice.user, alice.password, PLACE)
    seen = redis.content()
    assert seen.count(b"authproxy:1:") >= 4
    assert b"alice" not in seen
    assert not world.canaries.find("redis", seen)
    world.cloud.decide("alice", "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * 2
    assert len(world.asked("alice")) == 1
    assert second.metric("authproxy_logins_joined_total") == 1
    events = world.wait_audit(2, username="alice", decision="accept")
    assert {event["reason"] for event in events} == {"both_factors"}
    assert len({event["txid"] for event in events}) == 1


def test_another_password_or_place_joins_nothing(world: World, redis: Redis) -> None:
    """R46: only the very same login; and a user has one prompt at a time, whatever node it comes from."""
    world.add_section()
    alice = world.add_user("alice", answer=None)
    start(world)
    here, there = world.nas(), world.nas(address=THERE)
    first = here.login(alice.user, alice.password, PLACE)
    here.send(first)
    wait_for_push(world, "alice")
    wrong = there.ask(alice.user, world.canaries.new("another password"), PLACE)
    assert codes([wrong]) == [ACCESS_REJECT]
    elsewhere = there.login(alice.user, alice.password, (CALLING_STATION_ID, b"198.51.100.9"))
    there.send(elsewhere)
    assert there.hears_nothing(1)
    assert len(world.asked("alice")) == 1
    world.cloud.decide("alice", "allow")
    assert codes([here.receive(first)]) == [ACCESS_ACCEPT]
    wait_for_push(world, "alice", 2)
    world.cloud.decide("alice", "deny")
    assert codes([there.receive(elsewhere)]) == [ACCESS_REJECT]


def test_a_denial_counts_at_both(world: World, redis: Redis) -> None:
    """R47 at the other node, too: who has just said no isn't asked again."""
    world.add_section()
    alice = world.add_user("alice", answer="deny")
    start(world)
    assert codes([world.nas().ask(alice.user, alice.password, PLACE)]) == [ACCESS_REJECT]
    again = world.nas(address=THERE)
    assert codes([again.ask(alice.user, alice.password, PLACE)]) == [ACCESS_REJECT]
    assert len(world.asked("alice")) == 1
    (event,) = world.wait_audit(cause="repeated")
    assert event["reason"] == "factor_denied"


def test_pushes_are_counted_together(world: World, redis: Redis) -> None:
    """A11: three that weren't approved, at both nodes together; then passcodes."""
    world.add_section(denial_memory=0)
    passcode = world.canaries.passcode("alice's")
    alice = world.add_user("alice", answer="deny", passcodes={passcode})
    start(world)
    nases = world.nas(), world.nas(address=THERE)
    for number in range(6):
        place = (CALLING_STATION_ID, f"192.0.2.{number}".encode())
        assert codes([nases[number % 2].ask(alice.user, alice.password, place)]) == [ACCESS_REJECT]
    assert len(world.asked("alice")) == 3
    assert len(world.wait_audit(3, reason="push_limit", cause="push_paused")) == 3
    assert codes([nases[1].ask(alice.user, f"{alice.password},{passcode}")]) == [ACCESS_ACCEPT]


def test_wrong_passwords_are_counted_together(world: World, redis: Redis) -> None:
    """A10: below the directory's own limit, though each node has seen the half of them."""
    world.add_section(failures_per_client=0)
    world.config["ad_client"]["failures_per_user"] = 4
    alice = world.add_user("alice")
    start(world)
    nases = world.nas(), world.nas(address=THERE)
    for number in range(8):
        wrong = world.canaries.new(f"wrong password {number}")
        assert codes([nases[number % 2].ask(alice.user, wrong)]) == [ACCESS_REJECT]
    assert len(world.binds("alice")) == 3  # the fourth is for a place that alice has logged in from
    assert len(world.wait_audit(5, reason="rate_limited")) == 5


def test_a_right_password_ends_the_count_everywhere(world: World, redis: Redis) -> None:
    """A10: as the directory forgets them."""
    world.add_section(failures_per_client=0)
    world.config["ad_client"]["failures_per_user"] = 4
    alice = world.add_user("alice")
    start(world)
    nases = world.nas(), world.nas(address=THERE)
    for round_ in range(3):
        for nas in nases:
            wrong = world.canaries.new(f"wrong password {round_} {nas.server}")
            assert codes([nas.ask(alice.user, wrong)]) == [ACCESS_REJECT]
        assert codes([nases[round_ % 2].ask(alice.user, alice.password)]) == [ACCESS_ACCEPT]
    assert not world.audit(reason="rate_limited")


@pytest.mark.parametrize("first_is_right", [True, False])
def test_a_challenge_is_answered_once(world: World, redis: Redis, first_is_right: bool) -> None:
    """R40, H4: over both nodes; what was tried at one is no second try at the other."""
    world.add_section(kind="radius_server_challenge")
    right, wrong = world.canaries.passcode("right"), world.canaries.passcode("wrong")
    alice = world.add_user("alice", passcodes={right})
    start(world)
    here, there = world.nas(), world.nas(address=THERE)
    reply = here.ask(alice.user, alice.password)
    assert reply is not None
    assert reply.code == ACCESS_CHALLENGE
    state = state_of(reply.octets)
    first = there.ask(alice.user, right if first_is_right else wrong, state)
    assert codes([first]) == [ACCESS_ACCEPT if first_is_right else ACCESS_REJECT]
    assert codes([here.ask(alice.user, right, state)]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(reason="bad_state")
    assert event["cause"] == "answered"
    assert len(world.asked("alice")) == 1


def test_an_answer_to_a_challenge_that_fails_over(world: World, redis: Redis) -> None:
    """H6: the NAS sends "1" to the other node, while the push that came of it waits at the first."""
    world.add_section(kind="radius_server_challenge")
    alice = world.add_user("alice", answer=None)
    second = start(world)
    reply = world.nas().ask(alice.user, alice.password)
    assert reply is not None
    asked = fail_over(world, second, alice.user, "1", state_of(reply.octets))
    world.cloud.decide("alice", "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * 2
    assert len(world.asked("alice")) == 1


def test_what_a_radius_server_has_granted(world: World, redis: Redis, tmp_path: Path) -> None:
    """H4: an answer at another node gets the attributes of the Accept that the first one has."""
    secret = world.canaries.new("the secret towards the primary")
    password = world.canaries.new("the password of alice")
    people = {"alice": Person(password, replies=("Class := 0x6f6e65", 'Filter-Id := "inside"'))}
    with FreeRadius(tmp_path / "primary", secret=secret, people=people) as primary:
        world.use_radius(
            "radius_client", primary.port, secret, pass_through_attr_names=["Class", "Filter-Id"]
        )
        world.know_passwords({"alice": password})
        world.add_section(kind="radius_server_challenge", client="radius_client")
        start(world)
        reply = world.nas().ask("alice", password)
        assert reply is not None
        assert reply.code == ACCESS_CHALLENGE
        answer = world.nas(address=THERE).ask("alice", "1", state_of(reply.octets))
        assert answer is not None
        assert answer.code == ACCESS_ACCEPT
        granted = list(split_attributes(answer.octets[20:]))
        assert (25, b"one") in granted
        assert (11, b"inside") in granted
        world.close()


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_the_store_fails_in_the_middle(world: World, redis: Redis, how: str) -> None:
    """H5: nobody waits, nobody gets in for it, limits are halved, and everybody who watches is told."""
    world.add_section(failures_per_client=0)
    world.config["ad_client"]["failures_per_user"] = 4
    alice, bob = world.add_user("alice", answer=None), world.add_user("bob")
    carol = world.add_user("carol")
    second = start(world)
    here, there = world.nas(), world.nas(address=THERE)
    waiting = here.login(alice.user, alice.password, PLACE)
    here.send(waiting)
    wait_for_push(world, "alice")
    assert redis.process is not None
    redis.stop() if how == "killed" else redis.process.pause()
    assert codes([there.ask(bob.user, bob.password)]) == [ACCESS_ACCEPT]
    world.cloud.decide("alice", "allow")
    assert codes([here.receive(waiting)]) == [ACCESS_ACCEPT]
    wait_for(lambda: second.metric("authproxy_shared_state_up") == 0)
    for _ in range(3):
        assert codes([there.ask(carol.user, world.canaries.new("wrong password"))]) == [ACCESS_REJECT]
    assert (
        len(world.binds("carol")) == 1
    )  # of four the half, and of two the last is for a place that is known
    ready = second.get("/readyz")
    assert ready.status == 200
    assert "this node decides alone" in ready.text
    wait_for(lambda: second.metric("authproxy_alarms_total", kind="shared_down") == 1)
    log = (second.folder / "log" / "authproxy.log").read_text()
    assert log.count("shared_state.down") == 1
    if how == "killed":
        redis.start()
    else:
        redis.process.resume()
    wait_for(lambda: second.metric("authproxy_shared_state_up") == 1, 30)
    wait_for(lambda: second.metric("authproxy_alarms_total", kind="shared_up") == 1)


@pytest.mark.long
def test_a_node_that_dies_in_the_middle(world: World, redis: Redis) -> None:
    """H6: who joined its push gets one of their own."""
    world.add_section()
    alice = world.add_user("alice", answer=None)
    second = start(world)
    here, there = world.nas(), world.nas(address=THERE)
    there.send(there.login(alice.user, alice.password, PLACE))
    wait_for_push(world, "alice")
    request = here.login(alice.user, alice.password, PLACE)
    here.send(request)
    wait_for(lambda: "login.joined_node" in world.log())
    second.kill()
    wait_for_push(world, "alice", 2)
    world.cloud.decide("alice", "allow")
    assert codes([here.receive(request, 20)]) == [ACCESS_ACCEPT]


def test_without_the_store_no_other_nodes_challenge_is_answered(world: World, redis: Redis) -> None:
    """H5: nobody can tell whether it was answered already. A new login works."""
    world.add_section(kind="radius_server_challenge")
    alice = world.add_user("alice")
    second = start(world)
    here, there = world.nas(), world.nas(address=THERE)
    reply = here.ask(alice.user, alice.password)
    assert reply is not None
    redis.stop()
    wait_for(lambda: second.metric("authproxy_shared_state_up") == 0)
    assert codes([there.ask(alice.user, "1", state_of(reply.octets))]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(reason="bad_state")
    assert event["cause"] == "nodes_unreachable"
    own = there.ask(alice.user, alice.password)
    assert own is not None
    assert codes([there.ask(alice.user, "1", state_of(own.octets))]) == [ACCESS_ACCEPT]


@pytest.mark.long
def test_many_at_both_nodes(world: World, redis: Redis) -> None:
    """Two hundred users, each at both nodes at once: one push each, and everybody gets in twice."""
    world.add_section()
    users = [world.add_user(f"user{number}", answer=None) for number in range(100)]
    start(world)
    here, there = world.nas(), world.nas(address=THERE)
    asked = []
    for nas in (here, there):
        requests = [
            nas.login(user.user, user.password, PLACE, identifier=at) for at, user in enumerate(users)
        ]
        asked += [(nas, request) for request in requests]
        for request in requests:
            nas.send(request)
    stop = threading.Event()

    def approve() -> None:
        while not stop.wait(0.5):
            world.cloud.decide(None, "allow")

    wait_for(lambda: sum(len(world.asked(user.user)) for user in users) >= 100, 20)
    phones = threading.Thread(target=approve)
    phones.start()
    try:
        assert codes(nas.receive(request, 30) for nas, request in asked) == [ACCESS_ACCEPT] * 200
    finally:
        stop.set()
        phones.join()
    assert all(len(world.asked(user.user)) == 1 for user in users)


def test_what_it_takes_there(world: World, redis: Redis) -> None:
    """docs/nodes.md: the rights, less than a kilobyte for a push, four commands; and all of it goes by itself."""
    page = (Path(__file__).parents[2] / "docs" / "nodes.md").read_text()
    assert f"user authproxy on >the-password ~authproxy:* -@all {COMMANDS}\n" in page
    world.add_section()
    users = [world.add_user(f"user{number}", answer=None) for number in range(20)]
    first = world.add_user("first", answer="deny")
    start(world)
    nas = world.nas()
    assert codes([nas.ask(first.user, first.password)]) == [ACCESS_REJECT]  # the server knows the scripts now
    empty = int(redis.own("EVAL", _SIZE, "0"))
    before = commands(redis)
    requests = [nas.login(user.user, user.password, identifier=at) for at, user in enumerate(users)]
    for request in requests:
        nas.send(request)
    wait_for(lambda: sum(len(world.asked(user.user)) for user in users) == 20)
    assert (int(redis.own("EVAL", _SIZE, "0")) - empty) / 20 < 1024
    assert redis.own("EVAL", _LASTING, "0").strip() == b"0"
    world.cloud.decide(None, "deny")
    assert codes(nas.receive(request) for request in requests) == [ACCESS_REJECT] * 20
    wait_for(lambda: commands(redis) - before >= 80)
    assert (commands(redis) - before) // 20 == 4  # and some few that say that a node is alive
    assert redis.own("EVAL", _LASTING, "0").strip() == b"0"


_SIZE = """
local sum = 0
for _, key in ipairs(redis.call('KEYS', 'authproxy:*')) do sum = sum + redis.call('MEMORY', 'USAGE', key) end
return sum
"""
_LASTING = """
local lasting = 0
for _, key in ipairs(redis.call('KEYS', '*')) do if redis.call('PTTL', key) < 0 then lasting = lasting + 1 end end
return lasting
"""


def commands(redis: Redis) -> int:
    """How many scripts the nodes have had run, but for those that say that a node is alive."""
    calls = 0
    for line in redis.own("INFO", "commandstats").decode().splitlines():
        if line.startswith(("cmdstat_eval:", "cmdstat_evalsha:")):
            calls += int(line.partition("calls=")[2].partition(",")[0])
    return calls


def test_probe_tries_the_store(world: World, redis: Redis) -> None:
    """It writes there what nodes write, and says what has to be done."""
    world.add_section()
    world.add_user("alice")
    world.start()
    config = world.write_config()
    good = run(world.home, "probe", "-c", str(config))
    (line,) = [line for line in good.stdout.splitlines() if "shared state" in line]
    assert line.startswith("warning")  # of its certificate's age
    assert "can be written to, within" in line
    world.config["shared_state"]["password"] = world.canaries.new("a wrong password")
    bad = run(world.home, "probe", "-c", str(world.write_config()))
    assert bad.returncode == 1
    (line,) = [line for line in bad.stdout.splitlines() if "shared state" in line]
    assert line.startswith("FAILED")
    assert "WRONGPASS" in line
    assert not world.canaries.find("probe", (good.stdout + good.stderr + bad.stdout + bad.stderr).encode())
