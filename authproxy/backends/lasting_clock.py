"""Seconds that no setting of the wall clock moves, counted on over restarts of the daemon.

Linux's CLOCK_BOOTTIME runs from the machine's start, in suspend too, and can't be set. Over a restart of the machine it
begins anew; then we count on from where we last wrote, so time that was away from us is not counted: what is limited by
this clock stays limited for longer, never for shorter.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from authproxy.values import light_dataclass

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@light_dataclass(frozen=True, slots=True)
class Boot:
    """`id`: of the machine's run, "" if unknown; `seconds`: since its start."""

    id: str
    seconds: float


def this_boot() -> Boot:
    boot = ""
    with contextlib.suppress(OSError):
        boot = _BOOT_ID.read_text().strip()
    return Boot(boot, time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)))


@light_dataclass(frozen=True, slots=True)
class LastingTime:
    """A count at one moment of a boot, from which to go on counting."""

    boot: Boot
    count: float = 0.0

    def at(self, now: Boot) -> float:
        """The count now, in seconds."""
        same = self.boot.id and self.boot.id == now.id and now.seconds >= self.boot.seconds
        return self.count + (now.seconds - self.boot.seconds if same else 0.0)
