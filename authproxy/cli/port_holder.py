"""Which process uses a port on this machine, from Linux's /proc, as far as this user may see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from authproxy.values import light_dataclass

_LOCAL, _STATE, _INODE = 1, 3, 9  # columns of /proc/net/{udp,tcp}
_LISTENING = {"udp": "07", "tcp": "0A"}


@light_dataclass(frozen=True, slots=True)
class Holder:
    pid: int
    command: tuple[str, ...]

    @property
    def is_authproxy(self) -> bool:
        return any(Path(word).name == "authproxy" or word == "authproxy" for word in self.command[:4])

    def __str__(self) -> str:
        name = "authproxy" if self.is_authproxy else Path(self.command[0]).name if self.command else "?"
        return f"{name}, process {self.pid}"


def holder_of(port: int, transport: str) -> Holder | None:
    """None: no process, or one that this user can't look into."""
    inodes = set(_inodes(port, transport))
    for pid in _pids() if inodes else ():
        if inodes & set(_sockets(pid)):
            return Holder(pid, _command(pid))
    return None


def _inodes(port: int, transport: str) -> Iterator[str]:
    for table in (f"/proc/net/{transport}", f"/proc/net/{transport}6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            row = line.split()
            local = int(row[_LOCAL].rpartition(":")[2], 16)
            if local == port and row[_STATE] == _LISTENING[transport]:
                yield row[_INODE]


def _pids() -> Iterator[int]:
    yield from (int(name) for name in os.listdir("/proc") if name.isdigit())


def _sockets(pid: int) -> Iterator[str]:
    """The inodes of a process's sockets."""
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{name}")
            if target.startswith("socket:["):
                yield target[8:-1]
    except OSError:
        return


def _command(pid: int) -> tuple[str, ...]:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ()
    return tuple(word.decode("utf-8", "replace") for word in words if word)
