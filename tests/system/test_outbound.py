"""The way out over an HTTP proxy: squid and tinyproxy as they are, and proxies that lie (T7)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.bench.loop import Fault, answer
from tests.system.bench.wire import ACCESS_ACCEPT, ACCESS_REJECT, codes
from tests.system.bench.world import Login, World, wait_for
from tests.system.parts.http_proxies import HttpProxy, squid, tinyproxy

pytestmark = pytest.mark.system

PROXIES = {"squid": squid, "tinyproxy": tinyproxy}


def behind(world: World, port: int, **options: Any) -> Login:
    proxy = {"http_proxy_host": "127.0.0.1", "http_proxy_port": port}
    world.add_section(**{"failmode": "safe", "api_timeout": 1.5, "api_connect_timeout": 1} | proxy | options)
    return world.add_user("alice")


def login(world: World, user: Login) -> tuple[int | None, str, str]:
    before = len(world.audit(username=user.user))
    reply = world.nas().ask(user.user, user.password, timeout=20)
    events = wait_for(lambda: [e for e in world.audit(username=user.user)[before:] if e.get("decision")])
    return codes([reply])[0], events[-1]["reason"], events[-1].get("cause") or ""


@pytest.fixture(params=PROXIES)
def proxy(request: pytest.FixtureRequest, tmp_path: Path, world: World) -> Iterator[tuple[HttpProxy, str]]:
    password = world.canaries.new("the HTTP proxy's password")
    with PROXIES[request.param](tmp_path / request.param, "authproxy", password) as running:
        yield running, password


def test_a_real_proxy(world: World, proxy: tuple[HttpProxy, str]) -> None:
    """Every call goes through it, TLS end to end; when it is gone, that is an outage; when it refuses, it is not."""
    running, password = proxy
    patient = {"api_timeout": 10, "api_connect_timeout": 5}  # squid starts a program to check the password
    user = behind(
        world, running.port, http_proxy_username="authproxy", http_proxy_password=password, **patient
    )
    world.start()
    assert login(world, user) == (ACCESS_ACCEPT, "both_factors", "")
    assert "CONNECT" in running.log()
    assert f"localhost:{world.cloud.port}" in running.log()
    assert user.user not in running.log()
    assert world.running.stop() == 0
    world.options(world.sections[0])["http_proxy_password"] = world.canaries.new(
        "a wrong password for the proxy"
    )
    world.start(proven=False)
    assert login(world, user) == (ACCESS_REJECT, "cloud_refused", "request")
    assert world.running.stop() == 0
    world.options(world.sections[0]).pop("http_proxy_username")
    world.options(world.sections[0]).pop("http_proxy_password")
    world.start(proven=False)
    assert login(world, user) == (ACCESS_REJECT, "cloud_refused", "request")


def test_a_real_proxy_that_forbids_it(world: World, tmp_path: Path) -> None:
    """403 is an answer, and no outage."""
    with squid(tmp_path / "squid", allow=False) as running:
        user = behind(world, running.port)
        world.start(proven=False)
        assert login(world, user) == (ACCESS_REJECT, "cloud_refused", "request")


class LyingProxy:
    """Reads a CONNECT and says what the test tells it; in between it can be an honest one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.fault: Fault | None = None
        self._server = world.loop.call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(f"CONNECT localhost:{self._world.cloud.port} HTTP/1.1\r\n".encode()), head
            if self.fault is not None:
                await answer(writer, b"", self.fault)
            else:
                await self._relay(reader, writer)
        writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._world.cloud.port)
        await answer(writer, b"HTTP/1.1 200 Connection established\r\n\r\n", None)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
    writer.close()


HEAD = b"HTTP/1.1 200 Connection established\r\n"
LIES = {
    "403": (b"HTTP/1.1 403 Forbidden\r\n\r\n", "request"),
    "407": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "request"),
    "404": (b"HTTP/1.1 404 Not Found\r\n\r\n", "request"),
    "302": (b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\n\r\n", "request"),
    "200, then its own page": (HEAD + b"\r\n<html>Sign in to the hotel's network</html>", "protocol"),
    "a head without an end": (HEAD + b"X-Padding: y\r\n" * 200_000, "protocol"),
    "noise": (b"\x15\x03\x01\x00\x02\x02\x28" * 30, "protocol"),
}


def test_lying_proxies(world: World) -> None:
    """T7, F3: what it answers opens nothing; only that it isn't there is an outage."""
    liar = LyingProxy(world)
    user = behind(world, liar.port)
    world.start()
    assert login(world, user) == (ACCESS_ACCEPT, "both_factors", "")
    for name, (octets, cause) in LIES.items():
        liar.fault = Fault(octets=octets)
        world.cloud.become("well")  # cuts what is open
        assert login(world, user) == (ACCESS_REJECT, "cloud_refused", cause), name
    liar.fault = Fault(silent=True)
    assert login(world, user) == (ACCESS_ACCEPT, "fail_open", "unreachable")
    liar.fault = Fault(reset=True)
    assert login(world, user) == (ACCESS_ACCEPT, "fail_open", "unreachable")
