"""What happened, in one order, whichever fake saw it. The oracles read this and nothing else of the fakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`at`: monotonic seconds."""

    order: int
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusRequest(Event):
    """A datagram left a NAS. `password` is what its user typed; empty when the octets are no login."""

    nas: tuple[str, int]
    server: tuple[str, int]
    octets: bytes
    user: str = ""
    password: bytes = field(default=b"", repr=False)
    station: bytes = b""

    @property
    def code(self) -> int:
        return self.octets[0] if self.octets else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RadiusReply(Event):
    """A datagram came back. `request`: the order of the first request whose authenticator signs it; 0 for none."""

    nas: tuple[str, int]
    octets: bytes
    source: tuple[str, int]
    request: int

    @property
    def code(self) -> int:
        return self.octets[0] if self.octets else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapBind(Event):
    """A simple bind left an LDAP client. `station`: its address; `first`: on its connection."""

    server: tuple[str, int]
    user: str
    password: bytes = field(repr=False)
    station: bytes = b""
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapResult(Event):
    """The answer to a bind. `request`: the order of the bind; 0 for none."""

    request: int
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryBind(Event):
    """The directory answered a bind. `user` is the account behind the name that was used, '' if none."""

    name: str
    user: str
    password: bytes = field(repr=False)
    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimarySearch(Event):
    base: str
    filter: str
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryRefused(Event):
    """What a strict directory turns away: not LDAP, or not allowed at this point."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRequest(Event):
    """A request with a right signature (or ping, which has none). `host`: which service, where there are several."""

    endpoint: str
    params: dict[str, str]
    user: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRefused(Event):
    """A request that a strict service turns away."""

    path: str
    why: str
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudVerdict(Event):
    """`result` as it goes out, complete, to the proxy: allow, deny, auth or enroll (not waiting).

    `began`: the order of the request that began this transaction: the preauth, or the auth behind the verdict.
    """

    endpoint: str
    user: str
    result: str
    began: int
    txid: str = ""
    host: str = ""


E = TypeVar("E", bound=Event)


class Journal:
    """Thread-safe. `order` counts from 1 and is the order in which the fakes reported."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._forgotten = 0

    def __len__(self) -> int:
        with self._changed:
            return self._forgotten + len(self._events)

    def forget(self) -> None:
        """All that has been judged, in a run that lasts hours. The count goes on."""
        with self._changed:
            self._forgotten += len(self._events)
            self._events.clear()

    def add(self, kind: Callable[..., E], /, **fields: object) -> E:
        with self._changed:
            event = kind(order=self._forgotten + len(self._events) + 1, **fields)
            self._events.append(event)
            self._changed.notify_all()
        return event

    def all(self, kind: type[E], where: Callable[[E], bool] = lambda _: True, *, since: int = 0) -> list[E]:
        """The events of this kind, of an order beyond `since`."""
        with self._changed:
            return self._matching(kind, where, since)

    def wait(
        self,
        kind: type[E],
        where: Callable[[E], bool] = lambda _: True,
        *,
        since: int = 0,
        count: int = 1,
        timeout: float = 10,
    ) -> list[E]:
        """The events of this kind, once there are `count` of them."""
        matching: list[E] = []
        seen = since
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                matching += self._matching(kind, where, seen)
                seen = self._forgotten + len(self._events)
                if len(matching) >= count:
                    return matching
                left = deadline - time.monotonic()
                assert left > 0, f"{len(matching)} of {count} {kind.__name__} after {timeout} s"
                self._changed.wait(left)

    def _matching(self, kind: type[E], where: Callable[[E], bool], since: int) -> list[E]:
        return [
            event
            for event in self._events[max(0, since - self._forgotten) :]
            if isinstance(event, kind) and where(event)
        ]
