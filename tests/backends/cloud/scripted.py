"""A server on loopback that does to each connection what the test says, octet by octet."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def endpoint(self) -> str:
        return self.target.partition("?")[0].removeprefix("/auth/v2/")

    @property
    def params(self) -> dict[str, Any]:
        return json.loads(self.body) if self.body else {}


class Wire:
    """One accepted connection. Its methods end the script when the peer has gone."""

    def __init__(self, accepted: socket.socket, server: Scripted) -> None:
        self.socket = accepted
        self.server = server
        self._buffer = b""

    def tls(self, context: ssl.SSLContext | None = None) -> None:
        self.socket = (context or self.server.context).wrap_socket(self.socket, server_side=True)

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            self._read()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def request(self) -> Request:
        head = self.read_head().decode()
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            self._read()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        found = Request(method, target, headers, body)
        self.server.requests.append(found)
        return found

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def drip(self, octets: bytes, seconds: float) -> None:
        """One octet each so many seconds, until the peer goes."""
        for octet in octets:
            self.socket.sendall(bytes([octet]))
            if self.server.over.wait(seconds):
                return

    def until_closed(self) -> None:
        """The peer's end of the connection."""
        with contextlib.suppress(OSError):
            while self.socket.recv(65536):
                pass
        self.server.seen_closed.set()

    def close(self) -> None:
        """Properly, close_notify and all."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(1)
            with contextlib.suppress(OSError, ValueError):
                self.socket = self.socket.unwrap()
        self.socket.close()

    def cut(self) -> None:
        """FIN without close_notify."""
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _read(self) -> None:
        octets = self.socket.recv(65536)
        if not octets:
            raise ConnectionError("the peer closed")
        self._buffer += octets


Script = Callable[[Wire], None]


@dataclass
class Scripted:
    """Connections get the scripts in their order, the last one for all that follow."""

    context: ssl.SSLContext
    scripts: list[Script] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    seen_closed: threading.Event = field(default_factory=threading.Event)
    problems: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._wires: list[Wire] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def play(self, *scripts: Script) -> None:
        self.scripts = list(scripts)

    def stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def close(self) -> None:
        self.over.set()
        self.stop_listening()
        for wire in self._wires:
            with contextlib.suppress(OSError):
                wire.socket.shutdown(socket.SHUT_RDWR)

    def endpoints(self) -> list[str]:
        return [request.endpoint for request in self.requests]

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            accepted.settimeout(20)
            # Or a reset overtakes what was sent before it.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            script = self.scripts[0] if len(self.scripts) == 1 else self.scripts.pop(0)
            wire = Wire(accepted, self)
            self._wires.append(wire)
            threading.Thread(target=self._run, args=(script, wire), daemon=True).start()

    def _run(self, script: Script, wire: Wire) -> None:
        try:
            script(wire)
        except (OSError, ValueError):
            pass
        except Exception as problem:  # noqa: BLE001 - the test is told at its end
            self.problems.append(problem)
        finally:
            with contextlib.suppress(OSError):
                wire.socket.close()


# ---- what scripts are made of


def http(
    status: int, body: bytes | dict[str, Any] | list[Any] | None, *headers: str, length: int | None = None
) -> bytes:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} Scripted",
        f"Content-Length: {len(octets) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + octets


def ok(response: Any) -> bytes:
    return http(200, {"stat": "OK", "response": response})


def fail(code: int, message: str = "no", *headers: str) -> bytes:
    return http(code // 100, {"stat": "FAIL", "code": code, "message": message}, *headers)


PHONE = {
    "device": "DP1",
    "type": "phone",
    "capabilities": ["auto", "push", "sms", "phone"],
    "display_name": "iOS",
}
PREAUTH = ok({"result": "auth", "status_msg": "Account is active", "devices": [PHONE]})
TXID = "13eb97f2-9008-42f4-b59b-afc7a5edf6a6"
BEGUN = ok({"txid": TXID})
WAITING = ok({"result": "waiting", "status": "pushed", "status_msg": "Pushed..."})
ALLOW = ok({"result": "allow", "status": "allow", "status_msg": "Success. Logging you in..."})
DENY = ok({"result": "deny", "status": "deny", "status_msg": "Login request denied."})
TIME = ok({"time": 1_700_000_000})


def says(*answers: bytes) -> Script:
    """Over TLS: an answer to each request in turn, then the connection stays open."""

    def script(wire: Wire) -> None:
        wire.tls()
        for answer in answers:
            wire.request()
            wire.send(answer)
        wire.until_closed()

    return script


def answers(by_endpoint: dict[str, bytes | Iterable[bytes]]) -> Script:
    """Over TLS, for any number of requests: an endpoint's answer, or its answers in turn over all connections."""
    queues = {
        name: iter(value) if not isinstance(value, bytes) else value for name, value in by_endpoint.items()
    }

    def script(wire: Wire) -> None:
        wire.tls()
        while True:
            request = wire.request()
            answer = queues[request.endpoint]
            wire.send(answer if isinstance(answer, bytes) else next(answer))

    return script
