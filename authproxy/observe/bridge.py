"""Brings what Twisted, Python and libraries log into our log, without local variables and without values (S1)."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from authproxy.observe.failures import masked
from authproxy.observe.log import Log


def twisted_observer(log: Log) -> Callable[[dict[str, Any]], None]:
    """An observer of Twisted's log, for `globalLogBeginner.beginLoggingTo([...], redirectStandardIO=False)`.

    A Failure nobody handled is our bug. Its texts are written by code that doesn't know what is a secret, so an
    ordinary event shows its format, never the values.
    """

    def observe(event: dict[str, Any]) -> None:
        level = getattr(event.get("log_level"), "name", "info")
        source = str(event.get("log_namespace", ""))
        said = _said(event)
        # In an old-style event, such as the reactor's own, it has the old name.
        if (failure := event.get("log_failure") or event.get("failure")) is not None:
            log.failure("twisted.failed", with_traceback(failure), source=source, said=said)
        elif level in ("error", "critical"):
            log.error("twisted.reported", source=source, said=said)
        elif level == "warn":
            log.warn("twisted.reported", source=source, said=said)
        else:
            log.debug("twisted.reported", source=source, said=said)

    return observe


def _said(event: dict[str, Any]) -> str:
    """The format alone; an old-style event has none, and its text goes through the mask."""
    text = event.get("log_text")
    return masked(str(text)) if text is not None else str(event.get("log_format") or "")


def with_traceback(failure: Any) -> BaseException:
    """A Failure's exception, with the traceback that the Failure keeps for it."""
    error: BaseException = failure.value
    traceback = failure.getTracebackObject()
    return error.with_traceback(traceback) if isinstance(traceback, TracebackType) else error


class _Records(logging.Handler):
    """Libraries' own log records: a warning or worse, and only its format. (pyspnego logs tokens.)"""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        said = masked(record.msg) if isinstance(record.msg, str) else type(record.msg).__name__
        if record.exc_info and record.exc_info[1] is not None:
            self._log.failure("library.failed", record.exc_info[1], source=record.name, said=said)
        else:
            self._log.warn("library.reported", source=record.name, said=said)


def take_over(log: Log) -> None:
    """Python's warnings, library records and exceptions that end a thread or vanish in a destructor."""

    def warned(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        log.warn("python.warned", category=category.__name__, problem=str(message), at=f"{filename}:{lineno}")

    def unraisable(hook: Any) -> None:
        error = hook.exc_value or RuntimeError("no exception")
        log.failure("python.failed", error, said=hook.err_msg or "ignored in a destructor")

    def thread_ended(hook: threading.ExceptHookArgs) -> None:
        name = hook.thread.name if hook.thread else ""
        log.failure("thread.failed", hook.exc_value or RuntimeError("no exception"), thread=name)

    warnings.showwarning = warned
    sys.unraisablehook = unraisable
    threading.excepthook = thread_ended
    logging.getLogger().handlers = [_Records(log)]
