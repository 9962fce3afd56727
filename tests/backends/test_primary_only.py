"""An order that switches the second factor off: how long it holds, and what is none."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authproxy.backends import primary_only
from authproxy.backends.lasting_clock import Boot
from authproxy.backends.primary_only import FILE_NAME, Order, OrderRefused, PrimaryOnly, give, read, take_back
from authproxy.backends.state_dir import lasting_key
from authproxy.observe.doors import DoorEvent, DoorEventKind, DoorEvents
from tests.listeners.radius.world import Log

BEGAN, ENDED = DoorEventKind.PRIMARY_ONLY_BEGAN, DoorEventKind.PRIMARY_ONLY_ENDED


class World:
    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / FILE_NAME
        self.key = lasting_key(folder / "key")
        self.wall, self.boot = 1_000_000.0, Boot("first", 500.0)
        self.log = Log()
        self.seen: list[DoorEvent] = []
        self.restart()

    def restart(self) -> None:
        doors = DoorEvents(self.log)
        doors.subscribe(self.seen.append)
        self.daemon = PrimaryOnly(
            self.path,
            key=self.key,
            log=self.log,
            doors=doors,
            wall_clock=lambda: self.wall,
            boot=lambda: self.boot,
        )

    def order(self, minutes: int = 60, *sections: str) -> Order:
        order = Order(self.wall, minutes, self.boot, sections)
        give(self.folder, order)
        return order

    def wait(self, seconds: float, wall: float | None = None) -> None:
        self.wall += seconds if wall is None else wall
        self.boot = Boot(self.boot.id, self.boot.seconds + seconds)

    def is_on(self, section: str = "vpn") -> bool:
        return self.daemon.until(section) is not None

    @property
    def kinds(self) -> list[tuple[DoorEventKind, str, str]]:
        return [(event.kind, event.section, event.why) for event in self.seen]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_begins_at_once_and_ends_by_itself(world: World) -> None:
    assert not world.is_on()
    order = world.order(60)
    assert world.daemon.until("vpn") == order.until == world.wall + 3600
    world.wait(3599)
    assert world.is_on()
    world.wait(1)
    assert not world.is_on()


def test_stopped_at_once(world: World) -> None:
    world.order()
    assert world.is_on()
    assert take_back(world.folder)
    assert not world.is_on()
    assert not take_back(world.folder)


def test_only_the_sections_that_it_names(world: World) -> None:
    world.order(60, "vpn")
    assert world.is_on("vpn")
    assert not world.is_on("other")


def test_a_restart_keeps_it_and_its_end(world: World) -> None:
    world.order(10)
    world.wait(300)
    world.restart()
    assert world.is_on()
    world.wait(300)
    world.restart()
    assert not world.is_on()


@pytest.mark.parametrize("step", [-3600.0, -86_400.0])
def test_a_clock_set_back_makes_it_no_longer(world: World, step: float) -> None:
    world.order(10)
    world.wait(300, wall=step)
    assert not world.is_on(), "begun in the future"
    world.wait(0, wall=-step + 300)
    assert world.is_on()
    world.wait(300, wall=-30)
    assert not world.is_on(), "the clock that can't be set says that it is over"


def test_an_order_that_is_over_does_not_come_back(world: World) -> None:
    """The machine starts anew, and the clock is set back."""
    world.order(10)
    world.daemon.look(["vpn"])
    world.wait(600)
    world.daemon.look(["vpn"])
    assert not world.path.exists()
    world.boot = Boot("second", 1.0)
    world.wall -= 600
    world.restart()
    assert not world.is_on()


def test_told(world: World) -> None:
    """Sections that aren't safe are never named, whatever the order says."""
    world.order(10)
    for _ in range(3):
        world.daemon.look(["vpn"])
    assert world.kinds == [(BEGAN, "vpn", "until 1970-01-12T13:56:40.000000Z")]
    world.wait(600)
    world.daemon.look(["vpn"])
    assert world.kinds[1:] == [(ENDED, "vpn", "over")]
    world.order(10)
    world.daemon.look(["vpn"])
    take_back(world.folder)
    world.daemon.look(["vpn"])
    assert world.kinds[3:] == [(ENDED, "vpn", "stopped")]


