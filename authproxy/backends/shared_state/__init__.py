"""What nodes share, in a Redis or Valkey server. Its modules are imported only where one is configured."""

from __future__ import annotations

from typing import Protocol

from authproxy.backends.lockout import SharedAttempts
from authproxy.pipeline.nodes import Nodes


class Shared(Nodes, SharedAttempts, Protocol):
    """All of it, as the service knows it."""

    @property
    def at(self) -> str:
        """The store's host and port."""

    @property
    def problem(self) -> str:
        """Why nodes decide alone; "": they don't."""

    def start(self) -> None: ...

    async def close(self) -> None: ...
