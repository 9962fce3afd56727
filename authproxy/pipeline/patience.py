"""How long clients wait, learnt from when they repeat a request and when they stop. No sockets, no clock.

A push takes a person twenty seconds or more, and many clients give up after three to fifteen. The person then approves,
but the client has gone. A client's settings can't be read from here. But a client that repeats its request every five
seconds, and has been silent for fifteen, has given up.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field

from authproxy.values import light_dataclass

# A person needs this long to find the phone; who waits less gives up before many pushes are answered.
ENOUGH = 55.0
# The next repetition may be twice as far as the one before (RFC 5080 §2.2.1), and a bit; only then it is missed.
_MISSED, _GRACE = 2.5, 1.0
_KEPT = 16  # observations of each kind
_NEEDED = 3  # before one is believed: a person who hangs up looks like a client that gives up
_MOST_CLIENTS = 4096
_TELL_EVERY = 3600.0  # seconds, of each client


@light_dataclass(frozen=True, slots=True)
class StillThere:
    """It was still repeating its request when the answer came, so it waits at least `waited` seconds. `gap`: seconds
    between two requests.
    """

    waited: float
    gap: float


@light_dataclass(frozen=True, slots=True)
class GaveUp:
    """It had stopped repeating, about `after` seconds after its first request. `gap`: seconds between two requests."""

    after: float
    gap: float


@dataclass(slots=True)
class Wait:
    """One login, with the times of its requests. Times in seconds, of one clock."""

    first: float
    last: float
    gap: float = 0.0  # the longest between two questions; 0: there was one only

    def again(self, at: float) -> None:
        self.gap = max(self.gap, at - self.last)
        self.last = max(self.last, at)

    def answered(self, at: float) -> StillThere | GaveUp | None:
        """What this wait shows. None: there was only one request, which shows nothing."""
        if not self.gap:
            return None
        if at - self.last > _MISSED * self.gap + _GRACE:
            return GaveUp(self.last - self.first + self.gap, self.gap)
        return StillThere(at - self.first, self.gap)


@dataclass(slots=True)
class Patience:
    """What the last logins of one client have shown."""

    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    waited: float = 0.0  # the longest that it was seen to wait
    told_at: float = float("-inf")

    @property
    def gap(self) -> float | None:
        """Seconds between two requests; None: not known."""
        return _median(self.gaps) if self.gaps else None

    @property
    def gives_up(self) -> float | None:
        """Seconds after which it gives up; None: not known, or never seen."""
        return _median(self.ends) if len(self.ends) >= _NEEDED else None

    def learn(self, seen: StillThere | GaveUp) -> None:
        self.gaps.append(seen.gap)
        match seen:
            case StillThere(waited, _):
                self.waited = max(self.waited, waited)
                # Who was set to wait longer no longer gives up where it did.
                self.ends = deque((end for end in self.ends if end > waited), maxlen=_KEPT)
            case GaveUp(after, _):
                self.ends.append(after)
                # Set to wait less, or a person hung up; if it was that, more will be seen again.
                self.waited = min(self.waited, after)


@light_dataclass(frozen=True, slots=True)
class ClientPatience:
    """Seconds; None: not known. `waited`: the longest wait that was seen, 0 if it never repeated a request."""

    client: str
    gap: float | None
    gives_up: float | None
    waited: float

    @property
    def too_short(self) -> bool:
        return self.gives_up is not None and self.gives_up < ENOUGH


class Patiences:
    """Of all clients. It watches as many logins as are pending, and only clients that have asked lately."""

    def __init__(self, gives_up: Callable[[ClientPatience], None] = lambda _: None) -> None:
        """`gives_up` is called with each client that gives up before a push is answered, at most once an hour."""
        self._tell = gives_up
        self._waiting: dict[tuple[str, Hashable], Wait] = {}
        self._clients: OrderedDict[str, Patience] = OrderedDict()

    def asked(self, client: str, login: Hashable, at: float) -> None:
        """A client has sent a request for a login, the first one or a repetition."""
        wait = self._waiting.get((client, login))
        if wait is None:
            self._waiting[client, login] = Wait(at, at)
        else:
            wait.again(at)

    def answered(self, client: str, login: Hashable, at: float) -> None:
        """The login has been answered."""
        wait = self._waiting.pop((client, login), None)
        seen = wait.answered(at) if wait is not None else None
        if seen is None:
            return
        known = self._clients.setdefault(client, Patience())
        self._clients.move_to_end(client)
        if len(self._clients) > _MOST_CLIENTS:
            self._clients.popitem(last=False)
        known.learn(seen)
        report = _report(client, known)
        if report.too_short and isinstance(seen, GaveUp) and at - known.told_at >= _TELL_EVERY:
            known.told_at = at
            self._tell(report)

    def unanswered(self, client: str, login: Hashable) -> None:
        """The login ended without an answer, which shows nothing about the client."""
        self._waiting.pop((client, login), None)

    def __len__(self) -> int:
        """Logins that are watched."""
        return len(self._waiting)

    def report(self) -> list[ClientPatience]:
        """What is known of each client, sorted by name."""
        return [_report(client, known) for client, known in sorted(self._clients.items())]


def _median(values: Collection[float]) -> float:
    """As statistics.median, whose module takes a tenth of a megabyte."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _report(client: str, known: Patience) -> ClientPatience:
    return ClientPatience(client, known.gap, known.gives_up, known.waited)
