"""Counts datagrams lost to a full receive buffer, from the kernel's counters (A18)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Of our own network namespace; there also where /proc shows nothing but processes (ProcSubset=pid).
_TABLES = (Path("/proc/self/net/udp"), Path("/proc/self/net/udp6"))
_INODE, _DROPS = 9, 12  # columns


class SocketInodes:
    """The watched sockets, by inode: addresses can repeat, inodes don't."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def add(self, address: str, descriptor: int) -> None:
        """Add a socket; it replaces an earlier one with the same address."""
        self._addresses = {inode: known for inode, known in self._addresses.items() if known != address}
        self._addresses[str(os.fstat(descriptor).st_ino)] = address

    def get(self, inode: str) -> str | None:
        return self._addresses.get(inode)

    def __len__(self) -> int:
        return len(self._addresses)


def read_drops(sockets: SocketInodes, tables: tuple[Path, ...] = _TABLES) -> dict[str, int]:
    """Drops by address; without the sockets that can't be read."""
    found: dict[str, int] = {}
    for row in _rows(tables) if len(sockets) else ():
        if (address := sockets.get(row[_INODE])) is not None:
            found[address] = int(row[_DROPS])
    return found


def _rows(tables: tuple[Path, ...]) -> Iterator[list[str]]:
    for table in tables:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            row = line.split()
            if len(row) > _DROPS:
                yield row
