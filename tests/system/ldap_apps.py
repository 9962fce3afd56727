"""LDAP applications of a world: a section for them, command line clients, and a client that speaks in octets."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from authproxy.protocols.ldap.controls import Control
from authproxy.protocols.ldap.dn import parse_dn
from authproxy.protocols.ldap.framing import Frame, Framer
from authproxy.protocols.ldap.requests import (
    START_TLS,
    BindRequest,
    ExtendedRequest,
    Request,
    Simple,
    encode_request,
)
from authproxy.protocols.ldap.responses import Response, decode_response
from authproxy.secret import Secret
from tests.system.bench.daemon import free_port
from tests.system.bench.ldap_tap import Tls
from tests.system.bench.world import World
from tests.system.parts.needs import needs
from tests.system.parts.pki import Files, make_certificate
from tests.system.parts.slapd import password_of

# With a name and a password: whether they were taken.
Login = Callable[[str, str], bool]

# What isn't the last word on an operation.
_MORE_FOLLOWS = {0x64, 0x73, 0x79}


@dataclass(frozen=True, slots=True)
class Apps:
    """Where a section listens, and the certificate that it shows."""

    name: str
    port: int
    ssl_port: int
    files: Files

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.ssl_port}"


def add_apps(
    world: World, name: str = "apps", *, tls: bool = True, exempt_users: Iterable[str] = (), **options: Any
) -> Apps:
    """An `ldap_server_auto` of this world; passwords may come in clear unless `require_tls` says otherwise.

    `exempt_users`: whom the oracles expect to be exempt by a group.
    """
    port, ssl_port = free_port(), free_port()
    section = world.add_section(name, kind="ldap_server_auto", port=port, **options)
    world.sections.remove(section)  # no NAS comes to it
    exempt = {_first_value(dn).lower() for dn in options.get("exempt_ous", ())}
    world.ldap_sections.append(
        replace(
            section,
            ssl_port=ssl_port if tls else 0,
            exempt=frozenset(exempt.union(exempt_users)),
            exempts_first=bool(options.get("exempt_primary_bind")),
            approval_memory=options.get("approval_memory", 0),
        )
    )
    files = make_certificate(world.home / f"pki-{name}", "localhost", "127.0.0.1")
    files.key.chmod(0o600)
    config = world.options(section)
    del config["clients"]
    if tls:
        config |= {
            "ssl_port": ssl_port,
            "ssl_cert_path": str(files.certificate),
            "ssl_key_path": str(files.key),
        }
    config.setdefault("require_tls", False)
    return Apps(name, port, ssl_port, files)


def _first_value(dn: str) -> str:
    return parse_dn(dn).rdns[0][0].value.decode()


def tapped(world: World, apps: Apps) -> Apps:
    """The same for clients that others wrote: what they send and hear is in the journal. Open until the test ends."""
    to_clients = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    to_clients.load_cert_chain(apps.files.certificate, apps.files.key)
    tls = Tls(to_clients, ssl.create_default_context(cafile=str(apps.files.authority)))
    clear = world.ldap_tap(apps.port, tls)
    secure = world.ldap_tap(apps.ssl_port, tls, at_once=True)
    return replace(apps, port=clear.port, ssl_port=secure.port)


def three_answers(world: World, login: Login) -> None:
    """In by a push and by a passcode, not on a denial; a wrong password asks nobody for a factor."""
    asked = len(world.asked("alice"))
    assert login("alice", password_of("alice"))
    assert len(world.asked("alice")) > asked
    passcode = world.canaries.passcode("alice's passcode")
    world.cloud.users["alice"].passcodes.add(passcode)
    world.cloud.users["alice"].answer = "deny"
    assert login("alice", f"{password_of('alice')},{passcode}")
    assert not login("alice", password_of("alice"))
    asked = len(world.asked("alice"))
    assert not login("alice", world.canaries.new("a wrong password"))
    assert len(world.asked("alice")) == asked
    assert login("bob", password_of("bob"))
    assert not world.asked("svc")


def run(program: str, *arguments: str, ca: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A program of ldap-utils; its exit code is the result code."""
    env = {"LDAPNOINIT": "1", "LANG": "C.UTF-8"}
    if ca is not None:
        env = {"LDAPTLS_CACERT": str(ca), "LANG": "C.UTF-8"}
    command = [needs(program, "ldap-utils"), "-x", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


class Wire:
    """A connection to an LDAP server."""

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        ca: Path | None = None,
        timeout: float = 20,
        source: str = "127.0.0.1",
    ) -> None:
        """`ca`: LDAPS."""
        self.socket: socket.socket = socket.create_connection((host, port), timeout, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._name = "localhost" if host == "127.0.0.1" else host
        self._framer = Framer(500_000_000, unsolicited=True)
        self._frames: list[Frame] = []
        self._octets = bytearray()
        self._ear = next(filter(None, (world.ear(port, source) for world in World.live)), None)
        if ca is not None:
            self.start_tls(ca)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def octets(self) -> bytes:
        """All that came so far."""
        return bytes(self._octets)

    def close(self) -> None:
        self.socket.close()

    def start_tls(self, ca: Path) -> None:
        """The handshake alone."""
        context = ssl.create_default_context(cafile=str(ca))
        self.socket = context.wrap_socket(self.socket, server_hostname=self._name)

    def ask_for_tls(self, ca: Path, message_id: int = 1) -> None:
        assert self.code(message_id, ExtendedRequest(START_TLS)) == 0
        self.start_tls(ca)

    def write(self, octets: bytes) -> None:
        if self._ear is not None:
            self._ear.sent(octets)
        self.socket.sendall(octets)

    def send(self, message_id: int, request: Request, *controls: Control) -> None:
        self.write(encode_request(message_id, request, controls))

    def frame(self) -> Frame | None:
        """The next message; None at the end of the connection."""
        while not self._frames:
            try:
                data = self.socket.recv(262_144)
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self._octets += data
            if self._ear is not None:
                self._ear.heard(data)
            self._frames = self._framer.feed(data)
        return self._frames.pop(0)

    def last(self, message_id: int) -> Frame | None:
        """The last message of this operation; None: the connection ended first."""
        while (frame := self.frame()) is not None:
            if frame.message_id == message_id and frame.tag not in _MORE_FOLLOWS:
                return frame
        return None

    def code(self, message_id: int, request: Request, *controls: Control) -> int | None:
        self.send(message_id, request, *controls)
        frame = self.last(message_id)
        return None if frame is None else result_of(decode_response(frame))

    def bind(self, name: str, password: str, message_id: int = 1) -> int | None:
        return self.code(message_id, simple(name, password))

    def to_end(self) -> list[Frame]:
        """What comes until the connection ends."""
        frames = []
        while (frame := self.frame()) is not None:
            frames.append(frame)
        return frames


def simple(name: str, password: str) -> BindRequest:
    return BindRequest(name, Simple(Secret.of(password)))


def result_of(response: Response) -> int:
    return response.result.code  # type: ignore[union-attr]


def eventually(ask: Any, timeout: float = 10) -> None:
    """Until it is so."""
    deadline = time.monotonic() + timeout
    while not ask():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.02)
