"""Where alarms are raised: each becomes a line in the log, a count, an entry on the status page, and
goes to the hooks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from authproxy.observe.alarms.alarm import Alarm, AlarmKind, Severity, encode
from authproxy.observe.alarms.hook import Hook
from authproxy.observe.alarms.throttle import Due, Throttle
from authproxy.observe.log import Log

_KEPT = 50


class Alarms:
    """Used by the event loop's thread only. Nothing here waits."""

    def __init__(
        self,
        *,
        hostname: str,
        log: Log,
        counted: Callable[[str], None],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        hooks: Sequence[Hook] = (),
    ) -> None:
        """`counted` is called with each kind. `clock`: monotonic seconds; `wall_clock`: seconds since 1970."""
        self._hostname = hostname
        self._log = log
        self._counted = counted
        self._clock = clock
        self._wall_clock = wall_clock
        self._throttle = Throttle()
        self._recent: deque[Alarm] = deque(maxlen=_KEPT)
        self._hooks = tuple(hooks)

    @property
    def hooks(self) -> Sequence[Hook]:
        return self._hooks

    @property
    def held_back(self) -> int:
        return self._throttle.held_back

    def recent(self) -> Iterable[Alarm]:
        """The newest first, including those that no hook was given."""
        return iter(self._recent)

    def use(self, hooks: Sequence[Hook]) -> None:
        """Use these hooks from now on. Alarms that wait in the earlier hooks are still tried."""
        for hook in self._hooks:
            hook.end()
        self._hooks = tuple(hooks)

    def tell(self, kind: AlarmKind, subject: str, text: str, **detail: str) -> None:
        alarm = Alarm(kind, subject, text, self._wall_clock(), detail)
        self._recent.appendleft(alarm)
        self._counted(kind.value)
        say = self._log.info if alarm.severity is Severity.INFO else self._log.warn
        say(f"alarm.{kind.value}", subject=subject, text=text, **detail)
        if (due := self._throttle.admit(alarm, self._clock())) is not None:
            self._send(due)

    def sweep(self) -> None:
        """To be called regularly: sends what was held back long enough."""
        for due in self._throttle.due(self._clock()):
            self._send(due)

    def close(self, timeout: float = 3.0) -> None:
        """Send what is held back, and wait for the hooks, at most `timeout` seconds in all."""
        for due in self._throttle.rest():
            self._send(due)
        ends = self._clock() + timeout
        for hook in self._hooks:
            hook.close(max(0.0, ends - self._clock()))

    def _send(self, due: Due) -> None:
        octets = encode(due.alarm, hostname=self._hostname, held_back=due.held_back)
        for hook in self._hooks:
            hook.put(octets)
