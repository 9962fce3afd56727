"""POST over verified TLS, signed; never to whom the certificate doesn't name, never after a redirect, with an end."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from authproxy.observe.alarms.hook import NotDelivered
from authproxy.observe.alarms.webhook import Target, UnusableWebhook, Webhook
from authproxy.secret import Secret
from tests.system.bench.pki import Authority

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver:
    """Keeps what it is sent, and answers with `answer`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answer = OK
        self.drip = 0.0
        self.got: list[bytes] = []
        self._over = threading.Event()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                with connection:
                    self.got.append(self._read(connection))
                    self._write(connection)
            except OSError:
                continue

    def _read(self, connection: socket.socket) -> bytes:
        octets = b""
        while b"\r\n\r\n" not in octets:
            octets += connection.recv(65_536)
        head, _, body = octets.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65_536)
        return head + b"\r\n\r\n" + body

    def _write(self, connection: socket.socket) -> None:
        if not self.drip:
            connection.sendall(self.answer)
            return
        for at in range(len(self.answer)):
            connection.sendall(self.answer[at : at + 1])
            if self._over.wait(self.drip):
                return

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


@pytest.fixture
def receiver(authority: Authority) -> Iterator[Receiver]:
    made = Receiver(authority.context("localhost"))
    yield made
    made.close()


@pytest.fixture
def plain() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def webhook(port: int, host: str = "localhost", scheme: str = "https", **more: object) -> Webhook:
    return Webhook(Target.of(f"{scheme}://{host}:{port}/hook/s3cret?x=1"), patience=3, **more)  # type: ignore[arg-type]


def test_what_is_sent(authority: Authority, receiver: Receiver) -> None:
    key, token = Secret(b"0123456789abcdef"), Secret(b"t0ken")
    hook = webhook(
        receiver.port, ca_file=authority.ca, key=key, token=token, wall_clock=lambda: 1_738_324_800.9
    )
    hook.deliver(b'{"alarm":"test"}\n')
    (got,) = receiver.got
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook/s3cret?x=1 HTTP/1.1\r\n")
    assert body == b'{"alarm":"test"}\n'
    assert b"Authorization: Bearer t0ken" in head
    proof = hmac.new(b"0123456789abcdef", b"1738324800." + body, hashlib.sha256).hexdigest()
    assert f"X-Authproxy-Signature: t=1738324800,v1={proof}".encode() in head


@pytest.mark.parametrize(
    "forge",
    [
        lambda authority, folder: {},  # the system's authorities don't know it
        lambda authority, folder: {"ca_file": Authority(folder / "other", "Another CA").ca},
        lambda authority, folder: {"ca_file": authority.ca, "host": "127.0.0.1"},  # not its name
    ],
)
def test_nobody_else_is_told(
    authority: Authority,
    receiver: Receiver,
    tmp_path: Path,
    forge: Callable[[Authority, Path], dict[str, object]],
) -> None:
    """T1: the alarm and its token stay here."""
    hook = webhook(receiver.port, token=Secret(b"t0ken"), **forge(authority, tmp_path))  # type: ignore[arg-type]
    with pytest.raises(NotDelivered, match="certificate verify failed"):
        hook.deliver(b"{}")
    assert receiver.got == []


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (b"HTTP/1.1 500 Oops\r\n\r\n", True),
        (b"HTTP/1.1 429 Slow down\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", False),
        (b"SSH-2.0-x\r\n", True),
        (b"", True),
    ],
)
def test_no_means_no(plain: Receiver, answer: bytes, again: bool) -> None:
    plain.answer = answer
    with pytest.raises(NotDelivered) as failed:
        webhook(plain.port, scheme="http").deliver(b"{}")
    assert failed.value.again is again
    assert "s3cret" not in str(failed.value)
    assert len(plain.got) == 1


def test_a_drip_has_an_end(plain: Receiver) -> None:
    """A6: each octet comes in time, all of them don't."""
    plain.drip = 0.1
    hook = Webhook(Target.of(f"http://localhost:{plain.port}/"), patience=0.5)
    with pytest.raises(NotDelivered):
        hook.deliver(b"{}")


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotDelivered, match="Connection refused"):
            webhook(taken.getsockname()[1], scheme="http").deliver(b"{}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alarms.example.com",
        "ftp://alarms.example.com/",
        "https:///path",
        "https://user:pw@alarms.example.com/",
        "https://alarms.example.com:port/",
        "https://alarms.example.com/a b",
        "https://alarms.example.com/\r\nX: y",
        "https://alarms.example.com/#x",
        "https://[::1/",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UnusableWebhook) as unusable:
        Target.of(url)
    assert "pw" not in str(unusable.value)


def test_targets() -> None:
    assert Target.of("https://alarms.example.com") == Target(True, "alarms.example.com", 443, "/")
    assert Target.of("http://[::1]:8080/x?y=z") == Target(False, "::1", 8080, "/x?y=z")
    assert "hidden" not in repr(Target.of("https://alarms.example.com/hidden"))
    for host, loopback in (
        ("127.0.0.9", True),
        ("localhost", True),
        ("[::1]", True),
        ("127.example.com", False),
    ):
        assert Target.of(f"http://{host}/").is_loopback is loopback


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(UnusableWebhook, match=name):
            webhook(443, ca_file=tmp_path / name)
