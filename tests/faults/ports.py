"""A cloud whose port can go bad while a login is on its way."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tests.faults.catalogue import Fault, Stage
from tests.system.bench.cloud import Cloud
from tests.system.bench.loop import reset
from tests.system.bench.pki import Authority

# A ServerHello that is announced and never done: RFC 8446 §4.1.3.
_HELLO = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + bytes(116)
_DRIP = 0.2  # seconds an octet
CERTIFICATES = {"another name", "another authority", "self-signed", "expired", "not yet valid"}
NO_HANDSHAKE = {"old TLS", "no cipher", "client certificate"}


class TurningCloud(Cloud):
    """`turn`: from which moment the port is bad. Connections that stand then go on until their answer is out."""

    def __init__(self, *given: Any, authority: Authority, **more: Any) -> None:
        self.authority = authority
        self._turn: tuple[str, Callable[[], Awaitable[None]]] | None = None
        self._hole: list[socket.socket] = []
        super().__init__(*given, **more)

    def turn_bad(self, fault: Fault, stage: Stage) -> None:
        """The port goes bad now, or behind the answer that ends the stage before."""
        assert isinstance(fault.how, str)
        mode = fault.how
        match stage:
            case Stage.CONNECT:
                self._loop.call(self._go_bad(mode))
            case Stage.BETWEEN:
                self.turn_behind("preauth", lambda: self._go_bad(mode))
            case Stage.POLLING:
                self.turn_behind("auth", lambda: self._go_bad(mode))
            case _:
                raise AssertionError(stage)

    def turn_behind(self, endpoint: str, turn: Callable[[], Awaitable[None]]) -> None:
        """Do this before the next answer of this endpoint leaves, which then ends its connection."""
        self._turn = (endpoint, turn)

    async def _closing(self, endpoint: str, octets: bytes) -> bytes:
        if self._turn is None or self._turn[0] != endpoint:
            return octets
        turn, self._turn = self._turn[1], None
        await turn()
        head, _, body = octets.partition(b"\r\n\r\n")
        return head + b"\r\nConnection: close\r\n\r\n" + body

    async def _go_bad(self, mode: str) -> None:
        """Like `become`, with more ways, and with nothing done to connections that stand."""
        assert self._server is not None
        self._server.close()
        self._server = None
        if mode == "refused":
            return
        if mode == "black hole":
            self._dig()
            return
        serve, context = self._ways().get(mode, self._serve), None
        if mode in NO_HANDSHAKE:
            serve = partial(self._fail_handshake, self._contexts(mode))
        elif mode in CERTIFICATES:
            context = self._contexts(mode)
        self._server = await asyncio.start_server(serve, self.address, self.port, ssl=context, backlog=512)

    def _dig(self) -> None:
        """A listener that nobody accepts from, its queue full: Linux answers no further SYN."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.address, self.port))
        listening.listen(0)
        self._hole.append(listening)
        for _ in range(3):
            filling = socket.socket()
            filling.setblocking(False)
            filling.connect_ex((self.address, self.port))
            self._hole.append(filling)

    def fill(self) -> None:
        """End the black hole."""
        while self._hole:
            self._hole.pop().close()

    def _contexts(self, mode: str) -> ssl.SSLContext:
        authority, host = self.authority, self.host
        match mode:
            case "another name":
                return authority.context("other.test")
            case "another authority":
                return Authority(authority.folder / "other", "Another CA").context(host)
            case "self-signed":
                return authority.context(host, alone=True)
            case "expired":
                return authority.context(host, expired=True)
            case "not yet valid":
                return authority.context(host, begins=datetime.timedelta(days=2))
        context = authority.context(host)
        match mode:
            case "old TLS":
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version, context.maximum_version = (
                    ssl.TLSVersion.TLSv1,
                    ssl.TLSVersion.TLSv1_1,
                )
            case "no cipher":
                # For an RSA key, which this certificate hasn't.
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
            case "client certificate":
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(authority.ca)
            case _:
                raise AssertionError(mode)
        return context

    def _ways(self) -> dict[str, Any]:
        return {
            "mute": self._mute,
            "plain": self._plain,
            "hang_up": self._hang_up,
            "alert": self._alert,
            "end": self._end_at_once,
            "end in handshake": self._end_behind_hello,
            "reset in handshake": self._reset_behind_hello,
            "garbage": self._garbage,
            "drip": self._drip_hello,
        }

    async def _fail_handshake(
        self, context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """asyncio's own TLS hangs up without the alert that OpenSSL has made."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while True:
                try:
                    tls.do_handshake()
                    raise AssertionError("the handshake was to fail")
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
                except ssl.SSLError:
                    writer.write(outgoing.read())
                    await writer.drain()
                    break
        writer.close()

    async def _end_at_once(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def _end_behind_hello(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(65536)
            writer.close()

    async def _reset_behind_hello(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(65536)
            reset(writer)

    async def _garbage(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(65536)
            writer.write(b"220 mail.example ESMTP ready\r\n" * 20)
            await writer.drain()
            await reader.read(65536)
            writer.close()

    async def _drip_hello(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await reader.read(65536)
            for octet in _HELLO:
                writer.write(bytes((octet,)))
                await writer.drain()
                await asyncio.sleep(_DRIP)
        writer.close()
