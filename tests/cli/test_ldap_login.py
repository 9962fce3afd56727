"""`authproxy login` and `probe` for LDAP sections: who is asked has to show the section's own certificate first."""

from __future__ import annotations

import io
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from authproxy.cli import main
from authproxy.protocols.ldap.ber import MalformedMessage
from authproxy.protocols.ldap.framing import Framer
from authproxy.protocols.ldap.requests import BindRequest, SearchRequest, Simple, decode_request
from authproxy.protocols.ldap.responses import BindResponse, Result, SearchResultDone, encode_response
from tests.config.files import DIRECTORY, SKEY, written
from tests.system.parts.pki import Files, make_certificate

DN = "CN=alice,OU=People,DC=corp,DC=example"


class Served:
    """One LDAP server, for one connection after the other. `heard`: every octet inside TLS."""

    def __init__(self, files: Files | None, answer: bytes | None) -> None:
        self.heard: list[bytes] = []
        self.binds: list[BindRequest] = []
        self._answer = answer
        self._tls = None
        if files is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(files.certificate, files.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            with raw:
                raw.settimeout(10)
                try:
                    self._serve(raw if self._tls is None else self._tls.wrap_socket(raw, server_side=True))
                except (OSError, MalformedMessage):
                    continue

    def _serve(self, connection: socket.socket) -> None:
        framer = Framer(100_000)
        while data := connection.recv(65536):
            self.heard.append(data)
            for frame in framer.feed(data):
                request = decode_request(frame)
                if isinstance(request, BindRequest):
                    self.binds.append(request)
                    if self._answer is None:
                        return
                    connection.sendall(self._answer)
                elif isinstance(request, SearchRequest):
                    connection.sendall(encode_response(frame.message_id, SearchResultDone(Result(0))))


@contextmanager
def server(files: Files | None, answer: bytes | None) -> Iterator[Served]:
    made = Served(files, answer)
    try:
        yield made
    finally:
        made.close()


def section(port: int, files: Files | None, more: str = "") -> str:
    tls = ""
    if files is not None:
        tls = f"  ssl_port: {port}\n  ssl_cert_path: {files.certificate}\n  ssl_key_path: {files.key}\n"
        port = 0
    return f"""\
ldap_server_auto:
  ikey: DIXXXXXXXXXXXXXXXXXX
  skey: "{SKEY}"
  api_host: api-xxxxxxxx.example.com
  interface: 127.0.0.1
  port: {port}
{tls}{more}"""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = make_certificate(tmp_path / "pki", "localhost")
    made.key.chmod(0o600)
    return made


def login(
    monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, *words: str, password: str = "right"
) -> int:
    stdin = type("Typed", (), {"buffer": io.BytesIO(f"{password}\n".encode())})
    monkeypatch.setattr(sys, "stdin", stdin)
    path = written(folder, DIRECTORY + text)
    return main(["login", "-c", str(path), "--password-stdin", *(words or (DN,))])


def answer(code: int, text: str = "") -> bytes:
    return encode_response(1, BindResponse(Result(code, text)))


@pytest.mark.parametrize(
    ("code", "text", "ended", "said"),
    [
        (0, "", 0, "Accept\n"),
        (49, "Login refused.", 1, "Reject: 49 invalid_credentials: Login refused.\n"),
        (52, "\x1b[2Jno", 1, "Reject: 52 unavailable: [2Jno\n"),
    ],
)
@pytest.mark.parametrize("tls", [True, False])
def test_answers(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    files: Files,
    capsys: Any,
    tls: bool,
    code: int,
    text: str,
    ended: int,
    said: str,
) -> None:
    shown = files if tls else None
    with server(shown, answer(code, text)) as served:
        assert login(monkeypatch, tmp_path, section(served.port, shown)) == ended
    assert capsys.readouterr().out == said
    (bind,) = served.binds
    assert (bind.name, bind.authentication) == (DN, Simple(bind.authentication.password))  # type: ignore[union-attr]
    assert bind.authentication.password.reveal() == b"right"  # type: ignore[union-attr]


def test_another_certificate_gets_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: Files, capsys: Any
) -> None:
    stranger = make_certificate(tmp_path / "stranger", "localhost")
    with server(stranger, answer(0)) as served:
        assert login(monkeypatch, tmp_path, section(served.port, files)) == 3
    assert served.heard == []
    assert "another certificate" in capsys.readouterr().out


@pytest.mark.parametrize("octets", [b"HTTP/1.1 400\r\n\r\n", b"\x30\x05\x02\x01\x01\x61\x00", b""])
def test_no_answer_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any, octets: bytes
) -> None:
    with server(None, octets or None) as served:
        assert login(monkeypatch, tmp_path, section(served.port, None), DN, "--timeout", "2") == 3
    assert "no answer from 127.0.0.1" in capsys.readouterr().out


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    with server(None, None) as served:
        pass
    assert login(monkeypatch, tmp_path, section(served.port, None), DN, "--json") == 3
    shown = json.loads(capsys.readouterr().out)
    assert (shown["answer"], shown["client"]) == ("none", "")


def test_a_plain_name_is_no_bind_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    assert login(monkeypatch, tmp_path, section(3890, None), "alice") == 2
    assert "alice@corp.example" in capsys.readouterr().err


@pytest.mark.parametrize("proxied", [True, False])
def test_a_balancer_s_address_announces_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proxied: bool
) -> None:
    more = "  proxy_protocol_from: [127.0.0.1]\n" if proxied else ""
    with server(None, answer(0)) as served:
        login(monkeypatch, tmp_path, section(served.port, None, more), DN, "--timeout", "1")
    assert served.heard[0].startswith(b"PROXY UNKNOWN\r\n") is proxied
