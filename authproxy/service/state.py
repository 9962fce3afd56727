"""What survives a restart: keys, latches, proven credentials. All of it is in `main.state_dir`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Protocol

from authproxy.backends.allowance import Allowances
from authproxy.backends.answered_states import AnsweredStates
from authproxy.backends.seen_users import SeenUsers
from authproxy.backends.state_dir import LastingSet, StateUnusable, lasting_key, open_state_dir
from authproxy.listeners.radius.signers import Signers
from authproxy.observe.log import Log, NullLog
from authproxy.secret import Secret
from authproxy.service.keeping import read_signers
from authproxy.values import light_dataclass


class Names(Protocol):
    def __contains__(self, name: str, /) -> bool: ...

    def add(self, name: str, /) -> None: ...


class Noted:
    """A set that is kept on disk. If the disk fails, what is added counts anyway, and the failure is reported (A14)."""

    def __init__(self, names: LastingSet, log: Log) -> None:
        self._names = names
        self._log = log
        self.problem = ""  # why the last one is not on the disk

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        self._keep(lambda: self._names.add(name))

    def retry(self) -> None:
        """Try again to write what an earlier failure left out."""
        if self.problem:
            self._keep(self._names.save)

    def _keep(self, save: Callable[[], None]) -> None:
        try:
            save()
            self.problem = ""
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
            self._log.error("state.not_written", problem=str(error), effect="it is forgotten at a restart")


@light_dataclass(frozen=True, slots=True)
class State:
    latches: Names  # clients that have shown a Message-Authenticator (R19)
    proven: Names  # credentials that have passed check
    key: Secret = field(repr=False)  # of digests that are compared over restarts, and of sealed States
    allowances: Allowances  # what an open door has been used for (F7)
    seen: SeenUsers  # who passed both factors lately (F7)
    answered: AnsweredStates  # challenges that are over (R40)
    # Who signs their requests: a report, saved now and then (service/keeping.py).
    signers: Signers = field(default_factory=Signers)

    def retry(self) -> str:
        """Try again to write what an earlier failure left out. Returns why something still isn't on the disk; "" if all
        is.
        """
        problem = ""
        for names in (self.latches, self.proven):
            if isinstance(names, Noted):
                names.retry()
                problem = problem or names.problem
        return problem


LATCHES, PROVEN, KEY = "message-authenticator-seen.json", "proven-credentials.json", "key"
ALLOWANCES, SEEN, ANSWERED = "fail-open.json", "second-factor-seen", "challenges-answered"
SIGNERS = "message-authenticator-report.json"


def open_state(folder: Path, log: Log) -> State:
    """Raises StateUnusable."""
    open_state_dir(folder)
    try:
        key = Secret(lasting_key(folder / KEY))
    except OSError as error:
        raise StateUnusable(f"{folder / KEY}: {error.strerror}; it has to be readable for me") from None
    return State(
        latches=Noted(LastingSet(folder / LATCHES), log),
        proven=Noted(LastingSet(folder / PROVEN), log),
        key=key,
        allowances=Allowances(folder / ALLOWANCES, log),
        seen=SeenUsers(folder / SEEN, key=key.reveal(), log=log),
        answered=AnsweredStates(folder / ANSWERED, log),
        signers=read_signers(folder / SIGNERS, log),
    )


class StateUnseen(Exception):
    """The user who runs the command can't read the state. The text says what."""


def look_at_state(folder: Path) -> State:
    """The state, for a command that only looks: nothing is created, and nothing that is added is kept.

    Raises StateUnseen.
    """
    try:
        key = (folder / KEY).read_bytes()
        latches, proven = (set(LastingSet(folder / name)) for name in (LATCHES, PROVEN))
    except FileNotFoundError:
        # Never started here: nothing is latched, nothing proven.
        key, latches, proven = bytes(32), set(), set()
    except (OSError, StateUnusable) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise StateUnseen(f"{folder} can't be read as this user: {said}") from None
    log = NullLog()
    allowances = Allowances(folder / ALLOWANCES, log, read_only=True)
    seen = SeenUsers(folder / SEEN, key=key, log=log, read_only=True)
    return State(latches, proven, Secret(key), allowances, seen, AnsweredStates(None, log))
