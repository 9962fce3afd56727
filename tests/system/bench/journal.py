"""What happened, in one order, whichever fake saw it. The oracles read this and nothing else of the fakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    order: int
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusRequest(Event):
    """A datagram left a NAS. `password` is what its user typed; empty when the octets are no login."""

    nas: tuple[str, int]
    octets: bytes
    user: str = ""
    password: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusReply(Event):
    """A datagram came back; `request` is the order of the first request that it answers, 0 for none."""

    nas: tuple[str, int]
    octets: bytes
    source: tuple[str, int]
    request: int

    @property
    def code(self) -> int:
        return self.octets[0] if self.octets else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryBind(Event):
    """The directory answered a bind. `user` is the account behind the name that was used, '' if none."""

    name: str
    user: str
    password: bytes
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimarySearch(Event):
    base: str
    filter: str
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRequest(Event):
    """A request with a right signature (or ping, which has none)."""

    endpoint: str
    params: dict[str, str]
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRefused(Event):
    """A request that a strict service turns away."""

    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudVerdict(Event):
    """`result` as it was sent, complete, to the proxy: allow or deny (not waiting, not auth)."""

    endpoint: str
    user: str
    result: str
    txid: str = ""


E = TypeVar("E", bound=Event)


class Journal:
    """Thread-safe. `order` counts from 1 and is the order in which the fakes reported."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._events: list[Event] = []

    def add(self, kind: Callable[..., E], /, **fields: object) -> E:
        with self._lock:
            event = kind(order=len(self._events) + 1, **fields)
            self._events.append(event)
            self._lock.notify_all()
        return event

    def all(self, kind: type[E], where: Callable[[E], bool] = lambda _: True) -> list[E]:
        with self._lock:
            return [event for event in self._events if isinstance(event, kind) and where(event)]

    def wait(
        self,
        kind: type[E],
        where: Callable[[E], bool] = lambda _: True,
        *,
        count: int = 1,
        timeout: float = 10,
    ) -> list[E]:
        """The events of this kind, once there are `count` of them."""
        with self._lock:
            found = self._lock.wait_for(lambda: len(self._matching(kind, where)) >= count, timeout)
            matching = self._matching(kind, where)
        assert found, f"{len(matching)} of {count} {kind.__name__} after {timeout} s"
        return matching

    def _matching(self, kind: type[E], where: Callable[[E], bool]) -> list[E]:
        return [event for event in self._events if isinstance(event, kind) and where(event)]
