"""authevents.log: one JSON object a line, at least one for every decision.

The first eleven fields are those that rules for the known product read; the rest is ours. A factor is named, a
passcode never.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import NamedTuple, Protocol

from authproxy.observe.event_log import EventLog
from authproxy.observe.lines import json_line, readable_json, timestamp
from authproxy.observe.log import Log
from authproxy.observe.rotating_file import RotatingFile
from authproxy.observe.writer import LineWriter, OutletFailed
from authproxy.pipeline.ports import AuditUnavailable

FILE_NAME = "authevents.log"
# Seconds that an open door may wait for its record; also what a stuck disk costs the event loop, once.
_PATIENCE = 0.2
_DELETE = "\x7f"
_LINGER = 0.005  # seconds: what a crash can cost


class AuditUnusable(Exception):
    """The file can't be opened; the administrator has to act. The text says which, and why."""


class AuditEvent(NamedTuple):
    """The contents of a line. None becomes null: every line has every field."""

    timestamp: str  # UTC, ISO 8601, microseconds, Z
    msg: str
    username: str  # as it was typed; of a bind, whose entry it is, once that is known
    dn: str | None  # the entry; of a bind that didn't get so far, the DN it came with
    auth_stage: str  # "Primary authentication", "Secondary authentication", "Unknown"
    status: str  # "Allow", "Reject", "Error", "Challenge"
    client_ip: str | None  # the user's own address, if something vouches for it
    server_section: str
    server_section_ikey: str | None
    factor: str | None
    hostname: str
    login: str  # one id from the packet to the cloud's transaction
    user: str | None  # the one name that directory, limits and cloud know
    decision: str | None  # accept, reject, challenge; null: the primary's word, the login goes on
    reason: str | None
    cause: str | None
    detail: str | None
    primary_ms: float | None
    cloud_ms: float | None
    client: str
    nas_ip: str
    txid: str | None
    fail_open: bool
    why: str | None = None  # what kept the door shut, where reason is fail_closed


class Audit(Protocol):
    """Takes a section's events."""

    hostname: str
    clock: Callable[[], float]  # seconds since 1970

    def write(self, event: AuditEvent) -> None:
        """Queue the event. Never waits."""

    def write_now(self, event: AuditEvent) -> None:
        """Return when the event is written. Raises AuditUnavailable (F8); the event must not happen then."""


