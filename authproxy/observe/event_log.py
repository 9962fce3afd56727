"""The log that runs: events to every outlet that is configured, each in its own form (the port is log.py).

A line costs its writer some microseconds and never waits (A2, A14).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from authproxy.observe.failures import describe
from authproxy.observe.flood import FloodGate, Suppressed
from authproxy.observe.lines import Event, OwnText, Severity, as_json, as_message, as_text
from authproxy.observe.outlets import (
    FACILITIES,
    JOURNAL_SOCKET,
    SYSLOG_SOCKET,
    DatagramOutlet,
    DescriptorOutlet,
    SyslogFormat,
    journal_format,
    leads_nowhere,
)
from authproxy.observe.rotating_file import RotatingFile
from authproxy.observe.writer import LineWriter, Outlet, OutletFailed
from authproxy.values import light_dataclass

FILE_NAME = "authproxy.log"
_WARN, _INFO = Severity.WARN, Severity.INFO  # looked up once, not for each login
_SWEEP = 5.0  # seconds between looks for floods that are over

Format = Callable[[Event], bytes]


class LogUnusable(Exception):
    """A log can't be opened; the administrator has to act. The text says which, and why."""


@light_dataclass(frozen=True, slots=True)
class LogSettings:
    """Sizes in octets. Without an outlet, nothing is logged."""

    debug: bool = False
    json: bool = False
    file: Path | None = None  # the file itself, not its folder
    max_size: int = 10 * 1024 * 1024
    max_files: int = 6  # 0: all
    stdout: bool = False
    syslog: bool = False
    facility: str = "LOG_USER"
    journald: bool = False


class EventLog:
    """Implements the port `Log`. It can be called from any thread."""

    def __init__(
        self,
        *,
        debug: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: seconds since 1970. Outlets are added later."""
        self._debug = debug
        self._clock = clock
        self._flood = FloodGate()
        self._sinks: list[tuple[Format, LineWriter]] = []
        # Outlets' threads report to the log, and thread pools log, too.
        self._lock = threading.RLock()
        self._sweep_at = 0.0

    @property
    def writers(self) -> Sequence[LineWriter]:
        """The writers, which count what they lost, for the metrics."""
        return [writer for _, writer in self._sinks]

    def add(self, name: str, outlet: Outlet, form: Format) -> None:
        def gap(count: int, problem: str) -> bytes:
            fields = {"outlet": name, "lost": count, "problem": problem or "more lines than it takes"}
            return form(Event(self._clock(), Severity.WARN, "log.lines_lost", fields))

        self._sinks.append((form, LineWriter(outlet, name=name, told=self, gap=gap)))

    # ---- the port

    def debug(self, event: str, /, **fields: object) -> None:
        if self._debug:
            self._emit(Severity.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self._emit(Severity.INFO, event, fields)

    def warn(self, event: str, /, **fields: object) -> None:
        self._emit(Severity.WARN, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self._emit(Severity.ERROR, event, fields)

    def failure(self, event: str, error: BaseException, /, **fields: object) -> None:
        self._emit(Severity.ERROR, event, {**fields, **describe(error)})

    def login(self, at: float, event: str, fields: OwnText, *, warns: bool) -> None:
        """A line for each login that is decided: none of them is ever too many. `at`: seconds since 1970. `warns`: an
        open door let it in (F8).
        """
        with self._lock:
            if not 0 <= self._sweep_at - at <= _SWEEP:
                self.sweep()
            self._write(Event(at, _WARN if warns else _INFO, event, fields))

    def warn_now(self, event: str, timeout: float, fields: Mapping[str, object]) -> None:
        """Return when at least one outlet has the warning. Raises OutletFailed."""
        happened = Event(self._clock(), Severity.WARN, event, fields)
        problem = "no log is on"
        for form, writer in self._sinks:
            try:
                writer.put_now(form(happened), timeout)
            except OutletFailed as failed:
                problem = f"{writer.name}: {failed}"
            else:
                return
        raise OutletFailed(problem)

    # ---- what its outlets report

    def outlet_failed(self, name: str, problem: str) -> None:
        """Report it to the other outlets; the failing one keeps the line for later."""
        self.error("log.outlet_failed", outlet=name, problem=problem)

    def outlet_recovered(self, name: str, lost: int) -> None:
        self.warn("log.outlet_recovered", outlet=name, lost=lost)

    # ---- its life

    def sweep(self) -> None:
        """Log how many lines ended floods held back. To be called regularly, even if nothing else is logged."""
        with self._lock:
            now = self._clock()
            self._sweep_at = now + _SWEEP
            for suppressed in self._flood.over(now):
                self._write(_told(now, suppressed))

    def flush(self, timeout: float = 5.0) -> bool:
        flushed = [writer.flush(timeout) for writer in self.writers]
        return all(flushed)

    def close(self, timeout: float = 2.0) -> None:
        for writer in self.writers:
            writer.close(timeout)

    def _emit(self, severity: Severity, name: str, fields: dict[str, object]) -> None:
        now = self._clock()
        with self._lock:
            if not 0 <= self._sweep_at - now <= _SWEEP:
                self.sweep()
            if self._flood.admits(now, severity, name, fields):
                self._write(Event(now, severity, name, fields))

    def _write(self, event: Event) -> None:
        for form, writer in self._sinks:
            writer.put(form(event))


def _told(now: float, suppressed: Suppressed) -> Event:
    fields: dict[str, object] = {
        "of": suppressed.event,
        "cause": suppressed.cause or None,
        "count": suppressed.count,
        "seconds": suppressed.seconds,
        "most_from": suppressed.most_from or None,
    }
    return Event(now, Severity.WARN, "log.suppressed", {k: v for k, v in fields.items() if v is not None})


def open_log(settings: LogSettings, *, clock: Callable[[], float] = time.time) -> EventLog:
    """The log as configured. Raises LogUnusable: a file that can't be written, an unknown facility.

    To be called as the user that the daemon runs as: rotation makes files.
    """
    log = EventLog(debug=settings.debug, clock=clock)
    line = as_json if settings.json else as_text
    if settings.file is not None:
        log.add("file", _open_file(settings, settings.file, log), _lines(line))
    if settings.stdout and not leads_nowhere(1):
        log.add("stdout", DescriptorOutlet(1), _lines(line))
    if settings.syslog:
        log.add("syslog", DatagramOutlet(SYSLOG_SOCKET), _syslog(settings))
    if settings.journald:
        log.add("journald", DatagramOutlet(JOURNAL_SOCKET), journal_format)
    return log


def _open_file(settings: LogSettings, path: Path, log: EventLog) -> RotatingFile:
    def rotation_failed(problem: str) -> None:
        log.warn("log.rotation_failed", file=path, problem=problem)

    try:
        return RotatingFile(
            path,
            max_size=settings.max_size,
            max_files=settings.max_files,
            rotation_failed=rotation_failed,
        )
    except OSError as error:
        raise LogUnusable(f"{path}: {error.strerror}") from None


def _lines(line: Callable[[Event], str]) -> Format:
    return lambda event: (line(event) + "\n").encode("utf-8", "backslashreplace")


def _syslog(settings: LogSettings) -> Format:
    if settings.facility not in FACILITIES:
        raise LogUnusable(f"syslog_facility {settings.facility}: not one of {', '.join(sorted(FACILITIES))}")
    head = SyslogFormat(settings.facility)
    message = as_json if settings.json else as_message
    return lambda event: head(event, message(event))
