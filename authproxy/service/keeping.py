"""Saves data that changes with every packet: rarely, in a thread, and at the end (A2, A14)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from authproxy.backends.state_dir import replace_file
from authproxy.listeners.radius.signers import Signers
from authproxy.observe.log import Log

_VERSION = 1
_EVERY = 60.0  # seconds between saves; what a crash can cost of `last seen`
_SOON = 5.0  # between saves when somebody has begun, or stopped, to sign


def read_signers(path: Path, log: Log) -> Signers:
    """What the last run saved. A file of another kind is reported, and kept until the next save."""
    try:
        content = json.loads(path.read_bytes())
        return Signers({_VERSION: content["clients"]}[content["version"]])
    except FileNotFoundError:
        return Signers()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        # It is a report, and opens nothing: the latches are elsewhere.
        log.warn(
            "state.report_unreadable",
            file=path,
            problem=type(error).__name__,
            effect="the report begins again",
        )
        return Signers()


class Keeper:
    """`now` is in monotonic seconds. One save runs at a time; a disk that hangs delays nothing else."""

    def __init__(self, signers: Signers, path: Path, log: Log, *, back: Callable[..., object]) -> None:
        """`back(function, *args)` calls the function in the event loop's thread."""
        self._signers = signers
        self._path = path
        self._log = log
        self._back = back
        self._saved_at = 0.0
        self._saving = False

    def look(self, now: float) -> None:
        wait = _SOON if self._signers.turned else _EVERY
        if self._saving or not self._signers.changed or now - self._saved_at < wait:
            return
        self._saved_at = now
        self._saving = True
        thread = threading.Thread(target=self._work, args=(self._octets(),), name="clients", daemon=True)
        thread.start()

    def close(self) -> None:
        """Save once more; the process waits for it."""
        if self._signers.changed:
            self._told(self._save(self._octets()))

    def _octets(self) -> bytes:
        content: dict[str, Any] = {"version": _VERSION, "clients": self._signers.state()}
        return json.dumps(content).encode()

    def _work(self, octets: bytes) -> None:
        self._back(self._told, self._save(octets))

    def _save(self, octets: bytes) -> str:
        try:
            replace_file(self._path, octets)
        except OSError as error:
            return error.strerror or type(error).__name__
        return ""

    def _told(self, problem: str) -> None:
        self._saving = False
        if problem:
            self._signers.changed = True
            self._log.warn("state.report_not_written", file=self._path, problem=problem)
