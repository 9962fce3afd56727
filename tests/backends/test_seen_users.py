"""Who was seen with a second factor: over restarts, clocks that are set, disks and files that fail (F7)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from authproxy.backends import seen_users
from authproxy.backends.seen_users import SeenUsers
from tests.listeners.radius.world import Log

DAY = 86_400
KEY = b"k" * 32


class World:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "second-factor-seen"
        self.now = 20_000 * DAY + 40_000.0
        self.log = Log()
        self.restart()

    def restart(self, key: bytes = KEY) -> None:
        self.seen = SeenUsers(self.path, key=key, log=self.log, wall_clock=lambda: self.now)

    def within(self, days: int, user: str = "alice", section: str = "vpn") -> bool:
        return self.seen.within(section, user, days)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_seen(world: World) -> None:
    assert not world.within(30)
    world.seen.passed("vpn", "alice")
    assert world.within(1)
    assert not world.within(30, "bob")
    assert not world.within(30, section="other"), "each section for itself"
    world.now += 30 * DAY
    assert world.within(30)
    assert not world.within(29)


def test_it_lasts_over_a_restart(world: World) -> None:
    world.seen.passed("vpn", "alice")
    world.now += DAY
    world.seen.passed("vpn", "bob")
    world.restart()
    assert world.within(1)
    assert world.within(0, "bob")
    assert not world.within(0)


def test_a_line_a_day(world: World) -> None:
    for _ in range(50):
        world.seen.passed("vpn", "alice")
    assert world.path.read_bytes().count(b"\n") == 1
    assert oct(world.path.stat().st_mode & 0o777) == "0o600"


def test_the_file_names_nobody(world: World) -> None:
    world.seen.passed("vpn", "alice")
    assert b"alice" not in world.path.read_bytes()
    world.restart(b"x" * 32)
    assert not world.within(1), "and another key reads nobody out of it"


def test_a_clock_set_back_makes_nobody_seen(world: World) -> None:
    world.seen.passed("vpn", "alice")
    world.now -= 2 * DAY
    assert not world.within(3650)


def test_it_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_users, "MOST", 10)
    for number in range(12):
        world.seen.passed("vpn", f"user{number}")
    world.restart()
    assert [world.within(1, f"user{number}") for number in range(12)] == [False] * 2 + [True] * 10


def test_the_file_doesn_t_grow_for_ever(world: World) -> None:
    for _ in range(3000):
        world.now += DAY
        world.seen.passed("vpn", "alice")
    assert world.path.read_bytes().count(b"\n") <= 1003
    world.restart()
    assert world.path.read_bytes().count(b"\n") == 1
    assert world.within(0)


def test_a_full_disk_makes_nobody_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", lambda descriptor, octets: write(descriptor, octets[:5]))
        world.seen.passed("vpn", "alice")
        world.seen.passed("vpn", "alice")
        assert not world.within(1)
    assert world.log.events() == ["door.seen_users_not_written"], "told once"
    assert world.path.read_bytes() == b"", "and half a line is no line"
    world.seen.passed("vpn", "alice")
    assert world.within(1)


def test_a_last_line_cut_short(world: World) -> None:
    """A crash: the others count, and the next one begins a line."""
    world.seen.passed("vpn", "alice")
    world.path.write_bytes(world.path.read_bytes() + b"20000 abc")
    world.restart()
    assert world.within(1)
    world.seen.passed("vpn", "bob")
    world.restart()
    assert world.within(1, "bob")


@pytest.mark.parametrize("octets", [b"garbage\n", b"\n", b"20000 " + b"A" * 32 + b"\n", b"1 2\n" * 5])
def test_a_file_of_somebody_else(world: World, octets: bytes) -> None:
    """Shut: nobody is seen, whatever else stands there; and it is not written over."""
    world.seen.passed("vpn", "alice")
    octets = world.path.read_bytes() + octets
    world.path.write_bytes(octets)
    world.restart()
    world.seen.passed("vpn", "alice")
    assert not world.within(1)
    assert world.path.read_bytes() == octets
    assert world.log.events() == ["door.seen_users_unusable"]


def test_a_link_is_not_written_through(world: World, tmp_path: Path) -> None:
    target = tmp_path / "target"
    world.path.symlink_to(target)
    world.seen.passed("vpn", "alice")
    assert not target.exists()
    assert not world.within(1)
