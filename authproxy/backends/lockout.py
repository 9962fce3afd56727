"""Limits on wrong passwords of one user at one primary, below the number that locks the account there (A10).

Attempts that aren't decided yet count as wrong, so that sending a thousand at once doesn't help: those that might
exceed the limit wait for the others. The last attempt before the limit is reserved for places from which the user has
logged in before, so that guesses from elsewhere don't keep the user out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

from twisted.internet.defer import Deferred, TimeoutError

from authproxy.observe.log import Log
from authproxy.pipeline.ports import PrimaryUnavailable, RefusalKind, Refused
from authproxy.pipeline.request import AuthRequest
from authproxy.values import light_dataclass

T = TypeVar("T")

_MOST_USERS = 65_536
_MOST_PLACES = 8  # of a user's
# What tells that a password was wrong, rather than that the account is expired or closed.
_WRONG = frozenset({"bad_password", "rejected", "unknown_user"})


@light_dataclass(frozen=True, slots=True)
class LockoutRules:
    """At most `most` wrong passwords in `window` seconds. 0: no limit."""

    most: int = 4
    window: float = 900


@dataclass(slots=True)
class _User:
    """One is kept for everybody who has logged in lately: a deque alone would be half of it."""

    failures: list[float] = field(default_factory=list)
    undecided: int = 0
    places: dict[str, None] = field(default_factory=dict)  # the latest is the last
    waiting: list[Deferred[None]] = field(default_factory=list)
    held: bool = False  # and the log says so
    waking: bool = False


class SharedAttempts(Protocol):
    """What all nodes count together (H4). Nothing here raises."""

    def share(self, most: int) -> int:
        """As pipeline.nodes.Nodes."""

    async def attempt(
        self, primary: str, user: str, most: int, window: float, deadline: float
    ) -> bytes | None:
        """A token for `decided`, b"" if the others can't be asked; None: there were too many wrong ones."""

    def decided(self, primary: str, user: str, token: bytes, window: float, ended: str) -> None:
        """`ended`: `right`, `wrong`, or "" if it wasn't decided."""


HELD = Refused("too_many_failures", RefusalKind.RATE_LIMITED)


def place_of(request: AuthRequest) -> str:
    """Where the user is, as far as the client says; '' if it doesn't."""
    return request.calling_station.decode("utf-8", "backslashreplace") or request.client_ip or ""


class LockoutGuard:
    """For one primary, whatever sections ask it."""

    def __init__(
        self,
        rules: LockoutRules,
        *,
        section: str,
        reactor: Any,
        log: Log,
        shared: SharedAttempts | None = None,
    ) -> None:
        """`shared` None: this node counts for itself."""
        self._shared = shared
        self._rules = rules
        self._section = section
        self._reactor = reactor
        self._log = log
        self._users: OrderedDict[str, _User] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    async def attempt(
        self,
        user: str,
        place: str,
        deadline: float,
        prove: Callable[[], Awaitable[T]],
        cause: Callable[[T], str | None],
    ) -> T | Refused:
        """What `prove` returns, or HELD without calling it.

        `place`: where the user is, '' if unknown. `cause`: the audit's word for a refusal, None for a right password,
        '' if it isn't decided. Raises what `prove` raises, and PrimaryUnavailable if the other attempts weren't decided
        in time.
        """
        if not self._rules.most:
            return await prove()
        known = self._user(user)
        while known.undecided >= (left := self._left(known, place)):
            if left <= 0:
                self._tell(user, known)
                return HELD
            await self._others(known, deadline)
        known.undecided += 1
        try:
            if self._shared is None:
                proof: T | Refused = await prove()
            else:
                proof = await self._among_nodes(self._shared, known, user, place, deadline, prove, cause)
            if proof is not HELD:
                self._decided(known, place, cause(cast(T, proof)))
            return proof
        finally:
            known.undecided -= 1
            if known.waiting:
                self._wake(known)
            kept = known.failures or known.undecided or known.waiting or known.places or known.held
            if not kept:
                self._users.pop(user, None)

    async def _among_nodes(
        self,
        shared: SharedAttempts,
        known: _User,
        user: str,
        place: str,
        deadline: float,
        prove: Callable[[], Awaitable[T]],
        cause: Callable[[T], str | None],
    ) -> T | Refused:
        """As `attempt`, by what the other nodes have counted."""
        most, window = self._most - self._kept(known, place), self._rules.window
        token = await shared.attempt(self._section, user, most, window, deadline)
        if token is None:
            self._tell(user, known)
            return HELD
        known.held = False
        ended = ""
        try:
            proof = await prove()
            why = cause(proof)
            ended = "right" if why is None else "wrong" if why in _WRONG else ""
            return proof
        finally:
            shared.decided(self._section, user, token, window, ended)

    def _user(self, user: str) -> _User:
        known = self._users.get(user)
        if known is None:
            known = self._users[user] = _User()
        else:
            self._users.move_to_end(user)
        if len(self._users) > _MOST_USERS:
            # The one heard of longest ago.
            oldest = next((name for name, each in self._users.items() if not each.undecided), None)
            if oldest is not None and oldest != user:
                del self._users[oldest]
        return known

    async def _others(self, known: _User, deadline: float) -> None:
        """Wait until one of the other attempts is decided. Raises PrimaryUnavailable."""
        turn: Deferred[None] = Deferred()
        turn.addTimeout(max(0.0, deadline - self._reactor.seconds()), self._reactor)
        known.waiting.append(turn)
        try:
            await turn
        except TimeoutError:
            raise PrimaryUnavailable("other attempts of this user aren't decided yet") from None

    def _left(self, known: _User, place: str) -> int:
        """How many attempts may be wrong or undecided from there, by those that were wrong; 0 or less: none."""
        if known.failures:
            now = self._reactor.seconds()
            known.failures = [at for at in known.failures if now - at < self._rules.window]
        return self._most - self._kept(known, place) - len(known.failures)

    @property
    def _most(self) -> int:
        return self._rules.most if self._shared is None else self._shared.share(self._rules.most)

    def _kept(self, known: _User, place: str) -> int:
        """How many of them are not for this place."""
        return 0 if place in known.places or self._most == 1 else 1

    def _decided(self, known: _User, place: str, cause: str | None) -> None:
        if cause is None:
            # The directory forgets wrong ones now, too.
            known.failures.clear()
            known.held = False
            if place:
                known.places.pop(place, None)
                known.places[place] = None
                while len(known.places) > _MOST_PLACES:
                    del known.places[next(iter(known.places))]
        elif cause in _WRONG:
            known.failures.append(self._reactor.seconds())

    def _wake(self, known: _User) -> None:
        """As many as may go now; all, when none may."""
        if known.waking:
            return
        known.waking = True
        try:
            for _ in range(len(known.waiting)):
                left = self._most - len(known.failures)
                if 0 < left <= known.undecided:
                    return
                turn = known.waiting.pop(0)
                if not turn.called:
                    turn.callback(None)
        finally:
            known.waking = False

    def _tell(self, user: str, known: _User) -> None:
        if known.held:
            return
        known.held = True
        self._log.warn(
            "login.user_held",
            section=self._section,
            user=user,
            failures=len(known.failures),
            seconds=int(self._rules.window),
            todo="find out who is guessing this password; keep failures_per_user below the directory's "
            "own limit",
        )
