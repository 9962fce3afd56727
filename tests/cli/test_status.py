"""`authproxy status`: exit 0 ready, 1 not; what can't be overlooked comes first."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import ssl as twisted_ssl

from authproxy.cli import main
from authproxy.cli.admin_client import AdminClient
from authproxy.cli.status import show
from authproxy.cli.terminal import Terminal
from authproxy.config.load import load
from authproxy.listeners.admin.guard import Guard
from authproxy.listeners.admin.overview import CertificateState, ClientState, PendingLogin, PrimaryState
from authproxy.listeners.admin.report import status as report
from authproxy.listeners.admin.site import admin_factory
from authproxy.pipeline.fail_mode import FailMode
from authproxy.secret import Secret
from tests.config.files import WHOLE, written
from tests.listeners.admin.fakes import CLOUD_DOWN, DOWN, Told, section
from tests.listeners.admin.test_page import EVIL, NOW
from tests.listeners.admin.test_site import Served
from tests.observe.test_audit import EVENT
from tests.system.bench.pki import Authority

ABOUT = {"hostname": "proxy1", "version": "0.1.0", "started": "2025-01-31T11:00:00.000000Z"}


@pytest.fixture
def served(on_reactor: Callable[..., Any], reactor_thread: Any) -> Iterator[Served]:
    made = Served(on_reactor, reactor_thread, Guard())
    yield made
    made.close()


def config(folder: Path, port: int, more: str = "") -> str:
    return str(written(folder, f"main:\n  admin: 127.0.0.1:{port}\n{more}{WHOLE}"))


def test_ready_or_not(tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, served.port)
    assert main(["status", "-c", path]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].endswith(": ready")
    assert "both_factors" in shown
    assert "\033" not in shown  # not a terminal
    served.told.of_sections = [section(listening=())]
    assert main(["status", "-c", path]) == 1
    assert "! vpn: not listening" in capsys.readouterr().out
    assert main(["status", "-c", path, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["why"] == ["vpn: not listening"]


def told(overview: Told) -> list[str]:
    stream = io.StringIO()
    show(report(overview, ABOUT), Terminal(stream), NOW, 10)
    return stream.getvalue().splitlines()


def test_everything_of_a_bad_night() -> None:
    opened = EVENT._replace(fail_open=True, username="mallory", reason="fail_open", cause="unreachable")
    lines = told(
        Told(
            of_sections=[
                section(fail_mode=FailMode.SAFE, cloud=CLOUD_DOWN, pending=12),
                section(name="citrix", primary=PrimaryState("ad_client", (DOWN,)), listening=()),
            ],
            of_fail_opens=[opened],
            of_decisions=[opened] * 30,
            of_pending=[PendingLogin("L", "vpn", "carol", NOW - 31, "push", "asa", "10.1.0.1")] * 12,
            of_certificates=[CertificateState("dc1", NOW + 86_400 * 3), CertificateState("dc2", NOW - 60)],
            of_troubles=["the audit can't be written"],
        )
    )
    text = "\n".join(lines)
    assert lines[0] == "authproxy 0.1.0 on proxy1, up 1 h: NOT READY"
    assert "THE DOOR IS OPEN: vpn" in lines[1]
    assert "1 login was let in by fail open since the start" in text
    assert "dc2.corp.example:636  down for 13 min 20 s: connection refused" in text
    assert "breaker open" in text
    assert "carol  31 s  push  vpn  asa 10.1.0.1" in text
    assert "and 2 more" in text
    assert text.count("mallory") == 11
    assert text.index("dc2  2025-01-31  EXPIRED 1 min ago") < text.index("expires in 3 d")


def test_what_peers_wrote_prints_as_text() -> None:
    evil = EVENT._replace(username=EVIL + "\x1b[2J", cause=EVIL)
    for line in told(Told(of_sections=[section(name=EVIL)], of_decisions=[evil], of_troubles=[EVIL])):
        assert line.isprintable()


def test_the_clients(tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served.told.of_clients = [
        ClientState("vpn", "asa", "auto", True, NOW - 86_400 * 9, None, NOW - 5, 12, 0, "safe"),
        ClientState("vpn", EVIL, "no", False, None, NOW - 60, NOW - 60, 0, 3, "unsafe"),
    ]
    path = config(tmp_path, served.port)
    assert main(["status", "--clients", "-c", path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["SECTION", "CLIENT", "REQUIRE"]
    assert "2025-01-22" in lines[1]
    assert "safe: set require" in lines[1]
    assert "would lock this client out" in lines[2]
    assert all(line.isprintable() for line in lines)
    assert main(["status", "--clients", "--json", "-c", path]) == 0
    assert [client["advice"] for client in json.loads(capsys.readouterr().out)] == ["safe", "unsafe"]


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert main(["status", "-c", config(tmp_path, taken.getsockname()[1])]) == 1
    assert "is authproxy running?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\n\r\n<html>",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"",
    ],
)
def test_somebody_else_there(tmp_path: Path, capsys: pytest.CaptureFixture[str], octets: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(octets)

        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["status", "-c", config(tmp_path, listener.getsockname()[1])]) == 1
        thread.join()
    assert "authproxy status: http://127.0.0.1:" in capsys.readouterr().err


def test_not_configured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "-c", str(written(tmp_path, WHOLE))]) == 2
    assert "admin: 127.0.0.1:8912" in capsys.readouterr().err


def test_with_tls_and_token(
    tmp_path: Path, on_reactor: Callable[..., Any], reactor_thread: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server's own certificate is all that the command trusts."""
    pem, stranger = certificate(tmp_path / "ca"), certificate(tmp_path / "other")
    served = Served(on_reactor, reactor_thread, Guard(token=Secret(b"c4n4ry token")))
    context = twisted_ssl.DefaultOpenSSLContextFactory(str(pem), str(pem))
    factory = admin_factory(served.admin, reactor_thread)
    listening = on_reactor(reactor_thread.listenSSL, 0, factory, context, interface="127.0.0.1")

    def status(pem: Path, token: str) -> int:
        more = f"  admin_tls_cert: {pem}\n  admin_tls_key: {pem}\n  admin_token: {token}\n"
        return main(["status", "-c", config(tmp_path, listening.getHost().port, more)])

    assert status(pem, "c4n4ry token") == 0
    assert status(pem, "another token") == 1
    assert status(stranger, "c4n4ry token") == 1
    shown = capsys.readouterr()
    assert "another admin_token" in shown.err
    assert "certificate" in shown.err.lower()
    assert "c4n4ry" not in shown.out + shown.err
    on_reactor(listening.stopListening)
    served.close()


def certificate(folder: Path) -> Path:
    """A certificate and its key in one file."""
    Authority(folder).context("proxy1")
    (folder / "proxy1.pem").chmod(0o600)
    return folder / "proxy1.pem"


def test_where_it_asks(tmp_path: Path) -> None:
    path = written(tmp_path, f'main:\n  admin: "[::1]:8912"\n{WHOLE}')
    client = AdminClient.of(load(path).config.main)
    assert str(client) == "http://[::1]:8912"


def test_colours_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    Terminal(screen).line("fine", "good")
    assert screen.getvalue() == "\033[32mfine\033[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    Terminal(screen).line("fine", "good")
    assert screen.getvalue() == "fine\n"
