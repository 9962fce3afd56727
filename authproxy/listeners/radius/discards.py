"""Datagrams that get no answer. Silence on the wire is never silence in the counters: each has a cause."""

from __future__ import annotations

from typing import Protocol


class Discards(Protocol):
    def radius_discarded(self, cause: str) -> None: ...


class Discarded(Exception):
    """The datagram is dropped. `cause` is a metric's label; `problem` is for the log, and holds no secret."""

    def __init__(self, cause: str, problem: str = "") -> None:
        super().__init__(problem)
        self.cause = cause
        self.problem = problem
