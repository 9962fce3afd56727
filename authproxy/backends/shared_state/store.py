"""What this node asks and tells the others, through the store (H4 to H6).

Whenever the store can't be reached, this node decides as if it were alone, with its part of each limit (H5). Nothing
that is read from it lets anybody in, but for the verdict on the very same login: that one is sealed by the node that
asked the user, for one question which this node has just put, so that no old one can be played back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from authproxy.backends.shared_state import scripts
from authproxy.backends.shared_state.joining import NONSENSE, Joins, status_of
from authproxy.backends.shared_state.link import Asked, Link, Unreachable
from authproxy.observe.log import Log
from authproxy.pipeline.nodes import Held, Over, Prompt, Repeated, Turn, Verdict
from authproxy.pipeline.push_limit import NO_FAILURES, Alert
from authproxy.protocols.shared_state import Claim, NodeKeys

_ALIVE_EVERY, _ALIVE_FOR = 2.0, 6.0  # seconds
_LOOK_AGAIN = 0.3  # seconds between looks at what another node does
# Who has taken an answer at the same moment asks the cloud for the user's devices before the prompt.
_SOON = 2.0  # seconds
_MARGIN = 30.0  # seconds that a claim outlives its login's deadline
_UNDECIDED_FOR = 60.0  # seconds; then whoever tried a password has died, and it counts as wrong
# A user said no; a login that was sent codes, or waited in vain, may be tried again.
_NO = frozenset({"deny", "fraud"})

# What is told the store; once more, if it can't be told now.
Telling = Callable[[], Coroutine[Any, Any, Any]]


class SharedState:
    """Implements pipeline.nodes.Nodes, and backends.lockout.SharedAttempts."""

    def __init__(
        self,
        link: Link,
        keys: NodeKeys,
        *,
        nodes: int,
        reactor: Any,
        log: Log,
        alert: Alert = lambda event, user, section: None,
        joined: Callable[[], None] = lambda: None,
    ) -> None:
        """`nodes`: how many share the store. `joined` is called for each login that got another node's verdict."""
        self._link = link
        self._keys = keys
        self._nodes = nodes
        self._reactor = reactor
        self._log = log
        self._alert = alert
        self._joined = joined
        self._node = keys.token()
        self._joins = Joins(link, keys, self._node, reactor=reactor, log=log)
        self._timer: Any = None
        self._telling: set[Deferred[None]] = set()
        self._untold: list[tuple[float, Telling]] = []  # until when it matters

    @property
    def at(self) -> str:
        return self._link.at

    @property
    def problem(self) -> str:
        """Why nodes decide alone; "": they don't."""
        return self._link.why

    @property
    def is_up(self) -> bool:
        return self._link.is_up

    def start(self) -> None:
        self._link.start()
        self._be_alive()

    async def close(self) -> None:
        """Tell what there is to tell, and close the connection."""
        if self._timer is not None:
            self._timer.cancel()
        self._joins.close()
        await DeferredList(list(self._telling))
        self._link.close()

    def came_up(self) -> None:
        """The store has just come within reach, or gone: what it has missed is told now."""
        if not self._link.is_up:
            return
        untold, self._untold = self._untold, []
        for until, telling in untold:
            if self._reactor.seconds() < until:
                self._tell(telling)  # once: if the store fails for this very thing, it would for ever

    @property
    def alive(self) -> Asked:
        """What keeps others from taking this node for dead."""
        return scripts.ALIVE, [self._name_of(self._node)], [_ms(_ALIVE_FOR)]

    def share(self, most: int) -> int:
        together = self._link.is_up and not self._keys.are_changed
        return most if together else max(1, most // self._nodes)

    # ---- prompts

    def identify(self, *parts: bytes) -> bytes:
        return self._keys.digest(*parts)

    async def prompt(
        self, prompt: Prompt, ask: Callable[[], Awaitable[Verdict]] | None
    ) -> Verdict | Held | Repeated | Over:
        if not self._link.is_up:
            return Over.OVER if ask is None else await ask()
        claim = Claim(self._node, self._keys.token(), prompt.login)
        claimed = ask is not None  # as far as is known: an answer that is lost on the way doesn't tell
        verdict: Verdict | None = None
        try:
            try:
                came = await self._turn(prompt, claim, claims=claimed)
            except Unreachable:
                came = claim
            if not isinstance(came, Claim):
                claimed = False
                return came
            if ask is None:
                return Over.OVER
            verdict = await ask()
            return verdict
        finally:
            # Also when the work fails or is cancelled: the next login of this user has its turn.
            if claimed:
                now = self._reactor.seconds()
                self._tell(
                    partial(self._finish, prompt, claim, verdict, now), now + self._lasts(prompt) / 1000
                )

    async def _turn(
        self, prompt: Prompt, claim: Claim, *, claims: bool
    ) -> Claim | Verdict | Held | Repeated | Over:
        """`claim`, when it is this login's turn; else what has come of it without. Raises Unreachable."""
        where = self._whose("prompt", prompt)
        names = [where, self._whose("pause", prompt), self._denial(prompt)]
        values: list[bytes | int] = [claim.encode() if claims else b"", self._lasts(prompt)]
        soon = self._reactor.seconds() + _SOON
        while True:
            other = _understood(await self._link.run(scripts.CLAIM, names, values), claim)
            if other is None:
                raise self._link.refused(NONSENSE)
            if other is claim or isinstance(other, Held | Repeated):
                return other
            if isinstance(other, Claim) and other.login == claim.login and other.node != self._node:
                if (verdict := await self._join(prompt, other)) is not None:
                    return verdict
            elif not claims and self._reactor.seconds() >= soon:
                return Over.OVER
            if self._reactor.seconds() + _LOOK_AGAIN >= prompt.deadline:
                return Held("push_pending")
            await self._pause()
            if isinstance(other, Claim):
                await self._link.run(scripts.BURY, [where, self._name_of(other.node)], [other.encode()])

    async def _join(self, prompt: Prompt, other: Claim) -> Verdict | None:
        """The other node's verdict on this login; None: it has none. Raises Unreachable."""
        self._log.info("login.joined_node", user=prompt.user, section=prompt.section)
        where = self._whose("prompt", prompt)
        verdict = await self._joins.wait(where, other, self._lasts(prompt), prompt.deadline)
        if verdict is not None:
            self._joined()
        return verdict

    def _lasts(self, prompt: Prompt) -> int:
        """Milliseconds that nobody needs what belongs to it any more after."""
        return _ms(max(0.0, prompt.deadline - self._reactor.seconds()) + _MARGIN)

    async def _finish(self, prompt: Prompt, claim: Claim, verdict: Verdict | None, ended: float) -> None:
        """`verdict` None: there is none. `ended`: the reactor's seconds. Raises Unreachable."""
        rules = prompt.rules
        status = "" if verdict is None else status_of(verdict)
        how = "fraud" if status == "fraud" else "failed" if status not in NO_FAILURES else ""
        denied = prompt.denial_memory - (self._reactor.seconds() - ended) if status in _NO else 0.0
        said = await self._link.run(
            scripts.FINISH,
            [
                self._whose("prompt", prompt),
                self._joins.names(claim),
                self._whose("failures", prompt),
                self._whose("pause", prompt),
                self._denial(prompt),
            ],
            [
                claim.encode(),
                claim.token,
                how.encode(),
                status.encode(),
                max(0, _ms(denied)),
                rules.most,
                _ms(rules.window),
                _ms(rules.pause),
                _ms(rules.fraud_pause),
            ],
        )
        match said:
            case [list(joined), bytes(why)]:
                pass
            case _:
                raise self._link.refused(NONSENSE)
        if why == b"push_paused":
            self._alert("push.paused", prompt.user, prompt.section)
        if verdict is not None:  # else who joined sees that it is gone
            await self._joins.tell(joined, claim, verdict)

    # ---- challenges

    async def keep(self, challenge: bytes, octets: bytes, seconds: float) -> None:
        name = self._keys.name("challenge", challenge)
        try:
            await self._link.run(scripts.KEEP, [name], [self._keys.seal(name, octets), _ms(seconds)])
        except Unreachable:
            return  # this node can take the answer by itself

    async def answer(self, challenge: bytes, seconds: float) -> tuple[Turn, bytes]:
        name = self._keys.name("challenge", challenge)
        try:
            said = await self._link.run(
                scripts.ANSWER, [self._keys.name("answered", challenge), name], [_ms(seconds)]
            )
        except Unreachable:
            return Turn.UNKNOWN, b""
        match said:
            case [(0 | 1) as first, bytes(sealed)]:
                kept = self._keys.open(name, sealed) if sealed else None
                return Turn.FIRST if first else Turn.AGAIN, kept or b""
            case _:
                self._link.refused(NONSENSE)
                return Turn.UNKNOWN, b""

    # ---- wrong passwords

    async def attempt(
        self, primary: str, user: str, most: int, window: float, deadline: float
    ) -> bytes | None:
        """A token for `decided`, b"" if nobody can be asked; None: there were too many wrong ones.

        `deadline`: the reactor's seconds. Waits for the other nodes' attempts, which may turn out right.
        """
        token = self._keys.token()
        name = self._attempts(primary, user)
        try:
            while True:
                said = await self._link.run(
                    scripts.ATTEMPT, [name], [token, most, _ms(window), _ms(_UNDECIDED_FOR)]
                )
                match said:
                    case [1]:
                        return token
                    case [0, int(undecided)]:
                        pass
                    case _:
                        raise self._link.refused(NONSENSE)
                if not undecided or self._reactor.seconds() + _LOOK_AGAIN >= deadline:
                    return None
                await self._pause()
        except Unreachable:
            return b""

    def decided(self, primary: str, user: str, token: bytes, window: float, ended: str) -> None:
        """`ended`: `right`, `wrong`, or "" if it wasn't decided."""
        if token:
            values: list[bytes | int] = [token, _ms(window), ended.encode(), _ms(_UNDECIDED_FOR)]
            told = partial(self._link.run, scripts.DECIDED, [self._attempts(primary, user)], values)
            self._tell(told, self._reactor.seconds() + window)

    # ---- what nobody waits for

    def _tell(self, telling: Telling, until: float = 0.0) -> None:
        """`until`: the reactor's seconds; before it, what the store doesn't get is told when it is back."""
        told: Deferred[Any] = Deferred.fromCoroutine(telling())
        self._telling.add(told)

        def done(result: object) -> None:
            self._telling.discard(told)
            if not isinstance(result, Failure):
                return
            if result.check(Unreachable):
                if self._reactor.seconds() < until:
                    self._untold.append((until, telling))
            else:
                self._log.failure("shared_state.failed", result.value or RuntimeError("cancelled"))

        told.addBoth(done)

    def _be_alive(self) -> None:
        self._timer = self._reactor.callLater(_ALIVE_EVERY, self._be_alive)
        if self._link.is_up:
            self._tell(partial(self._link.run, *self.alive))

    async def _pause(self) -> None:
        await deferLater(self._reactor, _LOOK_AGAIN)

    # ---- names

    def _whose(self, kind: str, prompt: Prompt) -> bytes:
        return self._keys.name(kind, prompt.whose.encode())

    def _denial(self, prompt: Prompt) -> bytes:
        return self._keys.name("denial", prompt.login)

    def _name_of(self, node: bytes) -> bytes:
        return self._keys.name("node", node)

    def _attempts(self, primary: str, user: str) -> bytes:
        return self._keys.name("attempts", primary.encode(), user.encode())


def _understood(said: object, claim: Claim) -> Claim | Held | Repeated | Over | None:
    """What the store says of a prompt; `claim` itself if it is this login's turn. None: no node has written that."""
    match said:
        case [b"mine"]:
            return claim
        case [b"free"]:
            return Over.OVER
        case [b"held", (b"push_paused" | b"push_fraud") as why]:
            return Held(bytes(why).decode())
        case [b"denied", (b"deny" | b"fraud") as status]:
            return Repeated(bytes(status).decode())
        case [b"taken", bytes(octets)]:
            return Claim.decode(octets)
        case _:
            return None


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
