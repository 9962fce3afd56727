"""Prompts that a user didn't ask for: at most one at a time, and few in a row (A11). No clock of its own.

Who has somebody's password can send them pushes until one is approved by mistake. So what a user denies or lets time
out is counted, whatever section, port or protocol it came by; beyond a few only passcodes work for a while. Nothing is
counted before a password was right: nobody else can bring a user to this.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

# Users that something is remembered of; they are real ones, their passwords were right.
_MOST_USERS = 65_536
# What the cloud's word doesn't tell against the user; sent codes are counted, too: they cost and annoy as pushes do.
_NO_FAILURES = frozenset({"", "allow", "locked_out"})

# An event's name, the user, the section.
Alert = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class PushRules:
    """`most` in `window` seconds, then none for `pause`; for `fraud_pause` once one was reported. 0 of `most`: any."""

    most: int = 3
    window: float = 600
    pause: float = 900
    fraud_pause: float = 3600


@dataclass(slots=True)
class _User:
    waiting: int = 0
    failures: list[float] = field(default_factory=list)
    until: float = float("-inf")
    why: str = ""


class PushLimit:
    """Of the whole process: a user has one telephone, however many ways lead to it."""

    def __init__(self, alert: Alert = lambda event, user, section: None) -> None:
        self._alert = alert
        self._users: OrderedDict[str, _User] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    def begin(self, user: str, now: float) -> str:
        """'' when this user may be prompted now, until `end`; else why not."""
        known = self._users.get(user)
        if known is None:
            known = self._users[user] = _User()
            self._forget(now)
        if now < known.until:
            return known.why
        if known.waiting:
            return "push_pending"
        known.waiting += 1
        return ""

    def end(self, user: str, section: str, rules: PushRules, status: str, now: float) -> None:
        """`status`: the cloud's word for how a prompt ended; '' when it gave none."""
        known = self._users[user]
        self._users.move_to_end(user)
        known.waiting -= 1
        if status == "fraud":
            known.until, known.why = now + rules.fraud_pause, "push_fraud"
            self._alert("push.fraud_reported", _name(user), section)
        elif status not in _NO_FAILURES and rules.most:
            known.failures = [at for at in known.failures if now - at < rules.window] + [now]
            if len(known.failures) >= rules.most:
                known.failures.clear()
                known.until, known.why = now + rules.pause, "push_paused"
                self._alert("push.paused", _name(user), section)
        elif not known.failures and known.until <= now and not known.waiting:
            del self._users[user]

    def _forget(self, now: float) -> None:
        """Whoever was heard of longest ago, but nobody whom something waits for or who is spared."""
        if len(self._users) <= _MOST_USERS:
            return
        for user, known in self._users.items():
            if not known.waiting and known.until <= now:
                del self._users[user]
                return


def _name(user: str) -> str:
    return user.partition("\0")[0]


@dataclass(frozen=True, slots=True)
class Prompts:
    """A section's: the users of one cloud account are the same people in all sections, those of another are others."""

    limit: PushLimit = field(default_factory=PushLimit)
    rules: PushRules = field(default_factory=PushRules)
    account: str = ""

    def begin(self, username: str, now: float) -> str:
        return self.limit.begin(self._key(username), now)

    def end(self, username: str, section: str, status: str, now: float) -> None:
        self.limit.end(self._key(username), section, self.rules, status, now)

    def _key(self, username: str) -> str:
        return f"{username}\0{self.account}"
