"""The way out for other clients of the cloud: a section's own calls go by it, and nothing else gets anywhere."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from tests.system.bench.daemon import free_port
from tests.system.bench.wire import ACCESS_ACCEPT, codes
from tests.system.bench.world import World

pytestmark = pytest.mark.system

MUCH = 8 * 1024 * 1024


def ask(port: int, line: str) -> bytes:
    """The answer to one request, to its end."""
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        wire.sendall(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        while piece := wire.recv(4096):
            answer += piece
    return answer


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """A server on loopback that says one long thing back, once all of it has come."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as wire:
                come = bytearray()
                while len(come) < MUCH:
                    come += wire.recv(65536)
                wire.sendall(come)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)


def test_the_way_out(world: World) -> None:
    with echo() as far:
        port, other = free_port(), free_port()
        world.config["http_proxy"] = {
            "api_host": "localhost",
            "api_port": world.cloud.port,
            "allow_local_api": True,
            "port": port,
            "client_ip": "127.0.0.0/30",
        }
        world.config["http_proxy2"] = world.config["http_proxy"] | {"api_port": far, "port": other}
        world.add_section(http_proxy_host="127.0.0.1", http_proxy_port=port)
        alice = world.add_user("alice")
        world.start()
        assert codes([world.nas().ask(alice.user, alice.password)]) == [ACCESS_ACCEPT]
        assert world.running.metric("authproxy_http_proxy_tunnels", address=f"127.0.0.1:{port}") >= 1
        for line, status in (
            (f"CONNECT localhost:{world.directory.port}", 403),
            (f"CONNECT 127.0.0.1:{world.cloud.port}", 403),
            (f"GET https://localhost:{world.cloud.port}/auth/v2/ping", 405),
            ("hello", 400),
        ):
            assert ask(port, line).startswith(b"HTTP/1.1 %d " % status), line
        with socket.create_connection(("127.0.0.1", port), 10, source_address=("127.0.0.9", 0)) as stranger:
            assert stranger.recv(1) == b""
        for cause, count in (("destination", 2), ("method", 1), ("malformed", 1), ("unknown_client", 1)):
            assert world.running.metric("authproxy_http_proxy_refused_total", cause=cause) == count
        world.wait_log("http_proxy.refused section=http_proxy cause=unknown_client source=127.0.0.9")
        _crosses_whole(other, far)
        # A reload serves the port by the new rules.
        world.config["http_proxy"]["client_ip"] = "127.0.0.9"
        world.write_config()
        world.running.reload()
        world.wait_log("service.reloaded")
        with contextlib.suppress(ConnectionResetError):
            assert ask(port, "hello") == b""


def _crosses_whole(port: int, far: int) -> None:
    """More than buffers hold, both ways, to an end that doesn't read meanwhile."""
    octets = bytes(range(256)) * (MUCH // 256)
    with socket.create_connection(("127.0.0.1", port), 20) as wire:
        wire.sendall(f"CONNECT localhost:{far} HTTP/1.1\r\n\r\n".encode())
        assert wire.recv(39) == b"HTTP/1.1 200 Connection established\r\n\r\n"
        wire.sendall(octets)
        come = bytearray()
        while piece := wire.recv(65536):
            come += piece
    assert come == octets
