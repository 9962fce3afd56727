"""Whoever owns the way to the store, or the store: sees each command, and answers it, delays it, or cuts the line."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, Self

from authproxy.backends.shared_state import scripts
from tests.system.parts.process import free_port
from tests.system.parts.redis import NAME, Redis

# Which script a command runs.
SCRIPTS = {
    hashlib.sha1(getattr(scripts, name).encode()).hexdigest().encode(): name
    for name in dir(scripts)
    if name.isupper() and not name.startswith("_")
}


class Fate(Enum):
    CUT = "the line is cut before the store sees it"
    LOST = "the store does it, and the line is cut before its answer"
    HUNG = "nobody ever answers"


Hook = Callable[[str, list[bytes]], bytes | Fate | None]


class RedisTap:
    """Listens without TLS. `hook`: the script's or the command's name, and all of the command; None: pass it on."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.port = free_port()
        self.hook: Hook = lambda name, command: None
        self.delay = 0.0  # seconds before each command goes on
        self.heard: list[str] = []
        self._lines: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._on_loop(self._listen())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def options(self) -> dict[str, Any]:
        """A `shared_state` section."""
        options = self.redis.options(port=self.port, transport="clear")
        return {name: value for name, value in options.items() if not name.startswith("ssl_")}

    def cut(self) -> None:
        """All lines, at once."""
        self._on_loop(self._cut())

    def close(self) -> None:
        self._on_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _on_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def _stop(self) -> None:
        self._server.close()
        await self._cut()

    async def _cut(self) -> None:
        for line in list(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.ensure_future(self._relay(reader, writer))
        self._lines.add(line)
        try:
            await line
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(line)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = ssl.create_default_context(cafile=str(self.redis.authority.ca))
        theirs, ours = await asyncio.open_connection(
            "127.0.0.1", self.redis.port, ssl=context, server_hostname=NAME
        )
        try:
            while True:
                octets, command = await _value(reader)
                name = _name(command)
                self.heard.append(name)
                if self.delay:
                    await asyncio.sleep(self.delay)
                fate = self.hook(name, command)
                if fate is Fate.CUT:
                    return
                if fate is Fate.HUNG:
                    await asyncio.sleep(3600)
                if isinstance(fate, bytes):
                    writer.write(fate)
                    continue
                ours.write(octets)
                answer, _ = await _value(theirs)
                if fate is Fate.LOST:
                    return
                writer.write(answer)
        finally:
            ours.transport.abort()


async def _value(reader: asyncio.StreamReader) -> tuple[bytes, Any]:
    """The next value, as it came and as it means."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"$" and rest != b"-1":
        octets = await reader.readexactly(int(rest) + 2)
        return line + octets, octets[:-2]
    if kind == b"*" and rest != b"-1":
        parts = [await _value(reader) for _ in range(int(rest))]
        return line + b"".join(octets for octets, _ in parts), [value for _, value in parts]
    return line, rest


def _name(command: list[bytes]) -> str:
    verb = command[0].decode().upper()
    if verb == "EVALSHA":
        return SCRIPTS.get(command[1], verb)
    if verb == "EVAL":
        return SCRIPTS.get(hashlib.sha1(command[1]).hexdigest().encode(), verb)
    return verb
