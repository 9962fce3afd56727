"""A tap between a RADIUS client that others wrote and the daemon: what passes goes into the journal for the oracles."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self

from tests.system.bench import wire
from tests.system.bench.journal import Journal
from tests.system.bench.nas import Address, Nas
from tests.system.bench.wire import Request


class Tap:
    """Listens on a port of its own and passes octets on as they are, with a socket for each client's.

    `source`: the client's address as the daemon sees it. `listening`: where to hear the client; closed with this.
    """

    def __init__(
        self,
        journal: Journal,
        server: Address,
        secret: bytes,
        *,
        source: str = "127.0.0.1",
        listening: socket.socket | None = None,
    ) -> None:
        self._journal, self._server, self._secret, self._source = journal, server, secret, source
        self._clients: dict[Address, Nas] = {}
        self._listening = listening or _udp_socket()
        self.port: int = self._listening.getsockname()[1]
        self._waking, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._wake.send(b".")
        self._thread.join(10)
        for nas in self._clients.values():
            nas.close()
        for open_ in (self._listening, self._waking, self._wake):
            open_.close()

    def _run(self) -> None:
        while True:
            sockets = {nas.fileno(): client for client, nas in self._clients.items()}
            ready, _, _ = select.select([self._waking, self._listening, *sockets], [], [])
            if self._waking in ready:
                return
            if self._listening in ready:
                self._from_client(*self._listening.recvfrom(65535))
            for number in ready:
                if number in sockets:
                    client = sockets[number]
                    with contextlib.suppress(OSError):
                        self._listening.sendto(self._clients[client].receive_octets(), client)

    def _from_client(self, octets: bytes, client: Address) -> None:
        if client not in self._clients:
            self._clients[client] = Nas(self._journal, self._server, self._secret, source=self._source)
        self._clients[client].send(self._read(octets))

    def _read(self, octets: bytes) -> Request:
        """What the oracles need to know of it."""
        try:
            found = dict(reversed(list(wire.split_attributes(octets[20:]))))
        except AssertionError:
            return Request(octets)
        user = found.get(wire.USER_NAME, b"").decode("utf-8", "replace")
        hidden = found.get(wire.USER_PASSWORD, b"")
        password = wire.open_password(hidden, self._secret, octets[4:20])
        return Request(octets, user, password, found.get(wire.CALLING_STATION_ID, b""))


def _udp_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made
