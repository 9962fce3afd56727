"""The demo's VPN: sends real RADIUS requests over UDP."""

from __future__ import annotations

import secrets
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.protocol import DatagramProtocol

from authproxy.protocols.radius.packet import Attribute, Code, Packet
from authproxy.protocols.radius.request import UnacceptableReply, pap_request, read_reply
from authproxy.secret import Secret
from authproxy.values import light_dataclass

_REPLY_MESSAGE = 18
_CALLING_STATION_ID = 31
_NAS_IDENTIFIER = 32
_AGAIN = 5.0  # seconds until the same octets are sent again


@light_dataclass(frozen=True, slots=True)
class Answer:
    """`code` None: there was no answer."""

    code: int | None
    message: str
    seconds: float

    @property
    def decision(self) -> str:
        match self.code:
            case Code.ACCESS_ACCEPT:
                return "accept"
            case Code.ACCESS_REJECT:
                return "reject"
            case Code.ACCESS_CHALLENGE:
                return "challenge"
            case _:
                return "no answer"


class Nas:
    """One login at a time, each from its own port."""

    def __init__(self, reactor: Any, secret: Secret) -> None:
        self._reactor = reactor
        self._secret = secret

    async def login(self, port: int, user: str, password: str, patience: float = 75.0) -> Answer:
        request = pap_request(
            user.encode(),
            Secret.of(password),
            identifier=secrets.randbelow(256),
            authenticator=secrets.token_bytes(16),
            secret=self._secret,
            attributes=(
                Attribute(_NAS_IDENTIFIER, b"demo"),
                Attribute(_CALLING_STATION_ID, b"203.0.113.7"),
            ),
        )
        exchange = _Exchange(self._reactor, port, request, self._secret)
        began = self._reactor.seconds()
        listening = self._reactor.listenUDP(0, exchange, interface="127.0.0.1")
        try:
            exchange.answered.addTimeout(patience, self._reactor)
            reply = await exchange.answered
        except TimeoutError:
            return Answer(None, "", self._reactor.seconds() - began)
        finally:
            exchange.stop()
            listening.stopListening()
        message = b"".join(reply.all(_REPLY_MESSAGE)).decode("utf-8", "replace")
        return Answer(reply.code, message, self._reactor.seconds() - began)


class _Exchange(DatagramProtocol):
    def __init__(self, reactor: Any, port: int, request: Packet, secret: Secret) -> None:
        self.answered: Deferred[Packet] = Deferred()
        self._reactor = reactor
        self._server = ("127.0.0.1", port)
        self._request = request
        self._secret = secret
        self._alarm: Any = None

    def startProtocol(self) -> None:  # noqa: N802 - twisted's name
        self._send()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:  # noqa: N802 - twisted's name
        if addr[:2] != self._server or self.answered.called:
            return
        try:
            reply = read_reply(datagram, self._request, self._secret)
        except UnacceptableReply:
            return
        self.answered.callback(reply)

    def stop(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()

    def _send(self) -> None:
        if self.transport is not None:
            self.transport.write(self._request.octets, self._server)
        self._alarm = self._reactor.callLater(_AGAIN, self._send)
