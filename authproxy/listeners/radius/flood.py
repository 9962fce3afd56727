"""Warnings that anybody's packets can cause: the first of a kind is logged at once, the rest is counted (R13, A14)."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from authproxy.observe.log import Log

INTERVAL = 60.0  # seconds between two counts of the same kind
# Sources that are named for one cause in one interval; a flood from made-up addresses becomes one line.
_MOST_NAMED = 5


class _Kind(NamedTuple):
    event: str
    cause: str
    source: str


class FloodProofLog:
    """A Log whose warnings and failures are few, however many packets there are.

    Alike are those of one event, with one `cause`, from one `source` (else `client`). Each interval tells how many
    there were since: `radius.repeated`, "N from X in 60 s". Nothing is kept for more kinds than it names.
    """

    def __init__(self, log: Log, reactor: IReactorTime) -> None:
        self._log = log
        self._reactor = reactor
        self._repeated: dict[_Kind, int] = {}
        self._named: Counter[tuple[str, str]] = Counter()
        self._unnamed: Counter[tuple[str, str]] = Counter()
        self._ticking = False

    def debug(self, event: str, /, **fields: object) -> None:
        self._log.debug(event, **fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._log.info(event, **fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._log.error(event, **fields)

    def warn(self, event: str, /, **fields: object) -> None:
        source = fields.get("source") or fields.get("client") or ""
        if self._is_first(_Kind(event, str(fields.get("cause", "")), str(source))):
            self._log.warn(event, **fields)

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        # One packet that finds a bug of ours can be sent a million times.
        if self._is_first(_Kind(event, type(error).__name__, "")):
            self._log.failure(event, error, **fields)

    def _is_first(self, kind: _Kind) -> bool:
        if not self._ticking:
            self._ticking = True
            self._reactor.callLater(INTERVAL, self._tell)
        if kind in self._repeated:
            self._repeated[kind] += 1
            return False
        about = (kind.event, kind.cause)
        if self._named[about] >= _MOST_NAMED:
            self._unnamed[about] += 1
            return False
        self._named[about] += 1
        self._repeated[kind] = 0
        return True

    def _tell(self) -> None:
        """What was held back. Who goes on is only counted in the next interval; who has stopped is forgotten."""
        self._ticking = False
        for kind, count in self._repeated.items():
            if count:
                self._say(count, kind.event, kind.cause, kind.source)
        for (event, cause), count in self._unnamed.items():
            self._say(count, event, cause, "others")
        self._repeated = {kind: 0 for kind, count in self._repeated.items() if count}
        self._named = Counter((kind.event, kind.cause) for kind in self._repeated)
        self._unnamed.clear()
        if self._repeated:
            self._ticking = True
            self._reactor.callLater(INTERVAL, self._tell)

    def _say(self, count: int, event: str, cause: str, source: str) -> None:
        self._log.warn(
            "radius.repeated", what=event, cause=cause, source=source, count=count, seconds=int(INTERVAL)
        )
