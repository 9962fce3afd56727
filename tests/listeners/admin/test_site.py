"""main.admin as a client on the wire sees it."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from authproxy.listeners.admin.guard import Guard
from authproxy.listeners.admin.live import MOST_READERS
from authproxy.listeners.admin.page import About
from authproxy.listeners.admin.site import MOST_CONNECTIONS, Admin, admin_factory, host_names
from authproxy.observe.metrics import CONTENT_TYPE, Metrics
from authproxy.secret import Secret
from tests.listeners.admin.fakes import Told, section
from tests.observe.fakes import Remembered, wait_until


class Served:
    """An admin endpoint on a port of its own."""

    def __init__(self, on_reactor: Callable[..., Any], reactor: Any, guard: Guard) -> None:
        self.on_reactor = on_reactor
        self.told = Told()
        self.log = Remembered()
        self.admin = Admin(
            self.told,
            metrics=Metrics().render,
            metrics_kind=CONTENT_TYPE,
            guard=guard,
            about=About("proxy1", "0.1.0", 0.0),
            reactor=reactor,
            log=self.log,
        )
        self.factory = admin_factory(self.admin, reactor)
        self.listening = on_reactor(reactor.listenTCP, 0, self.factory, interface="127.0.0.1")
        self.port: int = self.listening.getHost().port

    def close(self) -> None:
        self.on_reactor(self.admin.live.close)
        self.on_reactor(self.listening.stopListening)
        self.on_reactor(
            lambda: [wrapper.transport.abortConnection() for wrapper in list(self.factory.protocols)]
        )

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.fixture
def served(on_reactor: Callable[..., Any], reactor_thread: Any) -> Iterator[Served]:
    made = Served(on_reactor, reactor_thread, Guard(host_names("Proxy1")))
    yield made
    made.close()


def test_health(served: Served) -> None:
    assert served.ask("/livez")[0] == 200
    status, headers, body = served.ask("/readyz")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body)["ready"] is True
    served.told.of_sections = [section(), section(name="citrix", listening=())]
    status, _, body = served.ask("/readyz")
    assert status == 503
    assert json.loads(body)["why"] == ["citrix: not listening"]
    assert served.ask("/readyz?section=vpn")[0] == 200
    assert served.ask("/readyz?section=citrix")[0] == 503
    assert served.ask("/readyz?section=nobody")[0] == 404
    assert served.ask("/livez")[0] == 200


def test_metrics(served: Served) -> None:
    status, headers, body = served.ask("/metrics")
    assert (status, headers["Content-Type"]) == (200, CONTENT_TYPE)
    assert "authproxy_build_info" in {family.name for family in text_string_to_metric_families(body)}


def test_the_page_and_what_it_needs(served: Served) -> None:
    status, headers, body = served.ask("/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "Server" not in headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    for name in re.findall(r'(?:src|href)="([^"]+)"', body):
        status, headers, content = served.ask(f"/{name}")
        assert status == 200
        assert content
    status = json.loads(served.ask("/status")[2])
    assert status["hostname"] == "proxy1"
    assert status["decisions"][0]["username"] == "Alice"


@pytest.mark.parametrize(
    "path", ["/nothing", "/static/status.css", "/../site.py", "/%2e%2e/site.py", "/status/"]
)
def test_nothing_else_is_there(served: Served, path: str) -> None:
    assert served.ask(path)[0] == 404


def test_head_has_no_body(served: Served) -> None:
    status, headers, body = served.ask("/", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 1000


def test_it_only_reads(served: Served) -> None:
    status, headers, _ = served.ask("/", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert served.log.of("admin.refused")[0]["cause"] == "method"


def send_until_refused(sock: socket.socket) -> int:
    """Octets that went out before the other side had enough."""
    sent = 0
    while sent < 100_000_000:
        try:
            sock.sendall(b"x" * 100_000)
        except ConnectionError:
            break
        sent += 100_000
    return sent


def test_a_body_is_not_taken(served: Served) -> None:
    with served.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        assert send_until_refused(sock) < 50_000_000  # what the kernel's buffers hold
    assert served.ask("/livez")[0] == 200


def test_dns_rebinding(served: Served) -> None:
    for path in ("/", "/status", "/metrics", "/events", "/livez"):
        assert served.ask(path, headers={"Host": "evil.example:8912"})[0] == 421
    assert served.ask("/", headers={"Host": "proxy1:8912"})[0] == 200
    with served.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert sock.recv(100).split(b" ")[1] in (b"400", b"421")


def test_a_token_when_there_is_one(on_reactor: Callable[..., Any], reactor_thread: Any) -> None:
    served = Served(on_reactor, reactor_thread, Guard(token=Secret(b"c4n4ry")))
    assert served.ask("/livez")[0] == 200
    for path in ("/", "/readyz", "/status", "/metrics", "/events", "/status.css"):
        status, headers, _ = served.ask(path)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic ")
    assert served.ask("/", headers={"Authorization": "Bearer c4n4ry"})[0] == 200
    assert served.ask("/", headers={"Authorization": "Bearer canary"})[0] == 401
    assert "c4n4ry" not in str(served.log.events)
    served.close()


def test_a_bug_is_answered_and_told(served: Served) -> None:
    served.told.broken = True
    status, _, body = served.ask("/")
    assert (status, body) == (500, "Internal Server Error\n")
    assert isinstance(served.log.of("admin.failed")[0]["error"], ValueError)
    assert served.ask("/livez")[0] == 200


class Stream:
    """Reads server-sent events."""

    def __init__(self, served: Served) -> None:
        self.sock = served.connect()
        self.sock.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])

    def next(self) -> dict[str, str]:
        while True:
            line = self.file.readline()
            assert line, "the stream ended"
            if line.startswith(b"data: "):
                found: dict[str, str] = json.loads(line[6:])
                return found

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def test_the_page_is_live(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authproxy.listeners.admin.live._EVERY", 0.02)
    stream = Stream(served)
    first = stream.next()
    assert set(first) == {
        "alarms",
        "banner",
        "head",
        "open",
        "notes",
        "sections",
        "pending",
        "decisions",
        "passed",
        "patience",
        "certificates",
    }
    served.told.is_draining = True
    changed = stream.next()
    while "notes" not in changed:  # the head says for how long it is up
        changed = stream.next()
    assert "draining" in changed["notes"]
    assert "sections" not in changed
    stream.close()
    wait_until(lambda: not served.admin.live._readers)
    wait_until(lambda: served.admin.live._call is None)


def test_readers_are_few_and_end_with_the_service(served: Served) -> None:
    streams = [Stream(served) for _ in range(MOST_READERS)]
    assert {stream.status for stream in streams} == {200}
    refused = Stream(served)
    assert refused.status == 503
    served.on_reactor(served.admin.live.close)
    for stream in streams:
        assert any(line == b"0\r\n" for line in stream.file)  # the last chunk
        stream.close()
    refused.close()


def test_connections_are_few_and_who_says_nothing_makes_room(served: Served) -> None:
    stream = Stream(served)
    held = [served.connect() for _ in range(MOST_CONNECTIONS - 1)]
    held[-1].sendall(b"GET /livez HTTP/1.1\r\nX: ")
    wait_until(lambda: len(served.factory.protocols) == MOST_CONNECTIONS)
    for _ in range(3):
        assert served.ask("/livez")[0] == 200
    with pytest.raises(ConnectionResetError):
        held[0].recv(1)  # the one that has been there for longest
    wait_until(lambda: len(served.factory.protocols) <= MOST_CONNECTIONS)
    assert stream.next(), "what is being answered stays"
    stream.close()
    for sock in held:
        sock.close()


def test_a_request_that_drips_in_has_its_time() -> None:
    clock = Clock()
    admin = Admin(
        Told(),
        metrics=Metrics().render,
        metrics_kind=CONTENT_TYPE,
        guard=Guard(),
        about=About("proxy1", "0.1.0", 0.0),
        reactor=clock,
        log=Remembered(),
    )
    wrapper = admin_factory(admin, clock).buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
    assert wrapper is not None
    transport = StringTransport()
    wrapper.makeConnection(transport)
    for octet in b"GET / HTTP/1.1\r\nX-Long: ":
        wrapper.dataReceived(bytes((octet,)))
        clock.advance(2)
        if transport.disconnecting:
            return
    pytest.fail("it may go on for ever")
