"""A NAS: one UDP socket, arbitrary octets, fixed identifiers, retransmit scripts."""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Self

from tests.system.bench import wire
from tests.system.bench.journal import Journal, RadiusReply, RadiusRequest
from tests.system.bench.wire import Reply, Request

Address = tuple[str, int]


class Nas:
    """One source address and port. Replies are checked strictly, those of a stranger's address are failures."""

    def __init__(
        self, journal: Journal, server: Address, secret: bytes, *, source: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._journal = journal
        self.server = server
        self.secret = secret
        v6 = ipaddress.ip_address(server[0]).version == 6
        self._socket = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((source, port))
        self.address: Address = self._socket.getsockname()[:2]
        self._sent: dict[tuple[int, bytes], RadiusRequest] = {}
        self._pending: list[tuple[bytes, Address]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def login(
        self, user: bytes | str, password: bytes | str, *extra: tuple[int, bytes], **kw: object
    ) -> Request:
        """An Access-Request with this NAS's secret, not yet sent."""
        return wire.access_request(user, password, self.secret, *extra, **kw)  # type: ignore[arg-type]

    def send(self, request: Request | bytes) -> None:
        """Into the socket as it is: a Request again is a retransmission."""
        if isinstance(request, bytes):
            request = Request(request)
        event = self._journal.add(
            RadiusRequest,
            nas=self.address,
            octets=request.octets,
            user=request.user,
            password=request.password,
        )
        if len(request.octets) >= 20:
            self._sent.setdefault((request.identifier, request.octets), event)
        self._socket.sendto(request.octets, self.server)

    def receive(self, request: Request, timeout: float = 10) -> Reply | None:
        """The next reply to this request; None after `timeout` seconds of nothing for it."""
        deadline = time.monotonic() + timeout
        for at, (octets, source) in enumerate(self._pending):
            if octets[1:2] == request.octets[1:2]:
                del self._pending[at]
                return self._check(octets, source, request)
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                octets, source = self._socket.recvfrom(65535)
            except TimeoutError:
                return None
            except ConnectionRefusedError:
                continue
            self._note(octets, source[:2])
            if octets[1:2] == request.octets[1:2]:
                return self._check(octets, source[:2], request)
            self._pending.append((octets, source[:2]))
        return None

    def ask(
        self,
        user: bytes | str,
        password: bytes | str,
        *extra: tuple[int, bytes],
        timeout: float = 10,
        **kw: object,
    ) -> Reply | None:
        """Send one login and wait for its reply."""
        return self.exchange(self.login(user, password, *extra, **kw), timeout)

    def exchange(self, request: Request, timeout: float = 10) -> Reply | None:
        self.send(request)
        return self.receive(request, timeout)

    def silent(self, request: Request | bytes, timeout: float = 0.5) -> bool:
        """Send this and see that nothing at all comes back."""
        self.send(request)
        return self.hears_nothing(timeout)

    def hears_nothing(self, timeout: float = 0.5) -> bool:
        self._socket.settimeout(timeout)
        try:
            octets, source = self._socket.recvfrom(65535)
        except (TimeoutError, ConnectionRefusedError):
            return not self._pending
        self._note(octets, source[:2])
        return False

    def _note(self, octets: bytes, source: Address) -> None:
        matching = [
            event.order for (identifier, _), event in self._sent.items() if octets[1:2] == bytes([identifier])
        ]
        # The newest request with this Identifier; a reply to an older one fails in read_reply.
        order = max(matching, default=0)
        self._journal.add(RadiusReply, nas=self.address, octets=octets, source=source, request=order)

    def _check(self, octets: bytes, source: Address, request: Request) -> Reply:
        assert source == self.server, f"asked {self.server}, answered by {source} (R12)"
        return wire.read_reply(octets, source, request, self.secret)
