"""One asyncio loop in a thread for all fakes, and how a fake misbehaves while it answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

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
    delay: float = 0  # seconds before the answer
    silent: bool = False  # read, never answer
    reset: bool = False  # RST instead of an answer
    close: bool = False  # FIN instead of an answer
    keep: int | None = None  # send only that many octets, then close
    stall: int | None = None  # send only that many octets, then nothing
    drip: float | None = None  # one octet each so many seconds
    octets: bytes | None = None  # these instead of the answer
    beneath: bytes | None = None  # these instead of the answer, and outside of TLS

    def take(self) -> bool:
        self.times -= 1
        return self.times >= 0

    @property
    def replaces(self) -> bool:
        """Whether the right answer never goes out whole."""
        cut = self.keep is not None or self.stall is not None
        other = self.octets is not None or self.beneath is not None
        return self.silent or self.reset or self.close or cut or other


async def answer(
    writer: asyncio.StreamWriter,
    octets: bytes,
    fault: Fault | None,
    leaving: Callable[[], None] = lambda: None,
) -> None:
    """Send octets, or what the fault makes of them; `leaving` is called just before their last octet goes.

    Raises ConnectionError when the connection is over.
    """
    if fault is None:
        leaving()
        writer.write(octets)
        await writer.drain()
        return
    await asyncio.sleep(fault.delay)
    if fault.silent:
        await _for_ever(writer)
    if fault.reset:
        reset(writer)
    if fault.close:
        _end(writer)
    if fault.beneath is not None:
        # asyncio has no public way past its own TLS.
        writer.transport._ssl_protocol._transport.write(fault.beneath)  # type: ignore[attr-defined]
        await _for_ever(writer)
    octets = octets if fault.octets is None else fault.octets
    cut = fault.keep if fault.stall is None else fault.stall
    if cut is None:
        *head, last = _pieces(octets, fault.drip)
    else:
        head, last = _pieces(octets[:cut], fault.drip), b""
    for piece in head:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(fault.drip or 0)
    if not fault.replaces:
        leaving()
    writer.write(last)
    await writer.drain()
    if fault.stall is not None:
        await _for_ever(writer)
    if fault.keep is not None:
        _end(writer)


def _pieces(octets: bytes, drip: float | None) -> list[bytes]:
    return [octets] if drip is None else [bytes((octet,)) for octet in octets]


async def _for_ever(writer: asyncio.StreamWriter) -> None:
    """Until the peer has gone."""
    while not writer.is_closing():  # noqa: ASYNC110 - a stream tells nobody when it closes
        await asyncio.sleep(0.05)
    raise ConnectionError("gone")


def _end(writer: asyncio.StreamWriter) -> NoReturn:
    writer.close()
    raise ConnectionError("closed on purpose")


def reset(writer: asyncio.StreamWriter) -> NoReturn:
    """End the connection with RST."""
    raw = writer.get_extra_info("socket")
    if raw is None:  # the peer was faster
        raise ConnectionError("gone")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise ConnectionError("reset on purpose")
