"""What connections from outside may take of the process's file descriptors (A8).

The rest is for what answers them: the sockets of the RADIUS ports, the connections to directories and to the cloud,
the logs. Idle connections, however many, must not be the reason that nobody logs in.
"""

from __future__ import annotations

import resource

# What the process has open by itself, before the pools grow.
_OWN = 40
_SHARE = 0.8
_AT_LEAST = 4


class Descriptors:
    """For the whole process."""

    __slots__ = ("_most", "_taken")

    def __init__(self, most: int | None = None) -> None:
        """`most` None: what the process's limit leaves."""
        self._most = for_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if most is None else most
        self._taken = 0

    @property
    def taken(self) -> int:
        return self._taken

    @property
    def most(self) -> int:
        return self._most

    def take(self, count: int) -> bool:
        """Take so many. False: there aren't enough, and the connection has to be closed."""
        if self._taken + count > self._most:
            return False
        self._taken += count
        return True

    def give_back(self, count: int) -> None:
        self._taken -= count


def for_connections(limit: int) -> int:
    """The share of the process's `limit` that connections from outside may use."""
    if limit == resource.RLIM_INFINITY:
        return 1 << 30
    return max(_AT_LEAST, int(limit * _SHARE) - _OWN)
