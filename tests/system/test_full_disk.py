"""A14: a disk without room and a log that nobody reads neither stop logins nor grant any; and say so."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import World, wait_for
from tests.system.parts.small_disk import SmallDisk

pytestmark = [pytest.mark.system, pytest.mark.long]


@pytest.fixture
def disk(world: World) -> Iterator[SmallDisk]:
    """Logs and state stand on it."""
    with SmallDisk(world.home / "disk", 1024 * 1024) as made:
        world.config["main"] |= {
            "log_dir": str(world.home / "disk" / "log"),
            "state_dir": str(world.home / "disk" / "state"),
        }
        (world.home / "log").symlink_to(world.home / "disk" / "log")
        (world.home / "state").symlink_to(world.home / "disk" / "state")
        yield made
        world.close()


def test_a_full_disk(world: World, disk: SmallDisk) -> None:
    """Both factors still let in, an outage lets nobody in, a latch holds though it can't be kept; then all is made up
    for: the door's events are written first, what was lost is counted, the latch outlives the next crash."""
    world.add_section("door", failmode="safe", api_timeout=2, api_connect_timeout=1, denial_memory=0)
    users = [world.add_user(f"user{number}") for number in range(4)]
    world.audit_works = False  # not all that happens is written
    world.start()
    nas = world.nas()
    disk.fill()
    assert codes([nas.ask(users[0].user, users[0].password)]) == [ACCESS_ACCEPT]  # signed: it latches
    assert codes([nas.ask(users[0].user, users[0].password, message_authenticator=False, timeout=0.5)]) == [
        None
    ]
    world.cloud.become("refused")
    assert codes([nas.ask(users[1].user, users[1].password)]) == [ACCESS_REJECT]
    failing = wait_for(
        lambda: [one for one in alarms(world) if one["alarm"] == "log_failing" and one["subject"] == "audit"],
        10,
    )
    assert "No space left on device" in failing[0]["text"]
    assert world.running.metric("authproxy_log_outlet_failing", outlet="audit") == 1
    ready = json.loads(world.running.get("/readyz").body)
    assert any(re.search("audit: can't be written", warning) for warning in ready["warnings"])
    disk.free()
    wait_for(lambda: "log_recovered" in {one["alarm"] for one in alarms(world)}, 10)
    assert codes([nas.ask(users[2].user, users[2].password)]) == [ACCESS_ACCEPT]
    (opened,) = world.audit(username=users[2].user, decision="accept")
    assert opened["fail_open"] is True
    assert world.audit(username=users[1].user, reason="fail_open") == []
    # The latch is written down once there is room, by the next look at the disk.
    latches = world.home / "state" / "message-authenticator-seen.json"
    wait_for(lambda: latches.exists() and "door/nas" in latches.read_text(), 40)
    world.running.kill()
    world.cloud.become("well")
    world.start()
    assert codes([nas.ask(users[3].user, users[3].password, message_authenticator=False, timeout=0.5)]) == [
        None
    ]
    assert codes([nas.ask(users[3].user, users[3].password)]) == [ACCESS_ACCEPT]


def alarms(world: World) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(world.running.get("/status").body)["alarms"]
    return found


def test_a_log_that_nobody_reads(world: World) -> None:
    """Standard output is a pipe that is full from the start, as with a stopped reader of a container's log."""
    world.config["main"] |= {"log_stdout": True, "debug": True}
    world.add_section("vpn")
    users = [world.add_user(f"user{number}") for number in range(30)]
    pipe = world.folder / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(held, b"x" * 4096)
    world.start(prefix=["sh", "-c", 'exec "$@" > "$0"', str(pipe)])
    nas = world.nas()
    began = time.monotonic()
    replies = nas.exchange_all([nas.login(user.user, user.password) for user in users])
    assert codes(replies) == [ACCESS_ACCEPT] * 30
    assert time.monotonic() - began < 10
    assert len(world.wait_audit(30, decision="accept")) == 30
    assert world.running.get("/livez").status == 200
    assert world.running.stop() == 0
    os.close(held)


def test_what_was_promised_before_a_crash_is_true_after(world: World) -> None:
    """SIGKILL at once behind an Accept: its record, the latch, the proof and the door's count are on the disk."""
    world.add_section("door", failmode="safe", api_timeout=2, api_connect_timeout=1, fail_open_max_per_hour=1)
    first, second = world.add_user("alice"), world.add_user("bob")
    world.start()
    world.cloud.become("refused")
    nas = world.nas()
    assert codes([nas.ask(first.user, first.password)]) == [ACCESS_ACCEPT]
    world.running.kill()
    for line in Path(world.home / "log" / "authevents.log").read_text().splitlines():
        json.loads(line)
    (event,) = world.audit(username=first.user, decision="accept")
    assert event["fail_open"] is True
    world.start(proven=False)
    assert codes([nas.ask(second.user, second.password, message_authenticator=False, timeout=0.5)]) == [None]
    assert codes([nas.ask(second.user, second.password)]) == [ACCESS_REJECT]
    (event,) = world.wait_audit(username=second.user, decision="reject")
    assert (event["reason"], event["why"]) == ("fail_closed", "max_per_hour")
