"""Open challenges, by State (RFC 2865 §5.24). No sockets, no clock of its own.

A State isn't looked up but sealed: it says itself which user and client it belongs to, when it expires, and that the
password was right. So it survives a restart, if the key does (R39, H3). What a seal can't say is kept here, and
shared with the other nodes, where they share anything (H4): which States were answered already (R40), and what the
primary's Accept carried.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Protocol

from authproxy.pipeline.nodes import Nodes, Turn
from authproxy.pipeline.ports import Admission, Carrying
from authproxy.pipeline.request import AuthRequest
from authproxy.values import light_dataclass

# kind, round, issued, expires (Unix seconds), id, digest of section and client, digest of the typed name
_SEALED = struct.Struct("!BBII8s12s12s")
MAX_STATE = 253  # octets: an attribute's value
_SKEW = 60  # seconds that two nodes' clocks may differ (A15)
# Answered ones that are remembered until they expire: some 870 answers a second, for 300 s.
_MOST_ANSWERED = 262_144
_MOST_HELD = 65_536


class Kind(IntEnum):
    """What the challenge asked for. The numbers are part of the sealed form."""

    FACTOR = 1
    ENROLL = 2
    ALONE = 3  # a factor with no password before it


@light_dataclass(frozen=True, slots=True)
class Pending:
    """A login that waits for its user's answer; its password was right, unless ALONE. `round` counts prompts from 1."""

    kind: Kind
    username: str  # the one that the primary confirmed
    round: int = 1
    dn: str = ""
    carried: object = None
    groups: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    admitted_by: Admission | None = None
    # Read from the seal alone, after a restart or at another node: what the primary's Accept carried is gone.
    restored: bool = False
    answered: bool = False  # another node has taken the answer: there is only what comes of it


