"""A NAS: one UDP socket, arbitrary octets, fixed identifiers, retransmit scripts."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Sequence
from typing import Self

from tests.system.bench import wire
from tests.system.bench.journal import Journal, RadiusReply, RadiusRequest
from tests.system.bench.wire import Reply, Request

Address = tuple[str, int]


class Nas:
    """One source address and port. Replies are checked strictly, those of a stranger's address are failures.

    `via`: a relay before the server.
    """

    def __init__(
        self,
        journal: Journal,
        server: Address,
        secret: bytes,
        *,
        source: str = "127.0.0.1",
        port: int = 0,
        via: Address | None = None,
    ) -> None:
        self._journal = journal
        self.server = server
        self._via = via
        self.secret = secret
        v6 = ipaddress.ip_address(server[0]).version == 6
        self._socket = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((source, port))
        self.address: Address = self._socket.getsockname()[:2]
        self._sent: dict[tuple[Address, bytes], tuple[Request, RadiusRequest]] = {}
        self._pending: list[tuple[bytes, Address]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What has come and was read by nobody goes into the journal too: the oracles want to see it."""
        if self._socket.fileno() >= 0:
            self._socket.setblocking(False)
            try:
                while True:
                    self._receive()
            except (BlockingIOError, ConnectionRefusedError):
                self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def login(
        self, user: bytes | str, password: bytes | str, *extra: tuple[int, bytes], **kw: object
    ) -> Request:
        """An Access-Request with this NAS's secret, not yet sent."""
        return wire.access_request(user, password, self.secret, *extra, **kw)  # type: ignore[arg-type]

    def send(self, request: Request | bytes, server: Address | None = None) -> None:
        """Into the socket as it is: a Request again is a retransmission. `server`: another of the proxy's ports."""
        if isinstance(request, bytes):
            request = Request(request)
        server = server or self.server
        event = self._journal.add(
            RadiusRequest,
            nas=self.address,
            server=server,
            octets=request.octets,
            user=request.user,
            password=request.password,
            station=request.station,
        )
        self._sent.setdefault((server, request.octets), (request, event))
        self._socket.sendto(request.octets, self._via or server)

    def receive(self, request: Request, timeout: float = 10, server: Address | None = None) -> Reply | None:
        """The next reply to this request; None after `timeout` seconds of nothing for it."""
        deadline = time.monotonic() + timeout
        for at, (octets, source) in enumerate(self._pending):
            if self._is_for(octets, request):
                del self._pending[at]
                return self._check(octets, source, request, server)
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                octets, source = self._receive()
            except TimeoutError:
                return None
            except ConnectionRefusedError:
                continue
            if self._is_for(octets, request):
                return self._check(octets, source, request, server)
            self._pending.append((octets, source))
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

    def exchange_all(self, requests: Sequence[Request], timeout: float = 15) -> list[Reply | None]:
        """All at once (at most 256: an identifier each), then their replies in the same order."""
        assert len({request.identifier for request in requests}) == len(requests)
        for request in requests:
            self.send(request)
        deadline = time.monotonic() + timeout
        return [self.receive(request, max(0.01, deadline - time.monotonic())) for request in requests]

    def flood(self, octets: Sequence[bytes], count: int) -> None:
        """Noise, in turn, as fast as it goes; not worth a line in the journal."""
        for at in range(count):
            self._socket.sendto(octets[at % len(octets)], self.server)

    def receive_octets(self, timeout: float = 10) -> bytes:
        """The next datagram, whatever it is."""
        self._socket.settimeout(timeout)
        return self._receive()[0]

    def silent(self, request: Request | bytes, timeout: float = 0.5) -> bool:
        """Send this and see that nothing at all comes back."""
        self.send(request)
        return self.hears_nothing(timeout)

    def hears_nothing(self, timeout: float = 0.5) -> bool:
        if self._pending:
            return False
        self._socket.settimeout(timeout)
        try:
            self._pending.append(self._receive())
        except (TimeoutError, ConnectionRefusedError):
            return True
        return False

    def _receive(self) -> tuple[bytes, Address]:
        octets, source = self._socket.recvfrom(65535)
        if source == self._via:
            source = self.server
        # RFC 2865 §3: a reply belongs to the request whose authenticator it was made with.
        order = min(
            (
                event.order
                for request, event in self._sent.values()
                if len(request.octets) >= 20 and self._is_for(octets, request)
            ),
            default=0,
        )
        self._journal.add(RadiusReply, nas=self.address, octets=octets, source=source[:2], request=order)
        return octets, source[:2]

    def _is_for(self, octets: bytes, request: Request) -> bool:
        return octets[1:2] == request.octets[1:2] and wire.signs(octets, request, self.secret)

    def _check(self, octets: bytes, source: Address, request: Request, server: Address | None) -> Reply:
        expected = server or self.server
        assert source == expected, f"asked {expected}, answered by {source} (R12)"
        return wire.read_reply(octets, source, request, self.secret)
