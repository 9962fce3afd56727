"""A tap between LDAP clients that others wrote and the daemon: what passes goes into the journal for the oracles.

TLS ends here, with the daemon's own certificate, and begins again: in clear, by StartTLS, or as LDAPS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Framer
from authproxy.protocols.ldap.requests import START_TLS, ExtendedRequest, decode_request
from authproxy.protocols.ldap.responses import ExtendedResponse, decode_response
from tests.system.bench.journal import Journal
from tests.system.bench.ldap_ear import Ear
from tests.system.bench.loop import Loop

_EXTENDED = 0x77


@dataclass(frozen=True, slots=True)
class Tls:
    """Both sides of the tap."""

    to_clients: ssl.SSLContext
    to_daemon: ssl.SSLContext


class LdapTap:
    """Listens on a port of its own. `at_once`: LDAPS on both sides."""

    def __init__(
        self, loop: Loop, journal: Journal, port: int, tls: Tls | None = None, *, at_once: bool = False
    ) -> None:
        self._loop, self._journal, self._server = loop, journal, ("127.0.0.1", port)
        self._tls, self._at_once = tls, at_once
        self._writers: set[asyncio.StreamWriter] = set()
        server_tls = tls.to_clients if tls is not None and at_once else None
        self._listening = loop.call(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=server_tls))
        self.port: int = self._listening.sockets[0].getsockname()[1]

    def close(self) -> None:
        async def close() -> None:
            self._listening.close()
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.call(close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ear = Ear(self._journal, self._server, str(writer.get_extra_info("peername")[0]))
        there = self._tls.to_daemon if self._tls is not None and self._at_once else None
        try:
            from_daemon, to_daemon = await asyncio.open_connection(
                *self._server, ssl=there, server_hostname="localhost" if there else None
            )
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_daemon}
        self._writers |= both
        try:
            if not self._at_once and self._tls is not None:
                await self._in_clear(ear, reader, writer, from_daemon, to_daemon)
            else:
                await _pass_all(ear, reader, writer, from_daemon, to_daemon)
        except (OSError, MalformedMessage, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers -= both
            for one in both:
                with contextlib.suppress(OSError, RuntimeError):
                    one.close()

    async def _in_clear(
        self,
        ear: Ear,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_daemon: asyncio.StreamReader,
        to_daemon: asyncio.StreamWriter,
    ) -> None:
        """The first message says whether TLS follows."""
        assert self._tls is not None
        first, framer = b"", Framer(1_000_000)
        frames = []
        while not frames:
            data = await reader.read(65536)
            if not data:
                return
            first += data
            frames = framer.feed(data)
        to_daemon.write(first)
        ear.sent(first)
        if frames[0].tag == _EXTENDED:
            request = decode_request(frames[0])
            if isinstance(request, ExtendedRequest) and request.name == START_TLS:
                await self._start_tls(ear, writer, from_daemon, to_daemon)
        await _pass_all(ear, reader, writer, from_daemon, to_daemon)

    async def _start_tls(
        self,
        ear: Ear,
        writer: asyncio.StreamWriter,
        from_daemon: asyncio.StreamReader,
        to_daemon: asyncio.StreamWriter,
    ) -> None:
        assert self._tls is not None
        answer = await from_daemon.read(65536)
        ear.heard(answer)
        (frame,) = Framer(1_000_000).feed(answer)
        response = decode_response(frame)
        begins = isinstance(response, ExtendedResponse) and response.result.code == 0
        writer.write(answer)
        await writer.drain()
        if begins:
            await asyncio.gather(
                to_daemon.start_tls(self._tls.to_daemon, server_hostname="localhost"),
                writer.start_tls(self._tls.to_clients),
            )


async def _pass_all(
    ear: Ear,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    from_daemon: asyncio.StreamReader,
    to_daemon: asyncio.StreamWriter,
) -> None:
    async def up() -> None:
        while data := await reader.read(262_144):
            ear.sent(data)  # before it leaves: what it causes comes behind it in the journal
            to_daemon.write(data)
            await to_daemon.drain()
        to_daemon.close()

    async def down() -> None:
        while data := await from_daemon.read(262_144):
            ear.heard(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    await asyncio.gather(up(), down())
