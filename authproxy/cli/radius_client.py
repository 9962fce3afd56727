"""A RADIUS client that blocks: one request, repeated until it is answered (RFC 5080 §2.2.1).

For the command line only; the daemon never blocks.
"""

from __future__ import annotations

import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from authproxy.protocols.radius.packet import STATE, Attribute, Packet
from authproxy.protocols.radius.request import (
    ReplyProblem,
    UnacceptableReply,
    pap_request,
    read_reply,
    status_server,
)
from authproxy.secret import Secret

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 16.0  # seconds: IRT and MRT of RFC 5080 §2.2.1
_MAX_DATAGRAM = 65_535


@dataclass(slots=True)
class NoAnswer(Exception):
    """No answer in time. `dropped`: answers that didn't count, and why."""

    sent: int
    seconds: float
    refused: bool = False  # the machine says that nobody listens there
    dropped: Counter[ReplyProblem] = field(default_factory=Counter)


class RadiusClient:
    """One server and one secret; the socket is connected, so that only the server's answers arrive (R35)."""

    def __init__(
        self,
        server: tuple[str, int],
        secret: Secret,
        *,
        source: str = "",
        require_message_authenticator: bool = True,
    ) -> None:
        """`source`: our own address, "" to let the system choose. Raises OSError."""
        self._secret = secret
        self._require = require_message_authenticator
        self._socket = socket.socket(_family(server[0]), socket.SOCK_DGRAM)
        try:
            if source:
                self._socket.bind((source, 0))
            self._socket.connect(server)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def login(
        self,
        user_name: str,
        password: Secret,
        *,
        state: bytes | None = None,
        attributes: Sequence[Attribute] = (),
        timeout: float,
        waiting: Callable[[float], None] = lambda seconds: None,
    ) -> Packet:
        """One Access-Request's answer. `waiting` is told now and then for how many seconds it has been waiting.

        Raises NoAnswer; ValueError: a name or password that RADIUS can't carry.
        """
        more = [*attributes, *([Attribute(STATE, state)] if state is not None else [])]
        request = pap_request(
            user_name.encode(),
            password,
            identifier=secrets.randbelow(256),
            authenticator=secrets.token_bytes(16),
            secret=self._secret,
            attributes=more,
        )
        return self._exchange(request, timeout, waiting)

    def status(self, timeout: float) -> None:
        """RFC 5997: whether the server is there, knows us, and has our secret. Raises NoAnswer."""
        request = status_server(
            identifier=secrets.randbelow(256), authenticator=secrets.token_bytes(16), secret=self._secret
        )
        self._exchange(request, timeout, lambda seconds: None)

    def _exchange(self, request: Packet, timeout: float, waiting: Callable[[float], None]) -> Packet:
        began = time.monotonic()
        failed = NoAnswer(0, timeout)
        pause, send_at = _FIRST_WAIT, began
        while (now := time.monotonic()) < began + timeout:
            try:
                if now >= send_at:
                    self._socket.send(request.octets)
                    failed.sent += 1
                    send_at = now + pause
                    # Jittered, so that many don't ask in step.
                    pause = min(pause * random.uniform(1.9, 2.1), _LONGEST_WAIT)  # noqa: S311 - no secret
                reply = self._receive(min(send_at, began + timeout, now + 1) - now, request, failed)
            except ConnectionRefusedError:
                failed.refused, failed.seconds = True, time.monotonic() - began
                raise failed from None
            if reply is not None:
                return reply
            waiting(time.monotonic() - began)
        raise failed

    def _receive(self, patience: float, request: Packet, failed: NoAnswer) -> Packet | None:
        """The next answer that counts; others are dropped, and waiting goes on."""
        deadline = time.monotonic() + patience
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                datagram = self._socket.recv(_MAX_DATAGRAM)
            except TimeoutError:
                return None
            try:
                return read_reply(
                    datagram, request, self._secret, require_message_authenticator=self._require
                )
            except UnacceptableReply as unacceptable:
                failed.dropped[unacceptable.problem] += 1
        return None


def own_address(server: tuple[str, int]) -> str:
    """The address from which packets to the server leave, as the server sees it. Raises OSError."""
    with socket.socket(_family(server[0]), socket.SOCK_DGRAM) as probe:
        probe.connect(server)
        address: str = probe.getsockname()[0]
        return address.partition("%")[0]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