class AuditLog:
    """The audit file. Events are queued; `write_now` is for those that have to be on record first."""

    def __init__(
        self,
        path: Path,
        *,
        hostname: str,
        max_size: int,
        max_files: int,
        log: Log,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Sizes as in LogSettings; `clock`: seconds since 1970. Raises AuditUnusable."""
        self.hostname = hostname
        self.clock = clock
        self._path = path
        self._log = log
        try:
            file = RotatingFile(
                path, max_size=max_size, max_files=max_files, rotation_failed=self._rotation_failed
            )
        except OSError as error:
            raise AuditUnusable(f"{path}: {error.strerror}") from None
        self.writer = LineWriter(file, name="audit", told=self, gap=self._gap, linger=_LINGER)

    def write(self, event: AuditEvent) -> None:
        """Queue the event; never waits. Lines that the file doesn't take are tried again, then counted, and the count
        is written (A14).
        """
        self.writer.put(_octets(event))

    def write_now(self, event: AuditEvent) -> None:
        """Return when the event is written. Raises AuditUnavailable (F8); the event must not happen then."""
        try:
            self.writer.put_now(_octets(event), _PATIENCE)
        except OutletFailed as failed:
            raise AuditUnavailable(str(failed)) from None

    def flush(self, timeout: float = 5.0) -> bool:
        return self.writer.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        self.writer.close(timeout)

    # ---- what the file reports

    def outlet_failed(self, name: str, problem: str) -> None:
        self._log.error(
            "audit.unavailable", file=self._path, problem=problem, effect="no outage lets anyone in"
        )

    def outlet_recovered(self, name: str, lost: int) -> None:
        self._log.warn("audit.recovered", file=self._path, lost=lost)

    def _rotation_failed(self, problem: str) -> None:
        self._log.warn("audit.rotation_failed", file=self._path, problem=problem)

    def _gap(self, count: int, problem: str) -> bytes:
        """A reader of the file alone must see that something is missing."""
        fields = {
            "timestamp": timestamp(self.clock()),
            "msg": f"{count} events before this one are missing: {problem or 'more than the file takes'}",
            "auth_stage": "Unknown",
            "status": "Error",
            "hostname": self.hostname,
            "lost": count,
        }
        return (json_line(fields) + "\n").encode()


class AuditInLog:
    """Without a file of its own (`log_auth_events: false`), the log's line for each decision is the record."""

    def __init__(self, log: EventLog, *, hostname: str, clock: Callable[[], float] = time.time) -> None:
        self.hostname = hostname
        self.clock = clock
        self._log = log

    def write(self, event: AuditEvent) -> None:
        """Does nothing: the recorder writes the line to the log itself."""

    def write_now(self, event: AuditEvent) -> None:
        """Write to at least one log. Raises AuditUnavailable if there is none, or none takes it (F8)."""
        fields = {name: value for name, value in event._asdict().items() if value is not None}
        try:
            by = "fail_open" if event.fail_open else event.reason
            self._log.warn_now(f"audit.let_in_by_{by}", _PATIENCE, fields)
        except OutletFailed as failed:
            raise AuditUnavailable(str(failed)) from None


def encode(event: AuditEvent) -> str:
    """The event as one line of JSON, as json_line would write it.

    Written by hand because every login passes here twice, at a fifth of the price. Neighbours of which there are few
    different ones are one piece.
    """
    text, null = encode_basestring, "null"
    (
        at, msg, username, dn, stage, status, client_ip, section, ikey, factor, hostname, login, user,
        decision, reason, cause, detail, primary, cloud, client, nas_ip, txid, fail_open, why,
    ) = event  # fmt: skip
    line = (
        f'{{"timestamp":"{at}","msg":{_message(msg)},"username":{text(username)},'
        f'"dn":{null if dn is None else text(dn)}'
        f"{_step(stage, status)}{null if client_ip is None else text(client_ip)}"
        f"{_place(section, ikey, factor, hostname)}{text(login)}"
        f',"user":{null if user is None else text(user)}'
        f"{_outcome(decision, reason, cause)}{null if detail is None else text(detail)}"
        f',"primary_ms":{_number(primary)},"cloud_ms":{_number(cloud)}'
        f"{_peer(client, nas_ip)}{null if txid is None else text(txid)}"
        f"{_door(fail_open, why)}}}"
    )
    # As isprintable, which looks at each character. In JSON every control of ASCII but the last is an escape.
    printable = _DELETE not in line if line.isascii() else line.isprintable()
    return line if printable else json_line(event._asdict())


def _piece(*names: str, before: str = "") -> Callable[..., str]:
    """Writes the members of these names, up to the value of the next one.

    It remembers what it has written: what it is for is the same in line after line.
    """
    end = f',"{before}":' if before else ""

    @lru_cache(maxsize=1024)
    def piece(*values: str | bool | None) -> str:
        return f",{readable_json(dict(zip(names, values, strict=True)))[1:-1]}{end}"

    return piece


_step = _piece("auth_stage", "status", before="client_ip")
_place = _piece("server_section", "server_section_ikey", "factor", "hostname", before="login")
_outcome = _piece("decision", "reason", "cause", before="detail")
_peer = _piece("client", "nas_ip", before="txid")
_door = _piece("fail_open", "why")
_message = lru_cache(maxsize=1024)(encode_basestring)


@lru_cache(maxsize=1024)  # to tenths of milliseconds, so there are few of them, too
def _number(number: float | None) -> str:
    return "null" if number is None else repr(number)


def _octets(event: AuditEvent) -> bytes:
    return (encode(event) + "\n").encode()
