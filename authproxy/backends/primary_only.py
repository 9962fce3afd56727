"""Primary-only: for a while, and by command, sections with `failmode: safe` accept a password without asking the cloud.

The order is a file in `main.state_dir`, which only root and the proxy's own user can write, sealed with the key there.
It contains its end, at most four hours later, by the wall clock and by one that can't be set. Any other file in its
place has no effect.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from authproxy.backends.lasting_clock import Boot, this_boot
from authproxy.backends.state_dir import lasting_key
from authproxy.observe.doors import DoorEventKind, DoorEvents
from authproxy.observe.lines import timestamp
from authproxy.observe.log import Log
from authproxy.values import light_dataclass

FILE_NAME = "primary-only.json"
DEFAULT_MINUTES, MOST_MINUTES = 60, 240  # as in the existing product
_SKEW = 60.0  # seconds that the clock may have been set back in since
_MOST_OCTETS = 65_536
_OTHERS_WRITE = 0o022


class OrderRefused(Exception):
    """The file isn't a valid order. The text says why, and contains nothing of the file."""


@light_dataclass(frozen=True, slots=True)
class Order:
    """`sections`: names; empty: all safe sections. `began`: seconds since 1970; `boot`: the same moment by the other
    clock.
    """

    began: float
    minutes: int
    boot: Boot
    sections: tuple[str, ...] = ()

    @property
    def until(self) -> float:
        return self.began + self.minutes * 60

    def holds(self, wall: float, now: Boot) -> bool:
        """Whether it is in effect, by both clocks; by the wall clock alone after the machine was restarted."""
        if not self.began - _SKEW <= wall < self.until:
            return False
        if self.boot.id != now.id or not now.id:
            return True
        return 0 <= now.seconds - self.boot.seconds < self.minutes * 60

    def covers(self, section: str) -> bool:
        return not self.sections or section in self.sections


def give(folder: Path, order: Order) -> None:
    """Write the order to where the proxy looks. As root, give it to the folder's owner. Raises
    OSError, StateUnusable.
    """
    key = lasting_key(folder / "key")
    said = _content(order)
    octets = json.dumps(said | {"seal": _seal(said, key)}).encode()
    new = folder / f"{FILE_NAME}.{os.getpid()}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            if os.geteuid() == 0:
                owner = folder.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(file.fileno())
        new.replace(folder / FILE_NAME)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def take_back(folder: Path) -> bool:
    """Remove the order. Returns whether there was one. Raises OSError."""
    try:
        (folder / FILE_NAME).unlink()
    except FileNotFoundError:
        return False
    return True


def read(path: Path, key: bytes) -> Order | None:
    """The order in the file, in effect or not; None: there is none. Raises OrderRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OrderRefused(error.strerror or "can't be opened") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OrderRefused("not a file")
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & _OTHERS_WRITE:
            raise OrderRefused("others could have written it")
        return _order(os.read(descriptor, _MOST_OCTETS + 1), key)
    except OSError as error:
        raise OrderRefused(error.strerror or "can't be read") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise OrderRefused("not an order of this version") from None
    finally:
        os.close(descriptor)


def _order(octets: bytes, key: bytes) -> Order:
    if len(octets) > _MOST_OCTETS:
        raise OrderRefused("too long")
    content = json.loads(octets)
    seal = content.pop("seal")
    # First the seal: what follows is then what `give` wrote.
    if not isinstance(seal, str) or not hmac.compare_digest(seal.encode(), _seal(content, key).encode()):
        raise OrderRefused("the seal is wrong")
    order = Order(
        float(content["began"]),
        content["minutes"],
        Boot(str(content["boot"]), float(content["seconds"])),
        tuple(map(str, content["sections"])),
    )
    if content["version"] != 1 or type(order.minutes) is not int or not 1 <= order.minutes <= MOST_MINUTES:
        raise OrderRefused("not an order that can be given")
    return order


def _content(order: Order) -> dict[str, Any]:
    return {
        "version": 1,
        "began": order.began,
        "minutes": order.minutes,
        "boot": order.boot.id,
        "seconds": order.boot.seconds,
        "sections": list(order.sections),
    }


def _seal(content: dict[str, Any], key: bytes) -> str:
    said = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, b"primary only 1\0" + said.encode(), hashlib.sha256).hexdigest()


class PrimaryOnly:
    """The daemon's side. It survives reloads."""

    def __init__(
        self,
        path: Path | None,
        *,
        key: bytes,
        log: Log,
        doors: DoorEvents,
        wall_clock: Callable[[], float] = time.time,
        boot: Callable[[], Boot] = this_boot,
    ) -> None:
        """`path` None: there are no orders, for building without serving."""
        self._path = path
        self._key = key
        self._log = log
        self._doors = doors
        self._wall_clock = wall_clock
        self._boot = boot
        self._seen: object = None  # what the file was when it was read
        self._order: Order | None = None
        self._told: dict[str, float] = {}  # sections that are known to be in it, and until when

    def until(self, section: str) -> float | None:
        """Until when the order covers this section, in seconds since 1970; None: it doesn't. Reads the
        file each time.
        """
        self._refresh()
        order = self._order
        holds = order is not None and order.covers(section) and order.holds(self._wall_clock(), self._boot())
        return order.until if order is not None and holds else None

    def look(self, safe: Iterable[str]) -> None:
        """Report what has begun and ended. `safe`: the names of the sections that an order can cover."""
        now = {section: until for section in safe if (until := self.until(section)) is not None}
        for section, until in now.items():
            if self._told.get(section) != until:
                why = f"until {timestamp(until)}"
                self._doors.of(section)(DoorEventKind.PRIMARY_ONLY_BEGAN, why=why)
        for section, until in self._told.items():
            if section not in now:
                over = self._wall_clock() >= until
                self._doors.of(section)(DoorEventKind.PRIMARY_ONLY_ENDED, why="over" if over else "stopped")
        self._told = now
        if self._order is not None and not self._order.holds(self._wall_clock(), self._boot()):
            self._remove()

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            status = self._path.lstat()
            seen: object = (status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode, status.st_uid)
        except OSError as error:
            seen = error.errno
        if seen == self._seen:
            return
        self._seen, self._order = seen, None
        try:
            self._order = read(self._path, self._key)
        except OrderRefused as refused:
            self._log.error(
                "primary_only.refused", file=self._path, problem=str(refused), effect="it has no effect"
            )

    def _remove(self) -> None:
        """An order that is over must not hold again when somebody sets the clock."""
        self._order = None
        assert self._path is not None  # noqa: S101 - an order came from there
        with contextlib.suppress(OSError):
            self._path.unlink()
