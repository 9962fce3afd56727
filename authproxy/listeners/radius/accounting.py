"""Accounting-Requests: verified, forwarded, and answered once a server has answered (R23, R51; RFC 2866)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from authproxy.listeners.radius.clients import Client
from authproxy.listeners.radius.discards import Discarded
from authproxy.listeners.radius.duplicates import Duplicates, Exchange
from authproxy.protocols.radius.accounting import is_from_who_knows, relayed_response
from authproxy.protocols.radius.message_authenticator import verify_message_authenticator
from authproxy.protocols.radius.packet import Code, Packet
from authproxy.protocols.radius.reply import ReplyTooLong, encode_reply
from authproxy.values import light_dataclass

R = TypeVar("R")


class Accounting(Protocol):
    """Where a section's accounting is forwarded to."""

    async def forward(self, packet: Packet) -> Packet | None:
        """The server's response. None: no server answered. Raises ValueError if the request is too long to forward."""


def check_accounting(packet: Packet, client: Client) -> None:
    """RFC 2866 §3: drop a request whose sender doesn't know the secret. Raises Discarded."""
    if not is_from_who_knows(packet, client.secret):
        raise Discarded(
            "accounting_authenticator",
            f"compare the shared secret of client {client.name} with the one here",
        )
    if verify_message_authenticator(packet, client.secret) is False:
        raise Discarded("message_authenticator", f"in accounting of client {client.name}")


@light_dataclass(frozen=True, slots=True)
class Handing(Generic[R]):
    """One request that is being forwarded, and the way back to its client."""

    accounting: Accounting
    client: Client
    duplicates: Duplicates
    exchange: Exchange
    send: Callable[[bytes, R], None]
    route: R
    now: Callable[[], float]

    async def run(self, packet: Packet) -> None:
        """Forward the request, and answer after the server. If no server answers, the NAS gets no answer and keeps its
        data.

        Raises Discarded if no server answered; the same datagram is then a new request.
        """
        try:
            octets = await self._answer(packet)
        except BaseException:
            self.duplicates.abandon(self.exchange)
            raise
        if not self.exchange.superseded:
            self.duplicates.answered(self.exchange, octets, self.now())
            self.send(octets, self.route)

    async def _answer(self, packet: Packet) -> bytes:
        try:
            response = await self.accounting.forward(packet)
            if response is None:
                raise Discarded("accounting_unanswered", f"of client {self.client.name}")
            return encode_reply(
                Code.ACCOUNTING_RESPONSE,
                packet,
                self.client.secret,
                relayed_response(response),
                # RFC 3579 §3.3 has none there, and clients differ in what they'd want signed: radclient refuses ours.
                message_authenticator=False,
            )
        except (ValueError, ReplyTooLong) as too_long:
            raise Discarded("accounting_too_long", str(too_long)) from None
