"""An application that binds: one connection, simple binds, each in the journal as a login of its section."""

from __future__ import annotations

import itertools
import socket
import time

from tests.system.bench import ber
from tests.system.bench.directory import BIND, BIND_RESPONSE, SIMPLE
from tests.system.bench.journal import Journal
from tests.system.bench.ldap_ear import Ear

Address = tuple[str, int]


class LdapClient:
    """Binds may be sent without waiting; their answers are read by message id."""

    def __init__(self, journal: Journal, server: Address, *, timeout: float = 20) -> None:
        self.server = server
        self._socket = socket.create_connection(server, timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address: Address = self._socket.getsockname()[:2]
        self._ids = itertools.count(1)
        self._ear = Ear(journal, server, self.address[0])
        self._octets = b""
        self._results: dict[int, int] = {}

    def send(self, name: str, password: str | bytes) -> int:
        """A bind request; its message id."""
        octets = password.encode() if isinstance(password, str) else password
        identifier = next(self._ids)
        content = ber.integer(3) + ber.text(name) + ber.tlv(SIMPLE, octets)
        message = ber.tlv(ber.SEQUENCE, ber.integer(identifier), ber.tlv(BIND, content))
        self._ear.sent(message)
        self._socket.sendall(message)
        return identifier

    def receive(self, identifier: int, timeout: float = 20) -> int | None:
        """This bind's result code; None: the connection ended, or nothing came in `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while identifier not in self._results:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                return None
        return self._results.pop(identifier)

    def bind(self, name: str, password: str | bytes, timeout: float = 20) -> int | None:
        return self.receive(self.send(name, password), timeout)

    def close(self) -> None:
        """What has come and was read by nobody goes into the journal too."""
        if self._socket.fileno() >= 0:
            while self._read(0.0):
                pass
            self._socket.close()

    def _read(self, timeout: float) -> bool:
        """One piece. False: nothing came, or nothing will."""
        self._socket.settimeout(timeout)
        try:
            octets = self._socket.recv(65536)
        except (OSError, TimeoutError):
            return False
        self._ear.heard(octets)
        self._octets += octets
        while (head := ber.header(self._octets)) is not None and sum(head) <= len(self._octets):
            message, self._octets = self._octets[: sum(head)], self._octets[sum(head) :]
            self._take(message)
        return bool(octets)

    def _take(self, message: bytes) -> None:
        identifier, (tag, content), *_ = ber.split(ber.split(message)[0][1])
        if tag != BIND_RESPONSE:
            return  # a Notice of Disconnection
        self._results[ber.number(identifier)] = ber.number(ber.split(content)[0], ber.ENUMERATED)
