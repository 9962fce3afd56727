"""Through an outbound proxy: honest, absent, refusing, lying (T7)."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from authproxy.backends.cloud.proxy import OutboundProxy, connect_request
from authproxy.pipeline.ports import FailureClass, PreauthFactors
from authproxy.secret import Secret
from tests.backends.certificates import Authority, server_context
from tests.backends.cloud.conftest import Asked, Make
from tests.backends.cloud.scripted import PREAUTH, Script, Scripted, Wire, says
from tests.system.parts.http_proxies import squid, tinyproxy
from tests.system.parts.process import free_port

USER, PASSWORD = "proxyuser", "proxy:pass"
UNREACHABLE, REQUEST = FailureClass.UNREACHABLE, FailureClass.REQUEST
UNTRUSTED, PROTOCOL = FailureClass.UNTRUSTED, FailureClass.PROTOCOL


@pytest.fixture
def scripted_proxy(authority: Authority) -> Any:
    proxy = Scripted(server_context(authority.issue("proxy.example.com")))
    yield proxy
    proxy.close()
    assert not proxy.problems


def through(make: Make, server_port: int, proxy_port: int, **changes: Any) -> Asked:
    proxy = OutboundProxy("127.0.0.1", proxy_port)
    return make(server_port, **({"proxy": proxy, "preauth_seconds": 1.5} | changes))


def failure(asked: Asked) -> FailureClass:
    return asked.failure(asked.preauth).failure


def tunnel(reply: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> Script:
    """Does what it is asked."""

    def script(wire: Wire) -> None:
        head = wire.read_head()
        wire.server.requests.append(head)  # type: ignore[arg-type]
        port = int(head.split(b"\r\n")[0].split(b" ")[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port), 5) as onward:
            wire.send(reply)
            back = threading.Thread(target=relay, args=(onward, wire.socket), daemon=True)
            back.start()
            relay(wire.socket, onward)
            back.join(5)

    return script


def relay(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            sink.sendall(octets)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nVia: 1.0 x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
    ],
)
def test_an_honest_proxy(server: Scripted, scripted_proxy: Scripted, make: Make, reply: bytes) -> None:
    scripted_proxy.play(tunnel(reply))
    server.play(says(PREAUTH, PREAUTH))
    asked = through(make, server.port, scripted_proxy.port)
    assert isinstance(asked.preauth(), PreauthFactors)
    assert isinstance(asked.preauth(), PreauthFactors)
    assert scripted_proxy.connections == 1
    authority = f"localhost:{server.port}".encode()
    assert scripted_proxy.requests == [b"CONNECT %b HTTP/1.1\r\nHost: %b" % (authority, authority)]


def test_the_name_is_looked_up_behind_the_proxy(
    server: Scripted, scripted_proxy: Scripted, make: Make, authority: Authority
) -> None:
    """Ours may know nothing of the outside, and the rule on inside addresses is not for the proxy."""

    def no_lookup(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no")

    context = server_context(authority.issue("api.example.com"))

    def script(wire: Wire) -> None:
        wire.tls(context)
        wire.request()
        wire.send(PREAUTH)
        wire.until_closed()

    server.play(script)
    scripted_proxy.play(tunnel())
    asked = through(
        make, server.port, scripted_proxy.port, host="api.example.com", lookup=no_lookup, allow_local=False
    )
    assert isinstance(asked.preauth(), PreauthFactors)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "10.0.0.1", "::1"])
def test_an_inside_host_has_to_be_allowed(scripted_proxy: Scripted, make: Make, host: str) -> None:
    asked = through(make, 443, scripted_proxy.port, host=host, allow_local=False)
    assert failure(asked) is UNTRUSTED
    assert scripted_proxy.requests == []


def test_credentials() -> None:
    proxy = OutboundProxy("p", 3128, "üser", Secret.of("pässword"))
    head = connect_request(proxy, "api.example.com", 443).decode()
    assert head.startswith("CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n")
    encoded = head.split("Basic ")[1].removesuffix("\r\n\r\n")
    assert base64.b64decode(encoded).decode() == "üser:pässword"
    assert "pässword" not in repr(proxy)
    assert connect_request(OutboundProxy("p"), "::1", 8443).startswith(b"CONNECT [::1]:8443 HTTP/1.1\r\n")


def test_no_proxy_there(server: Scripted, make: Make) -> None:
    assert failure(through(make, server.port, free_port())) is UNREACHABLE
    assert server.connections == 0


def replies(octets: bytes, *, then: str = "wait") -> Script:
    def script(wire: Wire) -> None:
        wire.read_head()
        wire.send(octets)
        if then == "wait":
            wire.until_closed()

    return script


def never(wire: Wire) -> None:
    wire.read_head()
    wire.until_closed()


def drip(wire: Wire) -> None:
    wire.read_head()
    wire.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, 0.05)


def close_unasked(wire: Wire) -> None:
    wire.close()


def intercepts(wire: Wire) -> None:
    """Says 200 and plays the cloud itself."""
    wire.read_head()
    wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
    wire.tls()
    wire.request()
    wire.send(PREAUTH)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            replies(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"),
            REQUEST,
        ),
        (replies(b"HTTP/1.1 403 Forbidden\r\n\r\n"), REQUEST),
        (replies(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), REQUEST),
        (replies(b"HTTP/1.1 404 Not Found\r\n\r\n"), REQUEST),
        (replies(b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n"), REQUEST),
        (replies(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"), REQUEST),
        (replies(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), UNREACHABLE),
        (replies(b"HTTP/1.1 503 Service Unavailable\r\n\r\n<html>"), UNREACHABLE),
        (replies(b"HTTP/1.1 504 Gateway Timeout\r\n\r\n"), UNREACHABLE),
        (never, UNREACHABLE),
        (close_unasked, UNREACHABLE),
        (replies(b"HTTP/1.1 200 OK\r\n\r\n", then="cut"), UNREACHABLE),
        (replies(b"HTTP/1.1 200", then="cut"), PROTOCOL),
        (replies(b"HTTP/1.1 200 OK\r\n\r\njunk"), PROTOCOL),
        (replies(b"SSH-2.0-OpenSSH\r\n\r\n"), PROTOCOL),
        (replies(b"HTTP/1.1 20 OK\r\n\r\n"), PROTOCOL),
        (replies(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1_000_000), PROTOCOL),
        (drip, PROTOCOL),
        (intercepts, UNTRUSTED),
    ],
)
def test_other_proxies(
    server: Scripted, scripted_proxy: Scripted, make: Make, script: Script, expected: FailureClass
) -> None:
    scripted_proxy.play(script)
    asked = through(make, server.port, scripted_proxy.port)
    assert failure(asked) is expected
    assert server.connections == 0


def test_junk_after_the_tunnel_began(server: Scripted, scripted_proxy: Scripted, make: Make) -> None:
    def lies(wire: Wire) -> None:
        wire.read_head()
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        wire.socket.recv(65536)
        wire.send(b"<html>blocked</html>")
        wire.until_closed()

    scripted_proxy.play(lies)
    assert failure(through(make, server.port, scripted_proxy.port)) is UNTRUSTED


# ---- the real ones


def test_squid(server: Scripted, make: Make, tmp_path: Path) -> None:
    server.play(says(PREAUTH))
    with squid(tmp_path / "squid") as proxy:
        assert isinstance(
            through(make, server.port, proxy.port, preauth_seconds=10).preauth(), PreauthFactors
        )
        # What it can't reach is an outage, and it says so with 503.
        assert failure(through(make, free_port(), proxy.port, preauth_seconds=10)) is UNREACHABLE
        # What it doesn't allow is none.
        elsewhere = through(make, 443, proxy.port, host="192.0.2.1", preauth_seconds=10)
        assert failure(elsewhere) is REQUEST


def test_squid_wants_credentials(server: Scripted, make: Make, tmp_path: Path) -> None:
    server.play(says(PREAUTH))
    with squid(tmp_path / "squid", USER, PASSWORD) as proxy:
        assert failure(through(make, server.port, proxy.port, preauth_seconds=10)) is REQUEST
        wrong = OutboundProxy("127.0.0.1", proxy.port, USER, Secret(b"wrong"))
        assert failure(through(make, server.port, proxy.port, proxy=wrong, preauth_seconds=10)) is REQUEST
        right = OutboundProxy("127.0.0.1", proxy.port, USER, Secret.of(PASSWORD))
        asked = through(make, server.port, proxy.port, proxy=right, preauth_seconds=10)
        assert isinstance(asked.preauth(), PreauthFactors)
        assert PASSWORD not in str(asked.log.seen)


def test_tinyproxy(server: Scripted, make: Make, tmp_path: Path) -> None:
    server.play(says(PREAUTH))
    with tinyproxy(tmp_path / "tinyproxy", USER, "pass") as proxy:
        assert failure(through(make, server.port, proxy.port, preauth_seconds=10)) is REQUEST
        right = OutboundProxy("127.0.0.1", proxy.port, USER, Secret(b"pass"))
        asked = through(make, server.port, proxy.port, proxy=right, preauth_seconds=10)
        assert isinstance(asked.preauth(), PreauthFactors)


def test_a_proxy_that_dies(server: Scripted, make: Make, tmp_path: Path) -> None:
    server.play(says(PREAUTH))
    with tinyproxy(tmp_path / "tinyproxy") as proxy:
        asked = through(make, server.port, proxy.port, preauth_seconds=10)
        assert isinstance(asked.preauth(), PreauthFactors)
    assert failure(asked) is UNREACHABLE
