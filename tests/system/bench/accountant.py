"""An accounting server that takes down whatever is rightly signed (RFC 2866): some NASes let nobody in without one."""

from __future__ import annotations

import select
import socket
import threading
from typing import Self

from tests.system.bench import wire

ACCOUNTING_RESPONSE = 5


class Accountant:
    """`listening`: closed with this. `taken`: the requests."""

    def __init__(self, listening: socket.socket, secret: str) -> None:
        self.taken: list[bytes] = []
        self._secret = secret.encode()
        self._listening = listening
        self._waking, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="accountant", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b".")
        self._thread.join(10)
        for open_ in (self._listening, self._waking, self._wake):
            open_.close()

    def _run(self) -> None:
        while self._waking not in select.select([self._waking, self._listening], [], [])[0]:
            octets, source = self._listening.recvfrom(65535)
            signature = wire.md5(octets[:4], bytes(16), octets[20:], self._secret)
            if octets[0] == wire.ACCOUNTING_REQUEST and signature == octets[4:20]:
                self.taken.append(octets)
                head = bytes((ACCOUNTING_RESPONSE, octets[1], 0, 20))
                self._listening.sendto(head + wire.md5(head, octets[4:20], self._secret), source)
