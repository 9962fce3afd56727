"""Outlets other than files: a descriptor, the local syslog, the journal. Each may block, so each has a thread."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import time
from collections.abc import Sequence

from authproxy.observe.lines import Event, as_message, text_of

_PATIENCE = 1.0  # seconds that one datagram may wait for its reader
_IDENTIFIER = "authproxy"
_SYSLOG_MOST = 8 * 1024  # octets; what receivers take at least by default (RFC 5424 §6.1 asks for 2,048)
SYSLOG_SOCKET = "/dev/log"
JOURNAL_SOCKET = "/run/systemd/journal/socket"

# RFC 5424 §6.2.1. Python has them in a module that brings two hundred kilobytes along.
_FIRST = [
    "KERN",
    "USER",
    "MAIL",
    "DAEMON",
    "AUTH",
    "SYSLOG",
    "LPR",
    "NEWS",
    "UUCP",
    "CRON",
    "AUTHPRIV",
    "FTP",
]
FACILITIES = {
    **{f"LOG_{name}": number for number, name in enumerate(_FIRST)},
    **{f"LOG_LOCAL{number}": 16 + number for number in range(8)},
}


def leads_nowhere(descriptor: int) -> bool:
    """Whether what is written there is gone: /dev/null, or closed."""
    try:
        status = os.fstat(descriptor)
        return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.stat(os.devnull).st_rdev
    except OSError:
        return True


class DescriptorOutlet:
    """Standard output. The descriptor may be a pipe that nobody reads, or be non-blocking because of
    another process.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, lines: Sequence[bytes]) -> int:
        octets = b"".join(lines)
        while octets:
            try:
                octets = octets[os.write(self._descriptor, octets) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
        return len(lines)

    def close(self) -> None:
        """Does nothing: the descriptor's owner closes it."""


class DatagramOutlet:
    """A local socket that takes one datagram for each line. It is opened again when its reader has been restarted."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def write(self, lines: Sequence[bytes]) -> int:
        for taken, line in enumerate(lines):
            try:
                if line:
                    self._send(line)
            except OSError:
                if taken:
                    return taken
                raise
        return len(lines)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, line: bytes) -> None:
        try:
            self._connected().send(line)
        except TimeoutError:
            raise OSError(errno.EAGAIN, f"{self._path} is not being read") from None
        except OSError as error:
            self.close()
            if error.errno == errno.EMSGSIZE:
                return  # no later try would be shorter
            if error.errno not in (errno.ECONNREFUSED, errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET):
                raise
            self._connected().send(line)

    def _connected(self) -> socket.socket:
        if self._socket is None:
            new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                new.settimeout(_PATIENCE)
                new.connect(self._path)
            except BaseException:
                new.close()
                raise
            self._socket = new
        return self._socket


class SyslogFormat:
    """What a local syslog expects of a datagram (RFC 3164 §4.1, without the host)."""

    def __init__(self, facility: str, *, pid: int | None = None) -> None:
        """`facility`: LOG_USER, LOG_AUTH, LOG_LOCAL0 …; raises KeyError for any other word."""
        self._facility = FACILITIES[facility] << 3
        self._pid = os.getpid() if pid is None else pid

    def __call__(self, event: Event, message: str) -> bytes:
        when = time.localtime(event.at)
        # %e is no C standard; RFC 3164 §4.1.2 pads the day with a space.
        stamp = f"{_MONTHS[when.tm_mon - 1]} {when.tm_mday:2d} {time.strftime('%H:%M:%S', when)}"
        head = f"<{self._facility | event.severity}>{stamp} {_IDENTIFIER}[{self._pid}]: "
        return (head + message).encode("utf-8", "backslashreplace")[:_SYSLOG_MOST]


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def journal_format(event: Event) -> bytes:
    """An entry in the journal's native protocol: each field of the event is a field there."""
    entry = [
        _journal_field("MESSAGE", as_message(event)),
        _journal_field("PRIORITY", str(int(event.severity))),
        _journal_field("SYSLOG_IDENTIFIER", _IDENTIFIER),
        _journal_field("AUTHPROXY_EVENT", event.name),
    ]
    entry += [
        _journal_field(f"AUTHPROXY_{name.upper()}", text_of(value))
        for name, value in event.fields.items()
        if value is not None
    ]
    return b"".join(entry)


def _journal_field(name: str, value: str) -> bytes:
    """With the length in front, so that no value can end early and begin a field of its own."""
    octets = value.encode("utf-8", "backslashreplace")
    return name.encode("ascii") + b"\n" + len(octets).to_bytes(8, "little") + octets + b"\n"