def test_a_longer_order_is_told_anew(world: World) -> None:
    world.order(10)
    world.daemon.look(["vpn"])
    world.order(20)
    world.daemon.look(["vpn"])
    assert [kind for kind, _, _ in world.kinds] == [BEGAN, BEGAN]


def sealed(world: World, **changes: Any) -> bytes:
    """What somebody with the key could write."""
    order = Order(world.wall, 60, world.boot)
    content = primary_only._content(order) | changes
    return json.dumps(content | {"seal": primary_only._seal(content, world.key)}).encode()


FORGERIES: dict[str, Callable[[World], bytes]] = {
    "empty": lambda _: b"",
    "garbage": lambda _: b"\xff\x00garbage",
    "no object": lambda _: b"[]",
    "null": lambda _: b"null",
    "nested": lambda _: b"[" * 60_000,
    "long": lambda world: sealed(world) + b" " * 70_000,
    "no seal": lambda world: json.dumps(primary_only._content(Order(world.wall, 60, world.boot))).encode(),
    "another key": lambda world: _with_key(world, b"x" * 32),
    "a seal of no text": lambda world: sealed(world).replace(b'"seal": "', b'"seal": 1, "was": "'),
    "longer than it was given": lambda world: sealed(world).replace(b'"minutes": 60', b'"minutes": 240'),
    "more sections": lambda world: sealed(world, sections=["a"]).replace(b'["a"]', b"[]"),
    "begun later": lambda world: sealed(world).replace(b"1000000.0", b"1000900.0"),
    "too long to be given": lambda world: sealed(world, minutes=241),
    "no minutes": lambda world: sealed(world, minutes=0),
    "true minutes": lambda world: sealed(world, minutes=True),
    "another version": lambda world: sealed(world, version=2),
    "text for a time": lambda world: sealed(world, began="soon"),
}


def _with_key(world: World, key: bytes) -> bytes:
    content = primary_only._content(Order(world.wall, 60, world.boot))
    return json.dumps(content | {"seal": primary_only._seal(content, key)}).encode()


@pytest.mark.parametrize("name", FORGERIES)
def test_whatever_else_the_file_is_opens_nothing(world: World, name: str) -> None:
    world.path.write_bytes(sealed(world))
    world.path.chmod(0o600)
    assert world.is_on(), "the real one does"
    world.path.write_bytes(FORGERIES[name](world))
    assert not world.is_on()
    assert world.log.events() == ["primary_only.refused"]
    assert not world.is_on()
    assert len(world.log.events()) == 1, "told once"


@pytest.mark.parametrize("began", [float("nan"), float("inf"), -float("inf")])
def test_times_that_are_none(world: World, began: float) -> None:
    world.path.write_bytes(sealed(world, began=began))
    assert not world.is_on()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_could_write(world: World, mode: int) -> None:
    world.order()
    world.path.chmod(mode)
    assert not world.is_on()


def test_somebody_else_s_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.order()
    theirs = os.stat_result((0o100600, 1, 1, 1, 4321, 4321, 10, 0, 0, 0))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", lambda _: theirs)
        with pytest.raises(OrderRefused, match="others"):
            read(world.path, world.key)


def test_no_file_at_all(world: World, tmp_path: Path) -> None:
    """A link, a folder, a pipe: none is read, and none is waited for."""
    world.order()
    elsewhere = tmp_path / "elsewhere"
    world.path.rename(elsewhere)
    world.path.symlink_to(elsewhere)
    assert not world.is_on()
    world.path.unlink()
    world.path.mkdir()
    assert not world.is_on()
    world.path.rmdir()
    os.mkfifo(world.path)
    assert not world.is_on()


def test_the_file_is_the_owner_s_alone(world: World) -> None:
    world.order()
    status = world.path.stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_uid == world.folder.stat().st_uid


def test_the_order_is_read_back(world: World) -> None:
    order = world.order(17, "vpn", "apps")
    assert read(world.path, world.key) == order
    assert dataclasses.replace(order, sections=()).covers("anything")
