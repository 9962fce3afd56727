"""Whatever becomes of the store that nodes share, and whoever owns it: nobody gets in for it, and nobody waits (H5)."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.system.bench.daemon import Daemon
from tests.system.bench.ldap_client import LdapClient
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_CHALLENGE, ACCESS_REJECT, CALLING_STATION_ID, codes
from tests.system.bench.world import World, wait_for
from tests.system.parts.redis import Redis
from tests.system.parts.redis_tap import SCRIPTS, Fate, RedisTap
from tests.system.test_nodes import (
    PLACE,
    THERE,
    fail_over,
    redis,
    start,
    state_of,
    wait_for_join,
    wait_for_push,
)

pytestmark = pytest.mark.system

__all__ = ["redis"]


@pytest.fixture
def tap(world: World, redis: Redis) -> Iterator[RedisTap]:
    with RedisTap(redis) as made:
        world.config["shared_state"] = made.options()
        yield made
        if not world.closed:
            world.close()


def downs(node: Daemon) -> int:
    """How often it has lost the store."""
    return (node.folder / "log" / "authproxy.log").read_text().count("shared_state.down")


@pytest.mark.long
def test_many_answers_at_once(world: World, redis: Redis) -> None:
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
    b"*0\r\n",
    b"$-1\r\n",
    b"+OK\r\n",
    b"*1\r\n:1\r\n",
    b"*2\r\n:1\r\n:1\r\n",
    b"*2\r\n$5\r\ntaken\r\n*0\r\n",
    b"*2\r\n$5\r\ntaken\r\n$3\r\na b\r\n",
    b"*2\r\n$6\r\ndenied\r\n$5\r\nallow\r\n",
    b"*2\r\n$4\r\nheld\r\n:3\r\n",
    b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-\xff\xfe\r\n",
    b"%1\r\n+a\r\n+b\r\n",
    b"*" + b"9" * 20 + b"\r\n",
    b"*1\r\n" * 50_000 + b"$1\r\na\r\n",
    b":1\r\n:1\r\n",
)


@pytest.mark.long
@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize("script", ["ALIVE", "CLAIM", "FINISH", "KEEP", "ANSWER", "ATTEMPT", "DECIDED"])
def test_any_answer(world: World, tap: RedisTap, script: str, part: int) -> None:
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
    for garbage in GARBAGE[part::3]:
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
        assert not list(world._failures())[:1], garbage[:40]


REFUSALS = (
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-READONLY You can't write against a read only replica.\r\n",
    b"-NOPERM this user has no permissions to run the 'set' command\r\n",
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-BUSY Redis is busy running a script.\r\n",
)


@pytest.mark.parametrize(
    "refusal",
    [REFUSALS[0], *(pytest.param(refusal, marks=pytest.mark.long) for refusal in REFUSALS[1:])],
    ids=lambda refusal: refusal[1:5].decode(),
)
def test_a_store_that_does_nothing(world: World, tap: RedisTap, refusal: bytes) -> None:
    """It lets nodes in and refuses all they ask for: it is down, said once, until it does something."""
    world.add_section(failures_per_client=0)
    alice = world.add_user("alice")
    world.start()
    nas, node = world.nas(), world.running
    wait_for(lambda: node.metric("authproxy_shared_state_up") == 1)
    tap.hook = lambda name, command: refusal if name in SCRIPTS.values() else None
    until = time.monotonic() + 6
    while time.monotonic() < until:
        began = time.monotonic()
        assert codes([nas.ask(alice.user, alice.password)]) == [ACCESS_ACCEPT]
        assert time.monotonic() - began < 1
        time.sleep(0.1)
    assert downs(node) == 1
    assert node.metric("authproxy_shared_state_up") == 0
    tap.hook = lambda name, command: None
    wait_for(lambda: node.metric("authproxy_shared_state_up") == 1, 20)


def test_a_verdict_of_another_time(world: World, tap: RedisTap) -> None:
    """Whoever owns the store has one node's claim for the very same login, and plays it the Accept of an hour ago."""
    world.add_section(denial_memory=0)
    mallory = world.add_user("mallory", answer=None)
    second = start(world)
    there = world.nas(address=THERE)
    told: list[bytes] = []
    claims: list[bytes] = []

    def listens(name: str, command: list[bytes]) -> None:
        if name == "TELL":
            told.append(command[4])
        elif name == "CLAIM" and command[6]:
            claims.append(command[6])

    tap.hook = listens
    asked = fail_over(world, second, mallory.user, mallory.password, PLACE)
    world.cloud.decide("mallory", "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * 2
    (verdict,) = set(told)  # by the script's digest, and by the script where the server didn't know it

    questions: list[bytes] = []

    def lies(name: str, command: list[bytes]) -> bytes | None:
        if name == "CLAIM":
            return b"*2\r\n$5\r\ntaken\r\n$%d\r\n%b\r\n" % (len(claims[0]), claims[0])
        if name == "JOIN":
            questions.append(command[6].split(b" ")[1])
            return b":1\r\n"
        if name == "COLLECT":
            answer = b" ".join((questions[-1], verdict.partition(b" ")[2]))
            return b"*1\r\n$%d\r\n%b\r\n" % (len(answer), answer)
        return None

    tap.hook = lies
    again = there.login(mallory.user, mallory.password, PLACE)
    there.send(again)
    wait_for_push(world, "mallory", 2)
    world.cloud.decide("mallory", "deny")
    assert codes([there.receive(again)]) == [ACCESS_REJECT]


def test_nothing_stays(world: World, redis: Redis) -> None:
    """Each key ends by itself, whatever it is for."""
    world.add_section(failures_per_client=0)
    challenge = world.add_section("second", kind="radius_server_challenge", failures_per_client=0)
    alice = world.add_user("alice", answer=None)
    bob = world.add_user("bob", answer="deny")
    carol = world.add_user("carol", answer="fraud")
    second = start(world)
    asked = fail_over(world, second, alice.user, alice.password, PLACE)
    keys_without_end(redis)
    world.cloud.decide("alice", "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * 2
    here = world.nas()
    for user in (bob, carol):
        for place in range(4):
            where = (CALLING_STATION_ID, b"192.0.2.%d" % place)
            assert codes([here.ask(user.user, user.password, where)]) == [ACCESS_REJECT]
        assert codes([here.ask(user.user, world.canaries.new(f"wrong password of {user.user}"))]) == [
            ACCESS_REJECT
        ]
    for address in ("127.0.0.1", THERE):
        reply = world.nas(challenge, address=address).ask(bob.user, bob.password)
        assert reply is not None
        assert codes([world.nas(challenge).ask(bob.user, "1", state_of(reply.octets))]) == [ACCESS_REJECT]
    kinds = keys_without_end(redis)
    assert kinds >= {"node", "pause", "denial", "attempts", "challenge", "answered"}, kinds


def keys_without_end(redis: Redis) -> set[str]:
    """None is; returns what kinds there are."""
    ends = """
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do all[#all + 1] = key .. ' ' .. redis.call('PTTL', key) end
return all
"""
    lines = redis.own("EVAL", ends, "0").decode().split("\n")
    ttls = dict(line.rsplit(" ", 1) for line in lines if line)
    assert all(0 < int(ttl) <= 86_400_000 for ttl in ttls.values()), ttls
    return {key.split(":")[2] for key in ttls}


@pytest.mark.parametrize("patience", [30, 0])
def test_a_node_is_drained_in_the_middle(world: World, redis: Redis, patience: float) -> None:
    """Who joined its push gets its verdict while it waits for it, and else one of their own at once."""
    world.add_section()
    world.config["main"]["drain_timeout"] = patience
    alice = world.add_user("alice", answer=None)
    second = start(world)
    here, there = world.nas(), world.nas(address=THERE)
    asked = [(nas, nas.login(alice.user, alice.password, PLACE)) for nas in (here, there)]
    there.send(asked[1][1])
    wait_for_push(world, "alice")
    here.send(asked[0][1])
    wait_for_join(world.running)
    second.signal(signal.SIGTERM)
    if not patience:
        wait_for_push(world, "alice", 2)
        world.cloud.decide("alice", "allow")
        assert codes([here.receive(asked[0][1])]) == [ACCESS_ACCEPT]
    else:
        time.sleep(1)
        world.cloud.decide("alice", "allow")
        assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * 2
        assert len(world.asked("alice")) == 1
    assert second.wait() == 0


def test_a_reload_in_the_middle(world: World, redis: Redis) -> None:
    """It changes nothing for who waits, at either node."""
    world.add_section()
    alice = world.add_user("alice", answer=None)
    second = start(world)
    asked = fail_over(world, second, alice.user, alice.password, PLACE)
    for node in (world.running, second):
        node.reload()
        wait_for(lambda node=node: "reload" in (node.folder / "log" / "authproxy.log").read_text())
    time.sleep(1)
    world.cloud.decide("alice", "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * 2
    assert len(world.asked("alice")) == 1


def test_an_application_binds_at_both(world: World, redis: Redis) -> None:
    """L19 over two nodes: one push, two binds."""
    section = world.add_ldap_section("apps")
    alice = world.add_user("alice", answer=None)
    second = start(world)
    name = "CN=alice,OU=People,DC=corp,DC=test"
    clients = [LdapClient(world.journal, (address, section.port)) for address in ("127.0.0.1", THERE)]
    binds = [clients[0].send(name, alice.password)]
    wait_for_push(world, "alice")
    binds.append(clients[1].send(name, alice.password))
    wait_for_join(second)
    world.cloud.decide("alice", "allow")
    assert [client.receive(bind) for client, bind in zip(clients, binds, strict=True)] == [0, 0]
    assert len(world.asked("alice")) == 1
    for client in clients:
        client.close()


def test_codes_are_sent_once(world: World, redis: Redis) -> None:
    """`sms` at two nodes: the codes are sent once, and each of them asks for one."""
    world.add_section(kind="radius_server_challenge")
    code = world.canaries.passcode("sent")
    alice = world.add_user("alice", passcodes={code})
    start(world)
    nases = world.nas(), world.nas(address=THERE)
    reply = nases[0].ask(alice.user, alice.password)
    assert reply is not None
    asked = [(nas, nas.login(alice.user, "sms", state_of(reply.octets))) for nas in nases]
    for nas, request in asked:
        nas.send(request)
    replies = [nas.receive(request) for nas, request in asked]
    assert [params["factor"] for params in world.asked("alice")] == ["sms"]
    again = next(reply for reply in replies if reply is not None and reply.code == ACCESS_CHALLENGE)
    assert codes([nases[1].ask(alice.user, code, state_of(again.octets))]) == [ACCESS_ACCEPT]
    assert codes([nases[0].ask(alice.user, code, state_of(again.octets))]) == [ACCESS_REJECT]


def test_a_store_with_another_certificate(world: World, redis: Redis) -> None:
    """It is none, and hears no password; the nodes go on."""
    world.config["shared_state"]["ssl_server_name"] = "another.test"
    world.add_section()
    alice = world.add_user("alice")
    world.start()
    assert codes([world.nas().ask(alice.user, alice.password)]) == [ACCESS_ACCEPT]
    assert "shared_state.down" in world.wait_log("shared_state.down")
    assert "another.test" in world.log()


def test_an_answer_at_both_at_once(world: World, redis: Redis) -> None:
    """Whichever node has the answer to the challenge, the other one waits for what comes of it."""
    world.add_section(kind="radius_server_challenge")
    users = [world.add_user(f"user{number}", answer=None) for number in range(8)]
    start(world)
    nases = world.nas(), world.nas(address=THERE)
    asked = []
    for user in users:
        reply = nases[0].ask(user.user, user.password)
        assert reply is not None
        for nas in nases if len(asked) % 4 else nases[::-1]:
            request = nas.login(user.user, "1", state_of(reply.octets))
            nas.send(request)
            asked.append((nas, request))
    for user in users:
        wait_for_push(world, user.user)
    time.sleep(2)
    for user in users:
        world.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * len(asked)
    assert all(len(world.asked(user.user)) == 1 for user in users)


@pytest.mark.long
def test_attempts_that_the_store_has_missed(world: World, tap: RedisTap) -> None:
    """A10: that a password was right is told when the store is back; else the user would be held for it."""
    world.add_section(failures_per_client=0)
    world.config["ad_client"]["failures_per_user"] = 4
    alice = world.add_user("alice")
    node = world.start()
    nas = world.nas()
    lost = 0

    def loses(name: str, command: list[bytes]) -> Fate | None:
        return Fate.CUT if name == "DECIDED" and lost else None

    tap.hook = loses
    for _ in range(3):
        wait_for(lambda: node.metric("authproxy_shared_state_up") == 1, 20)
        lost = 1
        assert codes([nas.ask(alice.user, alice.password)]) == [ACCESS_ACCEPT]
        wait_for(lambda: node.metric("authproxy_shared_state_up") == 0)
        lost = 0
    wait_for(lambda: node.metric("authproxy_shared_state_up") == 1, 20)
    counted = node_attempts(tap)
    assert counted == 0, counted


def node_attempts(tap: RedisTap) -> int:
    """How many attempts count against anybody."""
    count = """
local all = 0
for _, key in ipairs(redis.call('KEYS', '*:attempts:*')) do all = all + redis.call('ZCARD', key) end
return all
"""
    return int(tap.redis.own("EVAL", count, "0"))


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"+" * (2 << 20),
    ],
    ids=["nothing", "ssh", "http", "alert", "much"],
)
def test_another_server_at_its_port(world: World, redis: Redis, says: bytes) -> None:
    """It isn't the store, and nobody waits for it; with and without TLS."""
    world.add_section()
    alice = world.add_user("alice")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=greet, args=(server, says), daemon=True).start()
        world.config["shared_state"]["port"] = server.getsockname()[1]
        first = world.start()
        for name in ("ssl_ca_certs_file", "ssl_server_name"):
            del world.config["shared_state"][name]
        world.config["shared_state"]["transport"] = "clear"
        second = world.start_node(THERE)
        for address in ("127.0.0.1", THERE):
            began = time.monotonic()
            assert codes([world.nas(address=address).ask(alice.user, alice.password)]) == [ACCESS_ACCEPT]
            assert time.monotonic() - began < 2
        for node in (first, second):
            wait_for(lambda node=node: downs(node) == 1)
            assert node.metric("authproxy_shared_state_up") == 0
        world.close()


def greet(server: socket.socket, says: bytes) -> None:
    """Until it is closed. Who connects is kept."""
    kept = []
    with contextlib.suppress(OSError):
        while True:
            client = server.accept()[0]
            kept.append(client)
            with contextlib.suppress(OSError):
                client.sendall(says)


def test_a_factor_alone_at_both(world: World, redis: Redis) -> None:
    """A section that checks no password: the same moment, one push."""
    world.add_section(kind="radius_server_duo_only")
    users = [world.add_user(f"user{number}", answer=None) for number in range(4)]
    start(world)
    nases = world.nas(), world.nas(address=THERE)
    asked = [(nas, nas.login(user.user, "push", PLACE)) for user in users for nas in nases]
    for nas, request in asked:
        nas.send(request)
    time.sleep(2)
    for user in users:
        world.cloud.decide(user.user, "allow")
    assert codes(nas.receive(request) for nas, request in asked) == [ACCESS_ACCEPT] * len(asked)
    assert all(len(world.asked(user.user)) == 1 for user in users)
