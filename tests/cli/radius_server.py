"""A RADIUS server for the command line's tests: answers PAP logins by a script, with octets of the tests' own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.system.bench.wire import (
    ACCESS_ACCEPT,
    ACCESS_CHALLENGE,
    ACCESS_REJECT,
    MESSAGE_AUTHENTICATOR,
    REPLY_MESSAGE,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    attribute,
    hide_password,
    md5,
    packet,
    sign,
    split_attributes,
)


@dataclass
class Asked:
    user: str
    password: bytes
    state: bytes | None
    octets: bytes


# Octets to send back, any number of times.
Script = Callable[["FakeServer", Asked], list[bytes]]


@dataclass
class FakeServer:
    secret: bytes
    script: Script
    asked: list[Asked] = field(default_factory=list)
    address: tuple[str, int] = ("", 0)

    def reply(
        self,
        code: int,
        request: bytes,
        *attributes: tuple[int, bytes],
        secret: bytes | None = None,
        signed: bool = True,
    ) -> bytes:
        """A right reply; with another secret, or unsigned, a wrong one."""
        secret = secret or self.secret
        body = b"".join(attribute(*pair) for pair in attributes)
        if signed:
            body = attribute(MESSAGE_AUTHENTICATOR, bytes(16)) + body
        octets = packet(code, request[1], request[4:20], body)
        if signed:
            octets = sign(octets, secret)
        return octets[:4] + md5(octets, secret) + octets[20:]

    def accept(self, asked: Asked, *messages: str, **more: object) -> bytes:
        pairs = [(REPLY_MESSAGE, message.encode()) for message in messages]
        return self.reply(ACCESS_ACCEPT, asked.octets, *pairs, **more)  # type: ignore[arg-type]

    def reject(self, asked: Asked, *messages: str) -> bytes:
        return self.reply(
            ACCESS_REJECT, asked.octets, *((REPLY_MESSAGE, message.encode()) for message in messages)
        )

    def challenge(self, asked: Asked, message: str, state: bytes, *more: tuple[int, bytes]) -> bytes:
        return self.reply(
            ACCESS_CHALLENGE, asked.octets, (REPLY_MESSAGE, message.encode()), (STATE, state), *more
        )

    def read(self, octets: bytes) -> Asked:
        found = dict(split_attributes(octets[20:]))
        hidden = found[USER_PASSWORD]
        # Hiding is its own inverse but for the chaining, which goes by the hidden octets.
        password = b""
        for at in range(0, len(hidden), 16):
            before = octets[4:20] if at == 0 else hidden[at - 16 : at]
            password += hide_password(hidden[at : at + 16], self.secret, before)[:16]
        return Asked(found[USER_NAME].decode(), password.rstrip(b"\0"), found.get(STATE), octets)


@contextmanager
def radius_server(
    script: Script, secret: bytes = b"0123456789abcdef", host: str = "127.0.0.1"
) -> Iterator[FakeServer]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        server = FakeServer(secret, script, address=sock.getsockname()[:2])

        def serve() -> None:
            while True:
                octets, peer = sock.recvfrom(5000)
                if not octets:
                    return
                asked = server.read(octets)
                server.asked.append(asked)
                for answer in script(server, asked):
                    sock.sendto(answer, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(family, socket.SOCK_DGRAM) as stopper:
                stopper.sendto(b"", server.address)
            thread.join(10)
