"""Limits on prompts: one at a time for each user, and few in a row that the user doesn't approve (A11). No clock of its
own.

Whoever knows a password can send pushes until the user approves one by mistake. So prompts that a user denies or
doesn't answer are counted, in all sections and protocols together. After a few of them, only passcodes work for a
while. Only logins with a right password count, so nobody else can bring a user to the limit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from authproxy.pipeline.ports import Clock
from authproxy.values import light_dataclass

# Users that something is remembered of; they are real ones, their passwords were right.
_MOST_USERS = 65_536
# What the cloud's word doesn't tell against the user; sent codes are counted, too: they cost and annoy as pushes do.
NO_FAILURES = frozenset({"", "allow", "locked_out"})

# Other logins of the same user that wait for their turn; more are told to come back.
_MOST_IN_LINE = 8

# An event's name, the user, the section.
Alert = Callable[[str, str, str], None]


@light_dataclass(frozen=True, slots=True)
class PushRules:
    """`most` unapproved prompts in `window` seconds, then none for `pause` seconds; for `fraud_pause` after a fraud
    report. `most` 0: no limit.
    """

    most: int = 3
    window: float = 600
    pause: float = 900
    fraud_pause: float = 3600


class Turn(Protocol):
    """A place in the line of logins that wait to prompt the same user."""

    def come(self) -> None:
        """It is this login's turn now."""

    async def wait(self, seconds: float) -> bool:
        """Wait until the turn has come. False: it took longer than `seconds`."""


@dataclass(slots=True, eq=False)
class _User:
    prompted: bool = False
    line: list[Turn] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    until: float = float("-inf")
    why: str = ""


class PushLimit:
    """For the whole process: a user has the same phone in all sections."""

    def __init__(
        self,
        alert: Alert = lambda event, user, section: None,
        new_turn: Callable[[], Turn] | None = None,
    ) -> None:
        """`new_turn` None: nobody waits; a second login at the same time is refused."""
        self._alert = alert
        self._new_turn = new_turn
        self._users: OrderedDict[str, _User] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    async def begin(self, user: str, clock: Clock, deadline: float) -> str:
        """'' if this user may be prompted now, until `end` is called; else the reason why not. Waits while another
        prompt is out.
        """
        known = self._users.get(user)
        if known is None:
            known = self._users[user] = _User()
            self._forget(clock())
        while True:
            if clock() < known.until:
                return known.why
            if not known.prompted:
                known.prompted = True
                return ""
            if self._new_turn is None or len(known.line) >= _MOST_IN_LINE:
                return "push_pending"
            turn = self._new_turn()
            known.line.append(turn)
            try:
                came = await turn.wait(deadline - clock())
            except BaseException:
                self._leave(known, turn)
                raise
            if not came:
                self._leave(known, turn)
                return "push_pending"

    def end(self, user: str, section: str, rules: PushRules, status: str, now: float) -> None:
        """`status`: the cloud's word for how the prompt ended; '' if it gave none."""
        known = self._users[user]
        self._users.move_to_end(user)
        known.prompted = False
        if status == "fraud":
            known.until, known.why = now + rules.fraud_pause, "push_fraud"
            self._alert("push.fraud_reported", _name(user), section)
        elif status not in NO_FAILURES and rules.most:
            known.failures = [at for at in known.failures if now - at < rules.window] + [now]
            if len(known.failures) >= rules.most:
                known.failures.clear()
                known.until, known.why = now + rules.pause, "push_paused"
                self._alert("push.paused", _name(user), section)
        elif not known.failures and known.until <= now and not known.line:
            del self._users[user]
        self._next(known, everybody=now < known.until)

    @staticmethod
    def _next(known: _User, *, everybody: bool = False) -> None:
        """Whose turn it is now; with nothing to wait for any more, everybody's."""
        coming = known.line[:] if everybody else known.line[:1]
        del known.line[: len(coming)]
        for turn in coming:
            turn.come()

    def _leave(self, known: _User, turn: Turn) -> None:
        if turn in known.line:
            known.line.remove(turn)
        elif not known.prompted:
            self._next(known)  # it had come, and isn't used

    def _forget(self, now: float) -> None:
        """Whoever was heard of longest ago, but nobody whom something waits for or who is spared."""
        if len(self._users) <= _MOST_USERS:
            return
        for user, known in self._users.items():
            if not known.prompted and not known.line and known.until <= now:
                del self._users[user]
                return


def _name(user: str) -> str:
    return user.partition("\0")[0]
