"""A RADIUS server that the test scripts: what it was asked, octet for octet, and whatever it shall answer."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.system.bench import wire
from tests.system.bench.journal import Journal, PrimaryBind
from tests.system.bench.wire import MESSAGE_AUTHENTICATOR, USER_NAME, USER_PASSWORD

Pair = tuple[int, bytes]


@dataclass(frozen=True)
class Asked:
    """A request as it arrived, and what makes an answer to it."""

    octets: bytes
    secret: bytes

    @property
    def code(self) -> int:
        return self.octets[0]

    @property
    def authenticator(self) -> bytes:
        return self.octets[4:20]

    @property
    def attributes(self) -> list[Pair]:
        return list(wire.split_attributes(self.octets[20:]))

    def values(self, kind: int) -> list[bytes]:
        return [value for found, value in self.attributes if found == kind]

    @property
    def user(self) -> str:
        return self.values(USER_NAME)[0].decode()

    @property
    def password(self) -> bytes:
        hidden = self.values(USER_PASSWORD)
        return wire.open_password(hidden[0], self.secret, self.authenticator) if hidden else b""

    def reply(self, code: int, *attributes: Pair, signed: bool = True, secret: bytes | None = None) -> bytes:
        """An answer with a right Response Authenticator; `signed`: and Message-Authenticator, first."""
        secret = self.secret if secret is None else secret
        own = [(MESSAGE_AUTHENTICATOR, bytes(16))] if signed else []
        body = b"".join(wire.attribute(*pair) for pair in (*own, *attributes))
        octets = wire.packet(code, self.octets[1], self.authenticator, body)
        if signed:
            octets = octets[:22] + hmac.digest(secret, octets, "md5") + octets[38:]
        return octets[:4] + wire.md5(octets, secret) + octets[20:]


Script = Callable[[Asked], bytes | list[bytes] | None]


class RadiusPrimary:
    """`script` answers each request; what it answers with an Accept counts as a primary success of its user."""

    def __init__(self, journal: Journal, script: Script, *, secret: str | None = None, port: int = 0) -> None:
        self.secret = secret or secrets.token_hex(16)
        self.script = script
        self.seen: list[Asked] = []
        self._journal = journal
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="radius primary", daemon=True)
        self._thread.start()

    def logins(self) -> list[Asked]:
        """What it was asked, but for whether it lives."""
        return [asked for asked in self.seen if asked.code == wire.ACCESS_REQUEST]

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()

    def _run(self) -> None:
        while True:
            octets, source = self._socket.recvfrom(65535)
            if not octets:
                return
            asked = Asked(octets, self.secret.encode())
            self.seen.append(asked)
            made = self.script(asked)
            for reply in made if isinstance(made, list) else [made]:
                if reply is not None:
                    self._note(asked, reply)
                    self._socket.sendto(reply, source)

    def _note(self, asked: Asked, reply: bytes) -> None:
        if reply[0] == wire.ACCESS_ACCEPT and asked.code == wire.ACCESS_REQUEST:
            user = asked.user
            self._journal.add(PrimaryBind, name=user, user=user, password=asked.password, result=0)
