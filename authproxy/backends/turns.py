"""Lets a login wait for its turn, for code without an event loop of its own."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred


class ReactorTurn:
    """Implements pipeline.push_limit.Turn."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._came: Deferred[bool] = Deferred()

    def come(self) -> None:
        if not self._came.called:
            self._came.callback(True)

    async def wait(self, seconds: float) -> bool:
        timer = self._reactor.callLater(max(0.0, seconds), self._late)
        try:
            return await self._came
        finally:
            if timer.active():
                timer.cancel()

    def _late(self) -> None:
        if not self._came.called:
            self._came.callback(False)
