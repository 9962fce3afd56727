"""The service manager's protocol: sd_notify(3) and the watchdog, without libsystemd.

Without $NOTIFY_SOCKET, every call does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping


class ServiceManager:
    """Each call sends one datagram and never blocks. A lost datagram is ignored."""

    def __init__(self, address: str = "", *, watchdog: float | None = None) -> None:
        """`address` as in $NOTIFY_SOCKET: a path, or `@` and an abstract name. `watchdog`: seconds, or None."""
        self.watchdog = watchdog
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, pid: int | None = None
    ) -> ServiceManager:
        """As systemd has set it in the environment."""
        environment = os.environ if environment is None else environment
        pid = os.getpid() if pid is None else pid
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog=_watchdog(environment, pid))

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds between pings: half of the allowed time, so that a late ping causes no restart."""
        return None if self.watchdog is None else self.watchdog / 2

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """A reload has begun; READY=1 has to follow."""
        # systemd.service(5), Type=notify-reload: the time tells this message from an older one.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str, within: float) -> None:
        """Stopping has begun. `within`: seconds that it may take, also where the unit's TimeoutStopSec is shorter."""
        self._send("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={int(within * 1_000_000)}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def ping(self) -> None:
        """The event loop is running."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        message = "\n".join(one.replace("\n", " ") for one in assignments).encode("utf-8", "replace")
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto(message, self._address)
        except OSError:
            self.close()


def _watchdog(environment: Mapping[str, str], pid: int) -> float | None:
    """sd_watchdog_enabled(3): the variables may be another process's."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return microseconds / 1_000_000 if microseconds > 0 else None
