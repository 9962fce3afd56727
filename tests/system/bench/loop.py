"""One asyncio loop in a thread for all fakes, and how a fake misbehaves while it answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """asyncio in a thread; call() runs a coroutine there and waits."""

    def __init__(self) -> None:
        self.asyncio = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.asyncio.run_forever, name="fakes", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float = 10) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.asyncio).result(timeout)

    def close(self) -> None:
        async def cancel_all() -> None:
            mine = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not mine]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.call(cancel_all())
        self.asyncio.call_soon_threadsafe(self.asyncio.stop)
        self._thread.join(10)
        self.asyncio.close()


@dataclass(slots=True)
class Fault:
    """What goes wrong with the next `times` answers. The first that applies is used."""

    times: int = 1 << 30
    delay: float = 0
    silent: bool = False  # read, never answer
    reset: bool = False  # RST instead of an answer
    close: bool = False  # FIN instead of an answer
    keep: int | None = None  # send only that many octets, then close
    drip: float | None = None  # one octet each so many seconds
    octets: bytes | None = None  # these instead of the answer

    def take(self) -> bool:
        self.times -= 1
        return self.times >= 0


async def answer(writer: asyncio.StreamWriter, octets: bytes, fault: Fault | None) -> None:
    """Send octets, or what the fault makes of them. Raises ConnectionError when the connection is over."""
    if fault is None:
        writer.write(octets)
        await writer.drain()
        return
    await asyncio.sleep(fault.delay)
    if fault.silent:
        await asyncio.sleep(3600)
    if fault.reset:
        reset(writer)
    if fault.close:
        writer.close()
        raise ConnectionError("closed on purpose")
    octets = octets if fault.octets is None else fault.octets
    octets = octets[: fault.keep]
    if fault.drip is None:
        writer.write(octets)
        await writer.drain()
    else:
        for octet in octets:
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(fault.drip)
    if fault.keep is not None:
        writer.close()
        raise ConnectionError("closed on purpose")


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise ConnectionError("reset on purpose")
