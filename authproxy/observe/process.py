"""The process as the operating system sees it, under the metric names that dashboards know.

prometheus-client has such a collector, but it needs /proc/stat, which the unit hides (ProcSubset=pid).
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from authproxy.observe.families import Family, Kind

_PAGE = resource.getpagesize()


class ProcessCollector:
    def __init__(self) -> None:
        self._started = time.time()

    def collect(self) -> Iterator[Family]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        seconds = usage.ru_utime + usage.ru_stime
        yield _one("counter", "process_cpu_seconds", "User and system CPU time spent, in seconds.", seconds)
        yield _gauge("process_start_time_seconds", "Start, in seconds since 1970.", self._started)
        yield _gauge(
            "process_max_fds",
            "File descriptors that may be open.",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )
        yield _gauge("process_threads", "Threads of Python.", threading.active_count())
        try:
            virtual, resident = Path("/proc/self/statm").read_text().split()[:2]
            descriptors = len(os.listdir("/proc/self/fd"))
        except OSError:
            return
        yield _gauge("process_resident_memory_bytes", "Resident memory size in bytes.", int(resident) * _PAGE)
        yield _gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", int(virtual) * _PAGE)
        yield _gauge("process_open_fds", "File descriptors that are open.", descriptors)


def _gauge(name: str, text: str, value: float) -> Family:
    return _one("gauge", name, text, value)


def _one(kind: Kind, name: str, text: str, value: float) -> Family:
    family = Family(kind, name, text)
    family.add((), value)
    return family
