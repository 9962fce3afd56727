"""The state of a section's cloud, for the status page, and for the log when it changes."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from authproxy.observe.log import Log
from authproxy.pipeline.ports import CloudFailure, FailureClass
from authproxy.values import light_dataclass

_WEIGHT = 0.2  # of the newest latency in the average


class CloudState(StrEnum):
    UNKNOWN = "unknown"  # not asked yet
    UP = "up"
    DOWN = "down"


@light_dataclass(frozen=True, slots=True)
class CloudHealth:
    """Times are monotonic seconds, as the reactor counts them."""

    state: CloudState
    since: float
    proven: bool
    last_failure: FailureClass | None
    last_failure_detail: str
    latency: float | None  # seconds that an answer takes, of late
    connections: int


class Watcher(Protocol):
    """Is told at once when the state changes."""

    def answered(self) -> None: ...

    def met(self, failure: CloudFailure) -> None: ...


class HealthRecord:
    """Records answers and failures. A failure caused by one user's input doesn't count against the service."""

    def __init__(self, section: str, log: Log, now: float) -> None:
        self._section = section
        self._log = log
        self._state = CloudState.UNKNOWN
        self._since = now
        # Not the exception: its traceback holds the login that met it, with what its user typed.
        self._last_failure: FailureClass | None = None
        self._last_detail = ""
        self._latency: float | None = None
        self.watcher: Watcher | None = None

    def succeeded(self, now: float, seconds: float | None) -> None:
        """`seconds`: how long the answer took; None if it included waiting for a user."""
        if self.watcher is not None:
            self.watcher.answered()
        if seconds is not None:
            self._latency = (
                seconds if self._latency is None else self._latency + _WEIGHT * (seconds - self._latency)
            )
        if self._become(CloudState.UP, now):
            self._log.info("cloud.answered", section=self._section)

    def failed(self, failure: CloudFailure, now: float) -> None:
        if self.watcher is not None:
            self.watcher.met(failure)
        another = self._last_failure is not failure.failure
        self._last_failure, self._last_detail = failure.failure, failure.detail
        if failure.failure in (FailureClass.REQUEST, FailureClass.OVERLOAD):
            return
        if self._become(CloudState.DOWN, now) or another:
            event = "cloud.untrusted" if failure.failure is FailureClass.UNTRUSTED else "cloud.failed"
            self._log.warn(event, section=self._section, failure=failure.failure.value, detail=failure.detail)

    def read(self, *, proven: bool, connections: int) -> CloudHealth:
        return CloudHealth(
            state=self._state,
            since=self._since,
            proven=proven,
            last_failure=self._last_failure,
            last_failure_detail=self._last_detail,
            latency=self._latency,
            connections=connections,
        )

    def _become(self, state: CloudState, now: float) -> bool:
        if self._state is state:
            return False
        self._state, self._since = state, now
        return True