class Forged(Exception):
    """A State that must not be accepted; `cause` is for the audit."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Seal(Protocol):
    """Authenticated encryption with a key that only this installation has."""

    def is_own(self, token: bytes) -> bool:
        """Whether the token claims to be made by this installation."""

    def seal(self, octets: bytes) -> bytes:
        """A State that contains these octets."""

    def open(self, token: bytes) -> bytes | None:
        """The octets in a State. None: somebody else made it, or it was changed."""

    def length(self, octets: int) -> int:
        """The length of a State that contains so many octets, in octets."""


class Memory(Protocol):
    """Which States were answered, over a restart."""

    @property
    def known(self) -> Mapping[bytes, int]:
        """Identifiers, and when each expires."""

    @property
    def none_before(self) -> int:
        """States that were made before it count as answered: what was known of them is lost."""

    def add(self, identifier: bytes, expires: int) -> None:
        """Raises nothing."""


@dataclass(slots=True)
class NoMemory:
    """Nothing is known of what was before."""

    known: Mapping[bytes, int] = field(default_factory=dict)
    none_before: int = 0

    def add(self, identifier: bytes, expires: int) -> None: ...


class Challenges:
    """The challenges of one section."""

    def __init__(
        self,
        seal: Seal,
        *,
        lifetime: float,
        wall_clock: Callable[[], float],
        new_id: Callable[[], bytes],
        clock: Callable[[], float] = lambda: math.inf,
        memory: Memory | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        """`lifetime`: seconds, at most 65,535; `new_id`: 8 random octets; `clock`: monotonic seconds.

        `nodes` None: nobody shares anything with this one.
        """
        self._nodes = nodes
        self._memory = NoMemory() if memory is None else memory
        self._seal = seal
        self._lifetime = int(lifetime)
        self._wall_clock = wall_clock
        self._new_id = new_id
        self._clock = clock
        # Until when, by both clocks.
        self._answered: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        self._held: OrderedDict[bytes, tuple[int, Pending]] = OrderedDict()
        until = clock() + self._lifetime
        for identifier, expires in sorted(self._memory.known.items(), key=lambda each: each[1]):
            self._answered[identifier] = (expires, until)

    def __len__(self) -> int:
        return len(self._held)

    async def put(self, request: AuthRequest, pending: Pending, carrying: Carrying) -> bytes:
        """As `issue`, and every node can take the answer."""
        identifier, state = self._issue(request, pending)
        if self._nodes is not None:
            await self._nodes.keep(identifier, _packed(pending, carrying), self._lifetime)
        return state

    def issue(self, request: AuthRequest, pending: Pending) -> bytes:
        """The State of a new challenge. It is valid for one answer, from the same client and the same name."""
        return self._issue(request, pending)[1]

    def _issue(self, request: AuthRequest, pending: Pending) -> tuple[bytes, bytes]:
        now = int(self._wall_clock())
        identifier = self._new_id()
        expires = now + self._lifetime
        head = _SEALED.pack(
            pending.kind,
            pending.round,
            now,
            expires,
            identifier,
            _whence(request),
            _hashed(request.username.canonical),
        )
        name = pending.username.encode()
        if self._seal.length(len(head) + len(name)) > MAX_STATE:
            name = b""  # the State alone can't answer for a name that long
        self._forget(now)
        self._held[identifier] = (expires, pending)
        return identifier, self._seal.seal(head + name)

    def is_own(self, state: bytes) -> bool:
        return self._seal.is_own(state)

    def awaits(self, state: bytes) -> bool:
        """Whether the State belongs to a challenge that is still open. It doesn't check who answers it."""
        opened = self._seal.open(state)
        if opened is None or len(opened) < _SEALED.size:
            return False
        _, _, _, expires, identifier, _, _ = _SEALED.unpack_from(opened)
        return int(self._wall_clock()) < expires and identifier not in self._answered

    async def answer(self, request: AuthRequest, carrying: Carrying) -> Pending:
        """As `take`, once for all nodes together.

        If another node has it, what comes back is `answered`: the same request may wait there. Raises Forged.
        """
        identifier, pending = self._take(request)
        if self._nodes is None:
            return _named(pending)
        turn, kept = await self._nodes.answer(identifier, self._lifetime)
        if turn is Turn.UNKNOWN and pending.restored:
            raise Forged("nodes_unreachable")  # H5: another one may have taken it
        if pending.restored and kept:
            pending = _unpacked(pending, kept, carrying)
        if turn is Turn.AGAIN:
            if pending.kind is Kind.ENROLL:
                raise Forged("answered")
            pending = replace(pending, answered=True)
        return _named(pending)

    def take(self, request: AuthRequest) -> Pending:
        """The login that this State continues. It can be taken only once.

        Raises Forged: unknown, changed, expired, answered before, or of another client, user or section.
        """
        return _named(self._take(request)[1])

    def _take(self, request: AuthRequest) -> tuple[bytes, Pending]:
        opened = self._seal.open(request.state)
        if opened is None or len(opened) < _SEALED.size:
            raise Forged("unknown")
        kind, round_, issued, expires, identifier, whence, typed = _SEALED.unpack_from(opened)
        now = int(self._wall_clock())
        if whence != _whence(request):
            raise Forged("another_client")
        if typed != _hashed(request.username.canonical):
            raise Forged("another_user")
        if now >= expires or issued > now + _SKEW:
            raise Forged("expired")
        if identifier in self._answered or issued < self._memory.none_before:
            raise Forged("answered")
        self._forget(now)
        if len(self._answered) >= _MOST_ANSWERED:
            raise Forged("too_many")  # forgetting one early would let it be answered twice
        self._answered[identifier] = (expires, self._clock() + self._lifetime)
        self._memory.add(identifier, expires)
        _, held = self._held.pop(identifier, (0, None))
        if held is None:
            held = Pending(Kind(kind), opened[_SEALED.size :].decode(), round_, restored=True)
        return identifier, held

    def _forget(self, now: int) -> None:
        # A15: by the wall clock alone, one that is set forth and back would let a State be answered twice.
        while self._answered:
            expires, until = next(iter(self._answered.values()))
            if expires > now or until > self._clock():
                break
            self._answered.popitem(last=False)
        while self._held and (len(self._held) >= _MOST_HELD or next(iter(self._held.values()))[0] <= now):
            self._held.popitem(last=False)


def _named(pending: Pending) -> Pending:
    if not pending.username:
        raise Forged("forgotten")
    return pending


def _packed(pending: Pending, carrying: Carrying) -> bytes:
    """What a State has no room for."""
    carried = base64.b64encode(carrying.pack(pending.carried)).decode()
    return json.dumps({"username": pending.username, "dn": pending.dn, "carried": carried}).encode()


def _unpacked(pending: Pending, octets: bytes, carrying: Carrying) -> Pending:
    """With what another node has kept. Raises Forged: it can't be read, or belongs to somebody else."""
    try:
        kept = json.loads(octets)
        username, dn = str(kept["username"]), str(kept["dn"])
        carried = carrying.unpack(base64.b64decode(kept["carried"], validate=True))
    except (ValueError, KeyError, TypeError):
        raise Forged("forgotten") from None
    if pending.username not in ("", username):
        raise Forged("another_user")
    return replace(pending, username=username, dn=dn, carried=carried, restored=False)


def _whence(request: AuthRequest) -> bytes:
    return _hashed(f"{request.section}\0{request.client}")


def _hashed(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:12]
